"""One company's books: documents with Id, SyncToken and MetaData, changed all or nothing, every change noted.

What Intuit's sandbox was recorded doing and these books repeat: an edit raises SyncToken and LastUpdatedTime; being
linked to (an invoice by a payment, a customer by a new balance) moves LastUpdatedTime only.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store, from_json
from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.fields import TRANSACTIONS
from integrations.systems.quickbooks.simulator.settings import CompanyFile, QuickBooksSettings

Document = dict[str, Any]

HOME_CURRENCY = "USD"
EVENT_KIND = "webhook-event"


class Row:
    """A stored document: its JSON as it goes over the wire, and the same parsed. Never to be changed in place.

    A recurring profile travels wrapped by its type; `doc` is then the form inside, with Type and Active beside it.
    """

    __slots__ = ("body", "doc", "raw")

    def __init__(self, entity: str, body: bytes) -> None:
        self.body = body
        self.raw = msgspec.Raw(body)
        self.doc: Document = from_json(body)
        if entity == "RecurringTransaction":
            template, form = next(iter(self.doc.items()))
            self.doc = {**form, "Type": template, "Active": form["RecurringInfo"]["Active"]}


class Books:
    """Reads of one company's documents, and `change` to write them."""

    def __init__(
        self, store: Store, clock: Clock, journal: Journal, company: CompanyFile, settings: QuickBooksSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._zone = ZoneInfo(company.zone)
        self._rows: dict[str, dict[str, Row]] = {}
        self.company = company
        self.settings = settings

    @property
    def realm(self) -> str:
        """The company's id in every URL."""
        return self.company.realm

    def kind(self, name: str) -> str:
        """The store's name for one of this company's collections."""
        return f"{self.realm}/{name}"

    def now(self) -> datetime:
        """The present in the company's own time zone."""
        return self._clock.now().astimezone(self._zone)

    def today(self) -> date:
        """The company's calendar day."""
        return self.now().date()

    def stamp(self) -> str:
        """The present as MetaData writes it: seconds and the company's offset."""
        return self.now().isoformat(timespec="seconds")

    def at(self, text: str) -> datetime:
        """A time from a query; without an offset it is the company's. ValueError when it is none."""
        value = datetime.fromisoformat(text)
        return value if value.tzinfo is not None else value.replace(tzinfo=self._zone)

    def rows(self, entity: str) -> list[Row]:
        """Every document of an entity; parsed once and kept until it changes."""
        kept = self._rows.get(entity, {})
        fresh: dict[str, Row] = {}
        for id, body in self._store.bodies(self.kind(entity)):
            row = kept.get(id)
            fresh[id] = row if row is not None and row.body == body else Row(entity, body)
        self._rows[entity] = fresh
        return list(fresh.values())

    def row(self, entity: str, id: str) -> Row | None:
        """One document as it goes over the wire."""
        body = self._store.body(self.kind(entity), id)
        return None if body is None else Row(entity, body)

    def find(self, entity: str, id: str) -> Document | None:
        """A fresh copy of one document."""
        return self._store.get(self.kind(entity), id)

    def deleted(self, entity: str) -> list[Document]:
        """The stubs of deleted documents."""
        return self._store.all(self.kind(f"deleted/{entity}"))

    def count(self, entity: str) -> int:
        """How many documents of an entity there are."""
        return self._store.count(self.kind(entity))

    def closing_date(self) -> date | None:
        """The day up to which the books are closed: set by a person on the control page, else by the settings."""
        chosen = self._store.get(self.kind("control"), "closing-date")
        if chosen is None:
            return self.settings.closing_date
        return date.fromisoformat(chosen["date"]) if chosen["date"] else None

    def close_until(self, day: date | None) -> None:
        """Close the books up to a day, or open them."""
        self._store.put(self.kind("control"), "closing-date", {"date": day.isoformat() if day else ""})

    @contextmanager
    def change(self, operation: str, key: str = "") -> Iterator[Change]:
        """Everything done through the Change is committed together, then journalled; nothing when it raises."""
        change = Change(self, self._store)
        with self._store.transaction():
            yield change
            for position, event in enumerate(change.events):
                self._store.put(EVENT_KIND, f"{self._clock.time():.6f}-{position}-{uuid.uuid4().hex[:8]}", event)
        for id in change.committed:
            self._journal.commit(
                time=self._clock.now().isoformat(), operation=operation, id=id, key=key, tenant=self.realm
            )


class Change:
    """The writes of one operation."""

    def __init__(self, books: Books, store: Store) -> None:
        self.books = books
        self._store = store
        self.events: list[Document] = []
        self.committed: list[str] = []

    def next_id(self, entity: str) -> str:
        """The next free id: transactions share one row of numbers, every list has its own."""
        sequence = "transaction" if entity in TRANSACTIONS else entity
        return str(self.next_number(f"id/{sequence}"))

    def next_number(self, sequence: str) -> int:
        """Count a sequence up; it starts at 1."""
        kind = self.books.kind("counter")
        value = int((self._store.get(kind, sequence) or {"value": 0})["value"]) + 1
        self._store.put(kind, sequence, {"value": value})
        return value

    def raise_number(self, sequence: str, value: int) -> None:
        """Never hand out numbers up to `value` again."""
        kind = self.books.kind("counter")
        present = int((self._store.get(kind, sequence) or {"value": 0})["value"])
        self._store.put(kind, sequence, {"value": max(present, value)})

    def find(self, entity: str, id: str) -> Document | None:
        """A fresh copy of one document, or None."""
        return self.books.find(entity, id)

    def get(self, entity: str, id: str) -> Document:
        """A fresh copy of one document; Fault 610 when there is none, 2030 when the id is no number."""
        if not id.isascii() or not id.isdigit():
            raise fault.bad_id(id)
        doc = self.find(entity, id)
        if doc is None:
            raise fault.not_found()
        return doc

    def referred(self, entity: str, reference: object) -> Document:
        """What a reference points to; Fault 2500 when it does not exist."""
        value = str(reference.get("value", "")) if isinstance(reference, dict) else ""
        doc = self.find(entity, value)
        if doc is None:
            names = "Names" if entity == "Customer" else f"{entity}s"
            raise fault.bad_reference(names, value)
        return doc

    def create(self, entity: str, doc: Document, event: str = "Create") -> Document:
        """Store a new document under a new id."""
        now = self.books.stamp()
        doc = {
            "domain": "QBO",
            "sparse": False,
            **doc,
            "Id": self.next_id(entity),
            "SyncToken": "0",
            "MetaData": {"CreateTime": now, "LastUpdatedTime": now},
        }
        self._put(entity, doc, event)
        return doc

    def update(self, entity: str, doc: Document, event: str = "Update") -> Document:
        """Store an edited document: SyncToken and LastUpdatedTime move."""
        doc["SyncToken"] = str(int(doc["SyncToken"]) + 1)
        self._moved(doc)
        self._put(entity, doc, event)
        return doc

    def touch(self, entity: str, doc: Document, event: str = "") -> None:
        """Store a document others changed by linking to it: only LastUpdatedTime moves."""
        self._moved(doc)
        self._put(entity, doc, event)

    def delete(self, entity: str, doc: Document) -> Document:
        """Remove a document, leaving the stub change data capture shows; returns the answer's stub."""
        id = doc["Id"]
        self._store.delete(self.books.kind(entity), id)
        stub = {"domain": "QBO", "status": "Deleted", "Id": id}
        left = {**stub, "MetaData": {"LastUpdatedTime": self.books.stamp()}}
        self._store.put(self.books.kind(f"deleted/{entity}"), id, left)
        self._note(entity, id, "Delete")
        return stub

    def put_wrapped(self, entity: str, id: str, doc: Document, event: str) -> None:
        """Store a document that carries its id further inside, as recurring profiles do."""
        self._store.put(self.books.kind(entity), id, doc)
        self._note(entity, id, event)

    def seed(self, entity: str, doc: Document, id: str = "") -> None:
        """Store a document exactly as it is, without event or journal."""
        self._store.put(self.books.kind(entity), id or doc["Id"], doc)

    def _moved(self, doc: Document) -> None:
        doc["MetaData"] = {**doc["MetaData"], "LastUpdatedTime": self.books.stamp()}

    def _put(self, entity: str, doc: Document, event: str) -> None:
        self._store.put(self.books.kind(entity), doc["Id"], doc)
        if event:
            self._note(entity, doc["Id"], event)

    def _note(self, entity: str, id: str, event: str) -> None:
        self.committed.append(id)
        self.events.append(
            {
                "realm": self.books.realm,
                "entity": entity,
                "id": id,
                "operation": event,
                "at": self.books.now().timestamp(),
                "time": self.books.now().isoformat(timespec="milliseconds"),
                "event_id": str(uuid.uuid4()),
            }
        )
