"""Leases that let one process at a time do a thing, and the OAuth tokens renewed under one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from connector.checkpoints import passing
from connector.contract import Disconnected, TokenSet
from connector.db import tables as t
from connector.db.bound import on_conflict_insert
from connector.db.clock import clock_micros
from connector.db.engine import bind_to_merchant
from connector.db.vault import Vault

_MICROS = 1_000_000


def take_lease(connection: sa.Connection, name: str, holder: str, seconds: float) -> bool:
    """Take a lease within this transaction if nobody holds it; it runs out by itself after `seconds`."""
    now = clock_micros(connection)
    until = now + int(seconds * _MICROS)
    take = on_conflict_insert(connection, t.leases).values(name=name, holder=holder, until=until)
    # One that would run longer than this was taken before the clock was set back.
    free = sa.or_(t.leases.c.until <= now, t.leases.c.until > until + _MICROS, t.leases.c.holder == holder)
    take = take.on_conflict_do_update(index_elements=["name"], set_={"holder": holder, "until": until}, where=free)
    return bool(connection.execute(take).rowcount == 1)


def seal_tokens(vault: Vault, connection: str, tokens: TokenSet) -> bytes:
    """Tokens as they are kept in `secrets`, openable only for this connection."""
    values = {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "access_expires": tokens.access_expires.isoformat(),
        "refresh_expires": tokens.refresh_expires.isoformat() if tokens.refresh_expires else None,
        "scope": tokens.scope,
        "extra": dict(tokens.extra) if tokens.extra is not None else None,
    }
    return vault.seal(json.dumps(values).encode(), bound_to=f"secrets:{connection}")


def open_tokens(vault: Vault, connection: str, sealed: bytes) -> TokenSet:
    """The inverse of `seal_tokens`. Raises CannotOpen."""
    values = json.loads(vault.open(sealed, bound_to=f"secrets:{connection}"))
    expires = values["refresh_expires"]
    return TokenSet(
        access=values["access"],
        refresh=values["refresh"],
        access_expires=datetime.fromisoformat(values["access_expires"]),
        refresh_expires=datetime.fromisoformat(expires) if expires else None,
        scope=values["scope"],
        extra=values["extra"],
    )


class SqlTokenStore:
    """Implements `contract.TokenStore`. Each method is one short transaction of its own.

    One consent may open several organisations (Xero): their connections hold the same tokens, so they share the
    lease, and a rotation is kept for all of them.
    """

    def __init__(self, engine: sa.Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        # How often tokens had been stored when a holder took its turn, to notice a new consent meanwhile.
        self._rotation_seen: dict[str, int] = {}

    def read(self, connection: str) -> TokenSet:
        """The tokens in force. Raises Disconnected when there are none."""
        with self._engine.connect().execution_options(read_only=True) as reading, reading.begin():
            bind_to_merchant(reading, None)
            sealed = self._row(reading, connection).sealed
        return open_tokens(self._vault, connection, sealed)

    def take_turn(self, connection: str, holder: str, seconds: float) -> bool:
        """Take the refresh lease if nobody holds it. Raises Disconnected when there are no tokens."""
        with passing("tokens.take_turn"), self._engine.begin() as writing:
            bind_to_merchant(writing, None)
            shared = self._sharing(writing, connection)
            if not take_lease(writing, f"tokens:{min(shared)}", holder, seconds):
                return False
            self._rotation_seen[holder] = self._row(writing, connection).rotation
            return True

    def keep(self, connection: str, holder: str, tokens: TokenSet) -> bool:
        """Store a rotation and give the lease back.

        False when the lease was lost meanwhile. The rotation is kept all the same, unless somebody has stored other
        tokens since the turn was taken (a later refresh, a new consent): those are the ones in force.
        """
        seen = self._rotation_seen.pop(holder, None)
        with passing("tokens.keep"), self._engine.begin() as writing:
            bind_to_merchant(writing, None)
            row = self._row(writing, connection, lock=True)
            unchanged = seen is None or row.rotation == seen
            shared = self._sharing(writing, connection)
            if unchanged:
                for other in shared:
                    writing.execute(
                        sa.update(t.secrets)
                        .where(t.secrets.c.connection_id == other)
                        .values(
                            sealed=seal_tokens(self._vault, str(other), tokens),
                            rotation=t.secrets.c.rotation + 1,
                            changed_at=datetime.now(UTC),
                        )
                    )
            return self._give_back(writing, holder) and unchanged

    def give_up_turn(self, connection: str, holder: str) -> None:
        """Give the lease back without a rotation."""
        self._rotation_seen.pop(holder, None)
        with passing("tokens.give_up_turn"), self._engine.begin() as writing:
            self._give_back(writing, holder)

    @staticmethod
    def _give_back(writing: sa.Connection, holder: str) -> bool:
        now = clock_micros(writing)
        held = sa.delete(t.leases).where(t.leases.c.holder == holder, t.leases.c.name.like("tokens:%"))
        return writing.execute(held.where(t.leases.c.until > now)).rowcount > 0

    @staticmethod
    def _row(connection: sa.Connection, connection_id: str, *, lock: bool = False) -> Any:
        s = t.secrets.c
        statement = sa.select(s.sealed, s.rotation).where(s.connection_id == int(connection_id))
        row = connection.execute(statement.with_for_update() if lock else statement).first()
        if row is None:
            raise Disconnected("This connection has no access any more. Connect again.")
        return row

    def _sharing(self, connection: sa.Connection, connection_id: str) -> list[int]:
        """The connections that hold the same refresh token, this one included."""
        c, s = t.connections, t.secrets
        mine = self._row(connection, connection_id).sealed
        refresh = open_tokens(self._vault, connection_id, mine).refresh
        own = sa.select(c.c.merchant_id, c.c.system).where(c.c.id == int(connection_id)).subquery()
        siblings = connection.execute(
            sa.select(s.c.connection_id, s.c.sealed)
            .join(c, c.c.id == s.c.connection_id)
            .join(own, sa.and_(own.c.merchant_id == c.c.merchant_id, own.c.system == c.c.system))
            .order_by(s.c.connection_id)
        )
        return [
            row.connection_id
            for row in siblings
            if row.connection_id == int(connection_id)
            or open_tokens(self._vault, str(row.connection_id), row.sealed).refresh == refresh
        ]
