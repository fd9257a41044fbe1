"""The organisations' documents: kept in the store, cached for lists, every change stamped, journalled and announced."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from integrations.simulator.clock import Clock
from integrations.simulator.journal import Journal
from integrations.simulator.store import Document, Store, from_json
from integrations.systems.xero.simulator.config import XeroConfig
from integrations.systems.xero.simulator.problems import NotThere

INVOICE = "invoice"
CONTACT = "contact"
CREDIT_NOTE = "credit_note"
OVERPAYMENT = "overpayment"
PREPAYMENT = "prepayment"
PAYMENT = "payment"
BATCH_PAYMENT = "batch_payment"
BANK_TRANSACTION = "bank_transaction"
ACCOUNT = "account"
THEME = "branding_theme"
PAYMENT_SERVICE = "payment_service"
QUOTE = "quote"
REPEATING = "repeating_invoice"
HISTORY = "history"

ORGANISATIONS = "organisation"

Listener = Callable[[str, str, Document, bool], None]
"""Called inside the writing transaction with (tenant, kind, document, created)."""


def new_id() -> str:
    """A GUID as Xero gives every document."""
    return str(uuid.uuid4())


class Books:
    """Documents of all organisations. Writers hold the lock for a whole transaction, so readers see whole changes."""

    def __init__(self, store: Store, clock: Clock, journal: Journal, config: XeroConfig) -> None:
        self.store = store
        self.clock = clock
        self.journal = journal
        self.config = config
        self._lock = threading.RLock()
        self._lists: dict[str, list[Document]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every change."""
        self._listeners.append(listener)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; what was read meanwhile is forgotten when it fails."""
        with self._lock:
            try:
                with self.store.transaction():
                    yield
            except BaseException:
                self._lists.clear()
                raise

    def organisations(self) -> list[Document]:
        """Every organisation, the first one being the seeded company."""
        return self.all(ORGANISATIONS)

    def all(self, place: str) -> list[Document]:
        """Documents of one store kind in insertion order; shared with other readers, so never to be changed."""
        with self._lock:
            found = self._lists.get(place)
            if found is None:
                found = [from_json(body) for _, body in self.store.bodies(place)]
                self._lists[place] = found
            return found

    def put(self, place: str, id: str, doc: Document) -> None:
        """Write without stamping or announcing."""
        with self._lock:
            self.store.put(place, id, doc)
            self._lists.pop(place, None)

    def delete(self, place: str, id: str) -> None:
        """Remove a document for good, as only settings can be."""
        with self._lock:
            self.store.delete(place, id)
            self._lists.pop(place, None)

    def open(self, tenant: str, operation: str = "control", key: str = "") -> Organisation:
        """One organisation's documents as one request works on them. NotThere for an unknown tenant."""
        if self.store.get(ORGANISATIONS, tenant) is None:
            raise NotThere
        return Organisation(self, tenant, operation, key)

    def announce(self, tenant: str, kind: str, doc: Document, created: bool) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(tenant, kind, doc, created)


@dataclass
class Organisation:
    """One organisation's documents; `operation` and `key` name the request in the journal."""

    books: Books
    tenant: str
    operation: str
    key: str = ""
    changed: list[str] = field(default_factory=list)

    @property
    def profile(self) -> Document:
        """The organisation itself: name, base currency, lock dates, tax rates."""
        doc = self.books.store.get(ORGANISATIONS, self.tenant)
        if doc is None:
            raise NotThere
        return doc

    @property
    def base_currency(self) -> str:
        """The currency the books are kept in."""
        return str(self.profile["base_currency"])

    def place(self, kind: str) -> str:
        """The store's kind for this organisation's documents."""
        return f"{kind}:{self.tenant}"

    def all(self, kind: str) -> list[Document]:
        """Every document of a kind; not to be changed."""
        return self.books.all(self.place(kind))

    def get(self, kind: str, id: str) -> Document | None:
        """A copy to work on, or None."""
        return self.books.store.get(self.place(kind), id.lower())

    def require(self, kind: str, id: str) -> Document:
        """A copy to work on; NotThere when there is none."""
        doc = self.get(kind, id)
        if doc is None:
            raise NotThere
        return doc

    def save(self, kind: str, doc: Document, *, touch: bool = True, announce: bool = True) -> Document:
        """Write a document: stamp `updated` unless told not to, journal the commit, announce it to listeners."""
        created = self.get(kind, doc["id"]) is None
        moment = int(self.books.clock.time() * 1000)
        if created:
            doc.setdefault("created", moment)
        if touch or "updated" not in doc:
            doc["updated"] = max(moment, int(doc.get("updated", 0)) + 1)
        self.books.put(self.place(kind), doc["id"], doc)
        self.books.journal.commit(
            time=self.books.clock.now().isoformat(),
            operation=self.operation,
            id=doc["id"],
            key=self.key,
            tenant=self.tenant,
        )
        self.changed.append(doc["id"])
        if announce:
            self.books.announce(self.tenant, kind, doc, created)
        return doc

    def today(self) -> str:
        """The present date, ISO."""
        return self.books.clock.now().date().isoformat()

    def note(self, kind: str, id: str, changes: str, details: str, user: str = "System Generated") -> None:
        """Append a line to a document's history; history is permanent."""
        entry: Document = {
            "id": new_id(),
            "of": id,
            "kind": kind,
            "changes": changes,
            "details": details,
            "user": user,
            "at": int(self.books.clock.time() * 1000),
        }
        self.books.put(self.place(HISTORY), entry["id"], entry)

    def next_number(self, kind: str, prefix: str) -> str:
        """The next free document number, such as INV-0302."""
        taken = {str(doc.get("number", "")) for doc in self.all(kind)}
        following = len(taken) + 1
        while f"{prefix}{following:04d}" in taken:
            following += 1
        return f"{prefix}{following:04d}"
