"""A wiring with a real database and nothing outside, for tests of work itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from connector.config import read_settings
from connector.db import tables as t
from connector.db.engine import make_engine
from connector.db.leases import SqlTokenStore
from connector.db.limits import SqlLimiter
from connector.db.unit_of_work import Database, Dispatch
from connector.db.vault import Vault
from connector.mail import Mailer
from connector.wiring import Wiring

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Clock:
    """A clock a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


def _real_time() -> datetime:
    return datetime.now(UTC)


def wired(address: str, dispatch: Dispatch, clock: Callable[[], datetime] = _real_time) -> Wiring:
    """A wiring without systems and gateways."""
    settings = read_settings({"DUEBRIDGE_DATABASE_URL": address})
    engine = make_engine(address)
    vault = Vault(settings.encryption_keys)
    store = SqlTokenStore(engine, vault)
    return Wiring(
        settings=settings,
        database=Database(engine, vault, clock, dispatch),
        systems={},
        gateways={},
        senders={},
        webhook_secrets={},
        mail=Mailer(settings.smtp, clock),
        limiter=SqlLimiter(engine),
        token_store=store,
        token_supply=lambda system, connection: lambda refused: store.read(connection).access,
        clock=clock,
    )


def add_merchant(wiring: Wiring, slug: str = "north") -> int:
    """A merchant to work for."""
    with wiring.database.engine.begin() as connection:
        made: int = connection.execute(
            sa.insert(t.merchants).values(slug=slug, created_at=START).returning(t.merchants.c.id)
        ).scalar_one()
    return made


def add_connection(wiring: Wiring, merchant_id: int, system: str, state: str = "active") -> int:
    """A connection of a merchant."""
    with wiring.database.engine.begin() as connection:
        number = connection.execute(sa.select(sa.func.count()).select_from(t.connections)).scalar_one()
        made: int = connection.execute(
            sa.insert(t.connections)
            .values(merchant_id=merchant_id, system=system, tenant=str(number), extra={}, state=state, created_at=START)
            .returning(t.connections.c.id)
        ).scalar_one()
    return made


def work_states(wiring: Wiring) -> dict[str, str]:
    """Every work row's state."""
    with wiring.database.engine.connect() as connection:
        return {row.id: row.state for row in connection.execute(sa.select(t.work.c.id, t.work.c.state))}
