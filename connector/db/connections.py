"""Connected organisations, consents under way, and where reading stands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.rows import ConnectionRow
from connector.domain.records import Kind, UpstreamAccount
from connector.errors import Ended, NotAllowed

_CONSENT_MINUTES = 15
_FIELDS = [t.connections.c[name] for name in ConnectionRow.__dataclass_fields__]
# Built once: every sync asks for and moves the reading of every kind, mostly to find that nothing is new.
_THE_READING = sa.and_(
    t.cursors.c.merchant_id == sa.bindparam("of_merchant"),
    t.cursors.c.connection_id == sa.bindparam("of_connection"),
    t.cursors.c.kind == sa.bindparam("of_kind"),
)
_READING = sa.select(t.cursors).where(_THE_READING)
_MOVE_READING = (
    sa.update(t.cursors)
    .where(_THE_READING)
    .values({name: sa.bindparam(name) for name in ("cursor", "first_done", "seen", "total", "updated_at")})
)


def connection_row(row: Any) -> ConnectionRow:
    """A ConnectionRow from a row that selects its fields."""
    return ConnectionRow(**{name: row._mapping[name] for name in ConnectionRow.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent begun: what must come back with the callback."""

    system: str
    code_verifier: str
    connection_id: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the reading of one kind stands. `total` is known once the upstream has said it."""

    kind: Kind
    cursor: str
    first_done: bool
    seen: int
    total: int | None


class Connections:
    """Repository of one merchant's connections."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def get(self, connection_id: int) -> ConnectionRow:
        """One connection. Raises NotFound."""
        statement = self._bound.select(t.connections, *_FIELDS).where(t.connections.c.id == connection_id)
        return connection_row(self._bound.one(statement, "This connection does not exist."))

    def all(self) -> list[ConnectionRow]:
        """All connections, oldest first."""
        statement = self._bound.select(t.connections, *_FIELDS).order_by(t.connections.c.id)
        return [connection_row(row) for row in self._bound.rows(statement)]

    def begin_consent(
        self, *, state: str, session_hash: bytes, system: str, code_verifier: str, connection_id: int | None
    ) -> None:
        """Remember a consent until the browser comes back (15 minutes)."""
        self._bound.insert(
            t.oauth_states,
            state_hash=hashlib.sha256(state.encode()).digest(),
            system=system,
            session_hash=session_hash,
            sealed_verifier=self._bound.vault.seal(code_verifier.encode(), bound_to=f"consent:{system}"),
            connection_id=connection_id,
            created_at=self._bound.now,
            expires_at=self._bound.now + timedelta(minutes=_CONSENT_MINUTES),
        )

    def redeem_consent(self, *, state: str, session_hash: bytes, system: str) -> Consent:
        """Use a consent up. Raises NotAllowed (not ours, other session), Ended (used or expired)."""
        s = t.oauth_states.c
        state_hash = hashlib.sha256(state.encode()).digest()
        row = self._bound.connection.execute(
            self._bound.select(t.oauth_states).where(s.state_hash == state_hash, s.system == system)
        ).first()
        if row is None or row.session_hash != session_hash:
            raise NotAllowed("This consent was not started from your session. Start the connection again.")
        if row.expires_at < self._bound.now:
            raise Ended("The consent took longer than 15 minutes. Start the connection again.")
        if not self._bound.update(
            t.oauth_states, s.state_hash == state_hash, s.used_at.is_(None), used_at=self._bound.now
        ):
            raise Ended("This consent was used already. Start the connection again if it is not listed as connected.")
        verifier = self._bound.vault.open(row.sealed_verifier, bound_to=f"consent:{system}").decode()
        return Consent(system, verifier, row.connection_id)

    def add(
        self, *, system: str, tenant: str, name: str, currency: str, extra: Mapping[str, str], install_key: str | None
    ) -> int:
        """A new connection awaiting confirmation; the old one where this organisation was connected before. Its id."""
        c = t.connections.c
        old = self._bound.connection.execute(
            self._bound.select(t.connections, c.id).where(c.system == system, c.tenant == tenant)
        ).scalar()
        if old is not None:
            self.change(old, name=name, currency=currency, extra=dict(extra), problem="")
            return int(old)
        result = self._bound.insert(
            t.connections,
            system=system,
            tenant=tenant,
            name=name,
            currency=currency,
            extra=dict(extra),
            state="pending",
            install_key=install_key,
            created_at=self._bound.now,
        )
        return int(result.inserted_primary_key[0])  # type: ignore[index]

    def change(self, connection_id: int, **values: Any) -> None:
        """Set columns of one connection."""
        self._bound.update(t.connections, t.connections.c.id == connection_id, **values)

    def confirm(
        self, connection_id: int, *, history_start: date | None, deposit_account: str, place_links: bool
    ) -> None:
        """The merchant has seen the dry run and said yes."""
        self.change(
            connection_id,
            state="active",
            history_start=history_start,
            deposit_account=deposit_account,
            place_links=place_links,
            confirmed_at=self._bound.now,
        )

    def store_secrets(self, connection_id: int, sealed: bytes) -> None:
        """Keep the tokens of a new consent, in place of any older ones."""
        values = {"sealed": sealed, "changed_at": self._bound.now}
        if not self._bound.update(
            t.secrets, t.secrets.c.connection_id == connection_id, rotation=t.secrets.c.rotation + 1, **values
        ):
            self._bound.insert(t.secrets, connection_id=connection_id, **values)

    def forget_secrets(self, connection_id: int) -> None:
        """Delete the tokens."""
        self._bound.connection.execute(
            sa.delete(t.secrets).where(self._bound.mine(t.secrets), t.secrets.c.connection_id == connection_id)
        )

    def reading(self, connection_id: int, kind: Kind) -> Reading | None:
        """Where the reading of `kind` stands, or None when it has not begun."""
        row = self._bound.connection.execute(_READING, self._which(connection_id, kind)).first()
        return None if row is None else Reading(kind, row.cursor, row.first_done, row.seen, row.total)

    def move_reading(self, connection_id: int, reading: Reading) -> None:
        """Store how far a reading has come."""
        values = {
            "cursor": reading.cursor,
            "first_done": reading.first_done,
            "seen": reading.seen,
            "total": reading.total,
            "updated_at": self._bound.now,
        }
        which = self._which(connection_id, reading.kind)
        if not self._bound.connection.execute(_MOVE_READING, which | values).rowcount:
            self._bound.insert(t.cursors, connection_id=connection_id, kind=reading.kind, **values)

    def _which(self, connection_id: int, kind: Kind) -> dict[str, Any]:
        return {"of_merchant": self._bound.merchant_id, "of_connection": connection_id, "of_kind": kind}

    def restart_readings(self, connection_id: int) -> None:
        """Forget how far reading has come, so that the next sync reads everything again."""
        self._bound.connection.execute(
            sa.delete(t.cursors).where(self._bound.mine(t.cursors), t.cursors.c.connection_id == connection_id)
        )

    def replace_accounts(self, connection_id: int, accounts: Sequence[UpstreamAccount]) -> None:
        """Store the accounts a payment may be deposited to."""
        a = t.deposit_accounts
        self._bound.connection.execute(sa.delete(a).where(self._bound.mine(a), a.c.connection_id == connection_id))
        for account in accounts:
            self._bound.insert(a, connection_id=connection_id, **account._asdict())

    def account_ids(self, connection_id: int) -> set[str]:
        """Remote ids of the accounts a payment may be deposited to."""
        a = t.deposit_accounts
        statement = self._bound.select(a, a.c.remote_id).where(a.c.connection_id == connection_id)
        return {row.remote_id for row in self._bound.rows(statement)}
