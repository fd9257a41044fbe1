"""The books of one small billing system, in memory, with exactly one way of treating a payment that is sent twice.

native_key: a key seen within its lifetime is answered with the first answer, and nothing is recorded; afterwards it is
forgotten. unique_field: a reference that stands already is refused. natural: a client's id names the payment, the same
id again writes it again. search: everything sent is recorded; references can be asked for. none: everything sent is
recorded and references are not kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integrations.simulator.clock import Clock
from tests.weakbooks.manifest import KEY_LIFETIME
from tests.weakbooks.weaknesses import Weakness

Row = dict[str, Any]


class No(Exception):
    """A refusal, with the HTTP status and code it is answered with."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Log:
    """Append-only: a line for every payment recorded or voided by anybody; also a file when a path is given."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._lines: list[Row] = []

    def append(self, line: Row) -> None:
        with self._lock:
            self._lines.append(line)
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")

    def lines(self, system: str = "") -> list[Row]:
        """All lines in order, or those of one system."""
        with self._lock:
            return [dict(line) for line in self._lines if not system or line["system"] == system]


@dataclass
class Books:
    """Invoices and payments of every tenant of one system. Amounts are minor units; every method is atomic."""

    weakness: Weakness
    clock: Clock
    log: Log
    key_lifetime: float = KEY_LIFETIME
    # Seconds until a recorded payment can be found by its reference.
    lag: float = 0.0
    closed_until: str = ""
    # Invoices on which payments are refused: how many times, and in which words.
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    invoices: dict[str, Row] = field(default_factory=dict)
    payments: dict[str, Row] = field(default_factory=dict)
    _keys: dict[str, tuple[float, Row]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add_invoice(
        self, tenant: str, *, total: int, currency: str = "USD", customer: str = "c1", stamped_ago: float = 0.0
    ) -> Row:
        """A new open invoice. `stamped_ago`: it appears now and says that it is so many seconds old."""
        with self._lock:
            number = len(self.invoices) + 1
            row: Row = {
                "id": f"i{number}", "number": f"W-{1000 + number}", "tenant": tenant, "customer": customer,
                "currency": currency, "total": total, "balance": total, "state": "open", "version": 1,
                "updated_at": self.clock.time() - stamped_ago,
            }  # fmt: skip
            self.invoices[row["id"]] = row
            return dict(row)

    def change_invoice(self, invoice_id: str, *, stamped_ago: float = 0.0, **values: Any) -> Row:
        """What a bookkeeper does by hand."""
        with self._lock:
            row = self.invoices[invoice_id]
            row.update(values, version=row["version"] + 1, updated_at=self.clock.time() - stamped_ago)
            return dict(row)

    def rows(self, collection: str, tenant: str, since: float, after: str, limit: int) -> list[Row]:
        """Invoices or payments changed since a moment, in the order of their ids, as the API shows them."""
        with self._lock:
            kept = [
                row
                for row in (self.invoices if collection == "invoices" else self.payments).values()
                if row["tenant"] == tenant and row["updated_at"] >= since and int(row["id"][1:]) > int(after or 0)
            ]
            return [self._shown(row) for row in sorted(kept, key=lambda row: int(row["id"][1:]))[:limit]]

    def invoice(self, invoice_id: str) -> Row:
        with self._lock:
            row = self.invoices.get(invoice_id)
            if row is None or row["state"] == "deleted":
                raise No(404, "gone", "There is no such invoice.")
            return dict(row)

    def payment(self, payment_id: str) -> Row:
        with self._lock:
            if payment_id not in self.payments:
                raise No(404, "gone", "There is no such payment.")
            return self._shown(self.payments[payment_id])

    def by_reference(self, tenant: str, reference: str) -> list[Row]:
        """Payments with a reference, as far as they can be found yet. Raises No where references are not kept."""
        if self.weakness.kind == "none":
            raise No(400, "unsupported", "Payments cannot be searched by a reference here.")
        with self._lock:
            before = self.clock.time() - self.lag
            return [
                self._shown(row)
                for row in self.payments.values()
                if (row["tenant"], row["reference"]) == (tenant, reference) and row["created_at"] <= before
            ]

    def create(self, tenant: str, body: Row, key: str) -> Row:
        """A payment sent; `key` is the Idempotency-Key header, of meaning to the native_key system alone."""
        with self._lock:
            now = self.clock.time()
            if self.weakness.kind == "native_key" and key:
                seen = self._keys.get(key)
                if seen is not None and now - seen[0] < self.key_lifetime:
                    return dict(seen[1])
            if self.weakness.kind == "unique_field" and any(
                (row["tenant"], row["reference"]) == (tenant, body["reference"]) for row in self.payments.values()
            ):
                raise No(409, "duplicate", "A payment with this reference exists already.")
            made = self._record(tenant, body)
            if self.weakness.kind == "native_key" and key:
                self._keys[key] = (now, made)
            return made

    def upsert(self, tenant: str, client_id: str, body: Row) -> Row:
        """A payment written under the client's id: made, or written once more."""
        if self.weakness.kind != "natural":
            raise No(404, "unsupported", "There are no client ids here.")
        with self._lock:
            row = next((one for one in self.payments.values() if one["client_id"] == client_id), None)
            if row is None:
                return self._record(tenant, body, client_id)
            if row["voided"]:
                self._settle(row["allocations"])
                row.update(voided=False, version=row["version"] + 1, updated_at=self.clock.time())
                self._note("recorded", row)
            return self._shown(row)

    def void(self, payment_id: str, by: str = "api") -> Row:
        """Take a payment back; done already is success."""
        with self._lock:
            if payment_id not in self.payments:
                raise No(404, "gone", "There is no such payment.")
            row = self.payments[payment_id]
            if not row["voided"]:
                for invoice_id, share in row["allocations"]:
                    invoice = self.invoices[invoice_id]
                    self.change_invoice(invoice_id, balance=invoice["balance"] + share, state="open")
                row.update(voided=True, version=row["version"] + 1, updated_at=self.clock.time())
                self._note("voided", row, by)
            return self._shown(row)

    def pay_by_hand(self, invoice_id: str, amount: int | None = None) -> Row:
        """Somebody records a payment that is not ours."""
        with self._lock:
            invoice = self.invoices[invoice_id]
            share = amount or invoice["balance"]
            body = {
                "currency": invoice["currency"], "paid_on": "2026-11-22", "reference": "", "note": "by hand",
                "customer": invoice["customer"], "allocations": [[invoice_id, share]],
            }  # fmt: skip
            return self._record(invoice["tenant"], body, by="hand")

    def mend(self) -> None:
        """Set everything a test may have turned back to how it began."""
        with self._lock:
            self.lag, self.closed_until, self.key_lifetime = 0.0, "", KEY_LIFETIME
            self.refusals.clear()

    def refuse(self, invoice_id: str, times: int, message: str) -> None:
        """Let payments on an invoice be refused so many times."""
        with self._lock:
            self.refusals[invoice_id] = (times, message)

    def _record(self, tenant: str, body: Row, client_id: str = "", by: str = "api") -> Row:
        allocations = [(str(invoice_id), int(share)) for invoice_id, share in body["allocations"]]
        if by == "api":
            self._check(tenant, body, allocations)
        self._settle(allocations)
        row = {
            "id": f"p{len(self.payments) + 1}", "tenant": tenant, "customer": body["customer"],
            "currency": body["currency"], "amount": sum(share for _, share in allocations),
            "paid_on": body["paid_on"], "reference": body["reference"], "note": body["note"],
            "allocations": allocations, "client_id": client_id, "voided": False, "version": 1,
            "created_at": self.clock.time(), "updated_at": self.clock.time(),
        }  # fmt: skip
        self.payments[row["id"]] = row
        self._note("recorded", row, by)
        return self._shown(row)

    def _check(self, tenant: str, body: Row, allocations: Sequence[tuple[str, int]]) -> None:
        if not self.weakness.multi_invoice and len(allocations) != 1:
            raise No(422, "one_invoice", "A payment settles one invoice here.")
        if self.closed_until and body["paid_on"] <= self.closed_until:
            raise No(422, "closed", f"The books are closed until {self.closed_until}.")
        for invoice_id, share in allocations:
            invoice = self.invoices.get(invoice_id)
            if invoice is None or invoice["tenant"] != tenant or invoice["state"] == "deleted":
                raise No(422, "no_invoice", "The invoice does not exist.")
            times, message = self.refusals.get(invoice_id, (0, ""))
            if times:
                self.refusals[invoice_id] = (times - 1, message)
                raise No(422, "refused", message)
            if invoice["state"] == "void":
                raise No(422, "void", f"Invoice {invoice['number']} is void.")
            if share > invoice["balance"]:
                raise No(422, "overpaid", f"Invoice {invoice['number']} has less due than that.")

    def _settle(self, allocations: Sequence[tuple[str, int]]) -> None:
        for invoice_id, share in allocations:
            balance = self.invoices[invoice_id]["balance"] - share
            self.change_invoice(invoice_id, balance=balance, state="open" if balance else "paid")

    def _note(self, what: str, row: Row, by: str = "api") -> None:
        kept = ("id", "tenant", "amount", "currency", "allocations", "note")
        line = {name: row[name] for name in kept}
        self.log.append({"what": what, "by": by, "system": self.weakness.name, "at": self.clock.time(), **line})

    def _shown(self, row: Row) -> Row:
        """As the API shows it: the weakest system keeps no reference and no note."""
        hidden = {"reference", "note", "client_id"} if self.weakness.kind == "none" else set()
        return {name: value for name, value in row.items() if name not in hidden}
