"""What belongs to no single merchant: sign-in, webhooks received, and looking up whose a thing is."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from connector.db import deliveries
from connector.db import tables as t
from connector.db.deliveries import DeliveryRow
from connector.db.engine import bind_to_merchant
from connector.db.prepared import Prepared
from connector.db.reader import Reader
from connector.db.retention import Expiring, forget
from connector.db.schedules import DueTask, due_tasks, note_run, unplanned_connections
from connector.db.vault import Vault
from connector.db.work import WorkItem, WorkQueue, overdue, work_id
from connector.domain.links import OpenedLink, Scope, token_hash
from connector.domain.tasks import InstallationTask
from connector.domain.work import Work
from connector.errors import Conflict

STAFF_HOURS = 12


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A live session. Staff: user_id. Customer: connection, customer and, where it opens only one, invoice."""

    merchant_id: int
    realm: str
    user_id: int | None
    connection_id: int | None
    customer: str
    invoice: str
    email: str


class Installation:
    """One transaction over all merchants."""

    def __init__(
        self,
        connection: sa.Connection,
        vault: Vault,
        now: datetime,
        dispatch: Callable[[sa.Connection, WorkItem, float], None],
    ) -> None:
        self._connection = connection
        self._dispatch = dispatch
        self.vault = vault
        self.now = now

    def work(self, merchant_id: int | None) -> WorkQueue:
        """The work of a merchant, or the installation's own."""
        return WorkQueue(self._connection, merchant_id, self.now, self._dispatch)

    def overdue_work(self, before: datetime, limit: int = 500) -> list[WorkItem]:
        """Pending work of everybody whose time came before a moment, the longest waiting first."""
        return overdue(self._connection, before, limit)

    def forget(self, what: Expiring, before: datetime, limit: int) -> int:
        """Delete what ended before a moment, at most `limit` rows; how many there were."""
        return forget(self._connection, what, before, limit)

    def first(self, statement: sa.Executable | Prepared, **values: Any) -> Any:
        """The first row of a page's statement, or None."""
        if isinstance(statement, Prepared):
            return statement.first(self._connection, values)
        return self._connection.execute(statement, values).first()

    @property
    def connection(self) -> sa.Connection:
        """For figures over everybody's rows."""
        return self._connection

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        """All rows of what an operator asks."""
        return list(self._connection.execute(statement).all())

    def reader(self, merchant_id: int, *, bound: bool = False) -> Reader:
        """Go on in the same transaction as the reader of one merchant, once it is known whose a link is.

        `bound`: the statement that found out has bound the transaction to the merchant already.
        """
        if not bound:
            bind_to_merchant(self._connection, merchant_id)
        return Reader(self._connection, merchant_id, self.vault, self.now)

    def add_merchant(self, *, company: str, name: str, email: str, password_hash: str) -> tuple[int, int]:
        """A new merchant with its owner, as (merchant id, user id). Raises Conflict when the address is taken."""
        if self._connection.execute(sa.select(t.users.c.id).where(t.users.c.email == email)).first():
            raise Conflict("This e-mail address has an account already. Sign in instead.", field="email")
        merchant = self._connection.execute(
            sa.insert(t.merchants).values(
                slug=self._free_slug(company), name=company, created_at=self.now, help_email=email
            )
        )
        user = self._connection.execute(
            sa.insert(t.users).values(email=email, name=name, password_hash=password_hash, created_at=self.now)
        )
        merchant_id, user_id = int(merchant.inserted_primary_key[0]), int(user.inserted_primary_key[0])  # type: ignore[index]
        self._connection.execute(
            sa.insert(t.memberships).values(merchant_id=merchant_id, user_id=user_id, role="owner")
        )
        return merchant_id, user_id

    def staff(self, email: str) -> tuple[int, int, str] | None:
        """(user id, merchant id, password hash) of a member of staff; their first company."""
        u, m = t.users.c, t.memberships.c
        row = self._connection.execute(
            sa.select(u.id, m.merchant_id, u.password_hash)
            .join(t.memberships, m.user_id == u.id)
            .where(u.email == email)
            .order_by(m.merchant_id)
        ).first()
        return None if row is None else (row[0], row[1], row[2])

    def open_staff_session(self, *, merchant_id: int, user_id: int, email: str) -> str:
        """A new staff session; its cookie's token (kept only as a hash)."""
        token = secrets.token_urlsafe(32)
        self._connection.execute(
            sa.insert(t.sessions).values(
                token_hash=hashlib.sha256(token.encode()).digest(),
                merchant_id=merchant_id,
                realm="staff",
                user_id=user_id,
                email=email,
                created_at=self.now,
                expires_at=self.now + timedelta(hours=STAFF_HOURS),
            )
        )
        return token

    def session(self, token: str, realm: str) -> SessionRow | None:
        """The live session behind a cookie."""
        s = t.sessions.c
        row = self._connection.execute(
            sa.select(s.merchant_id, s.realm, s.user_id, s.connection_id, s.customer, s.invoice, s.email).where(
                s.token_hash == hashlib.sha256(token.encode()).digest(),
                s.realm == realm,
                s.revoked_at.is_(None),
                s.expires_at > self.now,
            )
        ).first()
        return None if row is None else SessionRow(**row._mapping)

    def end_session(self, token: str) -> None:
        """Sign out: the session is over at once, whatever cookie is shown."""
        self._connection.execute(
            sa.update(t.sessions)
            .where(t.sessions.c.token_hash == hashlib.sha256(token.encode()).digest())
            .values(revoked_at=self.now)
        )

    def merchant_of_slug(self, slug: str) -> int | None:
        """Whose portal address this is."""
        return self._connection.execute(sa.select(t.merchants.c.id).where(t.merchants.c.slug == slug)).scalar()

    def link(self, token: str) -> tuple[OpenedLink, bool] | None:
        """The link behind a token and whether it is live."""
        k = t.links.c
        row = self._connection.execute(
            sa.select(k.id, k.merchant_id, k.connection_id, k.scope, k.target, k.state, k.expires_at).where(
                k.token_hash == token_hash(token)
            )
        ).first()
        if row is None:
            return None
        live = row.state == "live" and (row.expires_at is None or row.expires_at > self.now)
        return OpenedLink(row.id, row.merchant_id, row.connection_id, Scope(row.scope), row.target), live

    def install(self, install_key: str) -> tuple[int, int] | None:
        """(merchant, connection) of an install key."""
        c = t.connections.c
        row = self._connection.execute(
            sa.select(c.merchant_id, c.id).where(c.install_key == install_key, c.state == "active")
        ).first()
        return None if row is None else (row[0], row[1])

    def connections_of_tenant(self, system: str, tenant: str) -> list[tuple[int, int]]:
        """(merchant, connection) pairs that have this organisation connected."""
        c = t.connections.c
        rows = self._connection.execute(
            sa.select(c.merchant_id, c.id).where(c.system == system, c.tenant == tenant, c.state == "active")
        )
        return [(row[0], row[1]) for row in rows]

    def merchant_ids(self) -> list[int]:
        """All merchants, oldest first."""
        return [row[0] for row in self._connection.execute(sa.select(t.merchants.c.id).order_by(t.merchants.c.id))]

    def due_tasks(self, now: datetime, limit: int = 1000) -> list[DueTask]:
        """Tasks of all active connections whose time has come at a moment (UTC)."""
        return due_tasks(self._connection, now, limit)

    def unplanned_connections(self, limit: int = 1000) -> list[tuple[int, int, str]]:
        """(merchant, connection, system) of active connections whose tasks were not planned yet."""
        return unplanned_connections(self._connection, limit)

    def note_run(self, task: InstallationTask, next_at: datetime, outcome: str) -> None:
        """A task of the installation's own was done."""
        note_run(self._connection, task, self.now, next_at, outcome)

    def active_connections(self) -> list[tuple[int, int, str]]:
        """(merchant, connection, system) of all active connections."""
        c = t.connections.c
        rows = self._connection.execute(sa.select(c.merchant_id, c.id, c.system).where(c.state == "active"))
        return [(row[0], row[1], row[2]) for row in rows]

    def payment_owner(self, gateway: str, ref: str, reference: str) -> tuple[int, str] | None:
        """(merchant, payment id) of a gateway's checkout, by its reference of ours or its own."""
        p = t.payments.c
        row = self._connection.execute(
            sa.select(p.merchant_id, p.id).where(p.gateway == gateway, sa.or_(p.id == reference, p.gateway_ref == ref))
        ).first()
        return None if row is None else (row[0], row[1])

    def payments_in_states(self, states: list[str], before: datetime) -> list[tuple[int, str]]:
        """(merchant, payment id) of payments made before a moment that stand in these states."""
        p = t.payments.c
        rows = self._connection.execute(
            sa.select(p.merchant_id, p.id).where(p.state.in_(states), p.created_at < before).limit(1000)
        )
        return [(row[0], row[1]) for row in rows]

    def receive(self, sender: str, received: Sequence[tuple[bytes, bytes]]) -> int:
        """Store webhooks, each (SHA-256 of the body, body), once, with the work they make; how many were new."""
        identity = work_id(Work.DELIVERY, None, sender)
        new, asked = deliveries.receive(self._connection, sender, received, identity, self.now)
        if not asked:
            self.work(None).add(Work.DELIVERY, sender, partition=sender)
        return new

    def waiting_deliveries(self, sender: str, most: int) -> list[DeliveryRow]:
        """A sender's webhooks that nobody has dispatched yet, in the order they came."""
        return deliveries.waiting(self._connection, sender, most)

    def close_deliveries(self, ids: Sequence[int], state: str, note: str = "") -> None:
        """Write down what became of webhooks: done, unknown_tenant or unreadable."""
        deliveries.close(self._connection, ids, state, note, self.now)

    def _free_slug(self, company: str) -> str:
        plain = unicodedata.normalize("NFKD", company).encode("ascii", "ignore").decode().lower()
        stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "company"
        slug = stem
        while self.merchant_of_slug(slug) is not None:
            slug = f"{stem}-{secrets.token_hex(2)}"
        return slug
