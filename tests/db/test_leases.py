"""Tokens are read sealed, renewed by one process at a time, and a rotation is never lost."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from connector.contract import Disconnected, TokenSet
from connector.db import tables as t
from connector.db.leases import SqlTokenStore, open_tokens, seal_tokens
from connector.db.vault import CannotOpen, Vault
from tests.db.conftest import NOW

_KEYS = [("test", bytes(range(32)))]

_RACE = """
import sys, time
from connector.db.engine import make_engine
from connector.db.leases import SqlTokenStore
from connector.db.vault import Vault
store = SqlTokenStore(make_engine(sys.argv[1]), Vault([("test", bytes(range(32)))]))
store.read(sys.argv[2])
time.sleep(max(0, float(sys.argv[4]) - time.time()))
print(int(store.take_turn(sys.argv[2], sys.argv[3], 30)))
"""


def _tokens(refresh: str, access: str = "access") -> TokenSet:
    return TokenSet(
        access=access,
        refresh=refresh,
        access_expires=datetime(2026, 3, 2, 10, 0, tzinfo=UTC),
        refresh_expires=datetime(2026, 6, 2, 10, 0, tzinfo=UTC),
        scope="accounting",
        extra={"grant": "g-1"},
    )


@pytest.fixture
def vault() -> Vault:
    """A vault with one key."""
    return Vault(_KEYS)


@pytest.fixture
def store(engine: sa.Engine, vault: Vault) -> SqlTokenStore:
    """A store on each kind of database."""
    return SqlTokenStore(engine, vault)


def _consent(engine: sa.Engine, vault: Vault, merchant: int, connection_id: int, tokens: TokenSet) -> None:
    sealed = seal_tokens(vault, str(connection_id), tokens)
    with engine.begin() as connection:
        changed = connection.execute(
            sa.update(t.secrets)
            .where(t.secrets.c.connection_id == connection_id)
            .values(sealed=sealed, rotation=t.secrets.c.rotation + 1)
        ).rowcount
        if not changed:
            connection.execute(
                sa.insert(t.secrets).values(
                    merchant_id=merchant, connection_id=connection_id, sealed=sealed, changed_at=NOW
                )
            )


@pytest.fixture
def connected(engine: sa.Engine, vault: Vault, merchants: tuple[int, int], connection_id: int) -> str:
    """A connection with tokens, as the key the contract speaks of."""
    _consent(engine, vault, merchants[0], connection_id, _tokens("refresh-1"))
    return str(connection_id)


def test_tokens_come_back_whole(store: SqlTokenStore, connected: str) -> None:
    assert store.read(connected) == _tokens("refresh-1")


def test_tokens_without_optional_parts_come_back_whole(vault: Vault) -> None:
    bare = TokenSet(access="a", refresh="r", access_expires=datetime.now(UTC) + timedelta(hours=1))
    assert open_tokens(vault, "1", seal_tokens(vault, "1", bare)) == bare


def test_tokens_stand_sealed_and_open_for_their_connection_only(
    engine: sa.Engine, vault: Vault, connected: str
) -> None:
    with engine.connect() as connection:
        sealed = connection.execute(sa.select(t.secrets.c.sealed)).scalar_one()
    assert b"refresh-1" not in sealed
    with pytest.raises(CannotOpen):
        open_tokens(vault, "999", sealed)


def test_a_connection_without_tokens_is_disconnected(store: SqlTokenStore, connection_id: int) -> None:
    with pytest.raises(Disconnected):
        store.read(str(connection_id))
    with pytest.raises(Disconnected):
        store.take_turn(str(connection_id), "a", 30)
    with pytest.raises(Disconnected):
        store.read("4711")


def test_one_holder_at_a_time_and_a_rotation_gives_the_turn_back(store: SqlTokenStore, connected: str) -> None:
    assert store.take_turn(connected, "a", 30)
    assert not store.take_turn(connected, "b", 30)
    assert store.keep(connected, "a", _tokens("refresh-2"))
    assert store.read(connected).refresh == "refresh-2"
    assert store.take_turn(connected, "b", 30)
    store.give_up_turn(connected, "b")
    assert store.take_turn(connected, "c", 30)


def test_a_dead_holders_lease_runs_out(store: SqlTokenStore, connected: str) -> None:
    assert store.take_turn(connected, "dead", 0.1)
    assert not store.take_turn(connected, "next", 30)
    time.sleep(0.15)
    assert store.take_turn(connected, "next", 30)


def test_a_rotation_after_a_lost_lease_is_kept_and_told(store: SqlTokenStore, connected: str) -> None:
    assert store.take_turn(connected, "slow", 0.05)
    time.sleep(0.1)
    assert not store.keep(connected, "slow", _tokens("refresh-2"))
    assert store.read(connected).refresh == "refresh-2"


def test_a_late_rotation_does_not_overwrite_a_later_one(store: SqlTokenStore, connected: str) -> None:
    assert store.take_turn(connected, "slow", 0.05)
    time.sleep(0.1)
    assert store.take_turn(connected, "quick", 30)
    assert store.keep(connected, "quick", _tokens("refresh-3"))
    assert not store.keep(connected, "slow", _tokens("refresh-2"))
    assert store.read(connected).refresh == "refresh-3"


def test_a_rotation_does_not_overwrite_a_consent_given_meanwhile(
    engine: sa.Engine, store: SqlTokenStore, vault: Vault, merchants: tuple[int, int], connected: str
) -> None:
    assert store.take_turn(connected, "a", 30)
    _consent(engine, vault, merchants[0], int(connected), _tokens("of the new consent"))
    assert not store.keep(connected, "a", _tokens("of the old consent"))
    assert store.read(connected).refresh == "of the new consent"


def test_connections_of_one_consent_share_lease_and_rotation(
    engine: sa.Engine, store: SqlTokenStore, vault: Vault, merchants: tuple[int, int], connected: str
) -> None:
    with engine.begin() as connection:
        sister, stranger = (
            connection.execute(
                sa.insert(t.connections)
                .values(
                    merchant_id=merchants[0],
                    system="quickbooks",
                    tenant=tenant,
                    extra={},
                    state="active",
                    created_at=NOW,
                )
                .returning(t.connections.c.id)
            ).scalar_one()
            for tenant in ("9131", "9132")
        )
    _consent(engine, vault, merchants[0], sister, _tokens("refresh-1"))
    _consent(engine, vault, merchants[0], stranger, _tokens("of another consent"))
    assert store.take_turn(connected, "a", 30)
    assert not store.take_turn(str(sister), "b", 30)
    assert store.take_turn(str(stranger), "c", 30)
    assert store.keep(connected, "a", _tokens("refresh-2"))
    assert store.read(str(sister)).refresh == "refresh-2"
    assert store.read(str(stranger)).refresh == "of another consent"
    assert store.take_turn(str(sister), "b", 30)
    assert not store.take_turn(connected, "d", 30)


def test_of_processes_that_ask_at_once_one_gets_the_turn(schema_url: str, connected: str) -> None:
    start = time.time() + 3
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, schema_url, connected, f"racer-{number}", str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    taken = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(taken) == 1
