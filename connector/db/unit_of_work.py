"""The one place transactions begin and end: for one merchant, for the installation, or read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import sqlalchemy as sa

from connector.checkpoints import announce
from connector.db.bound import Bound
from connector.db.codes import Codes
from connector.db.connections import Connections
from connector.db.differences import Differences
from connector.db.engine import bind_to_merchant
from connector.db.installation import Installation
from connector.db.invoices import Invoices
from connector.db.ledger import Ledger
from connector.db.links import Links
from connector.db.mails import Mails
from connector.db.merchants import Merchants
from connector.db.mirror import Mirror
from connector.db.payments import Payments
from connector.db.postings import Postings
from connector.db.reader import Reader
from connector.db.restoring import Restoring
from connector.db.schedules import Schedules
from connector.db.sessions import Sessions
from connector.db.standing import Standing
from connector.db.vault import Vault
from connector.db.work import WorkItem, WorkQueue

Dispatch = Callable[[sa.Connection, WorkItem, float], None]


class UnitOfWork:
    """One transaction of one merchant, as repositories. Ends with the `with` block that opened it."""

    def __init__(self, bound: Bound, dispatch: Dispatch) -> None:
        self._bound = bound
        self._dispatch = dispatch

    @property
    def now(self) -> datetime:
        """The moment this transaction began (UTC)."""
        return self._bound.now

    @property
    def vault(self) -> Vault:
        """Seals and opens what must not be read from a copy of the database."""
        return self._bound.vault

    @cached_property
    def merchants(self) -> Merchants:
        """The merchant itself, its staff and its audit log."""
        return Merchants(self._bound)

    @cached_property
    def connections(self) -> Connections:
        """Connected organisations, consents under way, and where reading stands."""
        return Connections(self._bound)

    @cached_property
    def mirror(self) -> Mirror:
        """What stands upstream, written in bulk by the sync."""
        return Mirror(self._bound)

    @cached_property
    def invoices(self) -> Invoices:
        """Invoices one by one."""
        return Invoices(self._bound)

    @cached_property
    def links(self) -> Links:
        """Links and where they stand upstream."""
        return Links(self._bound)

    @cached_property
    def payments(self) -> Payments:
        """Payments, their allocations, locks, timeline and refunds."""
        return Payments(self._bound)

    @cached_property
    def postings(self) -> Postings:
        """What must stand in the systems' books."""
        return Postings(self._bound)

    @cached_property
    def ledger(self) -> Ledger:
        """The double-entry ledger."""
        return Ledger(self._bound)

    @cached_property
    def schedules(self) -> Schedules:
        """What is done by the clock."""
        return Schedules(self._bound)

    @cached_property
    def differences(self) -> Differences:
        """Where our view and a system's differ."""
        return Differences(self._bound)

    @cached_property
    def standing(self) -> Standing:
        """What we believe stands upstream, for comparing it."""
        return Standing(self._bound)

    @cached_property
    def codes(self) -> Codes:
        """One-time codes mailed to customers."""
        return Codes(self._bound)

    @cached_property
    def mails(self) -> Mails:
        """Mail to be sent."""
        return Mails(self._bound)

    @cached_property
    def sessions(self) -> Sessions:
        """Sessions of customers of this merchant."""
        return Sessions(self._bound)

    @cached_property
    def work(self) -> WorkQueue:
        """Work to be done later."""
        bound = self._bound
        return WorkQueue(bound.connection, bound.merchant_id, bound.now, self._dispatch)

    @cached_property
    def restoring(self) -> Restoring:
        """What is in doubt after a restore."""
        return Restoring(self._bound)


@dataclass(frozen=True)
class Database:
    """Hands out transactions, already bound. `dispatch` wakes the job engine in the same transaction."""

    engine: sa.Engine
    vault: Vault
    clock: Callable[[], datetime]
    dispatch: Dispatch

    @contextmanager
    def unit_of_work(self, merchant_id: int) -> Iterator[UnitOfWork]:
        """One transaction of one merchant: committed at the end of the block, rolled back by an exception."""
        with self.engine.begin() as connection:
            bind_to_merchant(connection, merchant_id)
            yield UnitOfWork(Bound(connection, merchant_id, self.vault, self.clock(), writing=True), self.dispatch)
            announce("before", "commit")
        announce("after", "commit")

    @contextmanager
    def view(self, merchant_id: int) -> Iterator[UnitOfWork]:
        """The same repositories, read-only: for looking before and between outside calls."""
        with self._read_only() as connection:
            bind_to_merchant(connection, merchant_id)
            yield UnitOfWork(Bound(connection, merchant_id, self.vault, self.clock(), writing=False), self.dispatch)

    @contextmanager
    def reader(self, merchant_id: int, *, snapshot: bool = False) -> Iterator[Reader]:
        """Read-only, one merchant: for pages. `snapshot`: every statement sees the same moment, for comparing them."""
        with self._read_only(snapshot=snapshot) as connection:
            bind_to_merchant(connection, merchant_id)
            yield Reader(connection, merchant_id, self.vault, self.clock())

    @contextmanager
    def lookup(self) -> Iterator[Installation]:
        """Read-only, all merchants: to find out whose a link, a session or an address is."""
        with self._read_only() as connection:
            bind_to_merchant(connection, None)
            yield Installation(connection, self.vault, self.clock(), self.dispatch)

    @contextmanager
    def _read_only(self, *, snapshot: bool = False) -> Iterator[sa.Connection]:
        with self.engine.connect() as opened:
            connection = opened.execution_options(read_only=True)
            # A transaction of SQLite always sees one moment; PostgreSQL does when told.
            if snapshot and self.engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def installation(self, *, patience: float | None = None) -> Iterator[Installation]:
        """One transaction over all merchants: webhooks received, sign-in of staff, and looking up whose a thing is.

        `patience`: wait at most so many seconds for other writers, then raise sqlalchemy.exc.OperationalError.
        """
        with self.engine.connect() as opened:
            connection = opened.execution_options(patience=patience)
            with connection.begin():
                bind_to_merchant(connection, None, patience=patience)
                yield Installation(connection, self.vault, self.clock(), self.dispatch)
                announce("before", "commit")
        announce("after", "commit")
