"""What has served its time goes, in small batches; what somebody may still need stays. On both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connector.config import BadSetting, Retention, read_settings
from connector.db import tables as t
from connector.db.clock import clock_micros
from connector.db.engine import bind_to_merchant
from connector.db.installation import Installation
from connector.db.unit_of_work import Database
from connector.jobs import retention
from connector.wiring import Wiring
from tests.jobs.wired import START, Clock, add_merchant, wired

LONG_AGO = START - timedelta(days=400)
DAY_MICROS = 86_400 * 1_000_000


@pytest.fixture
def wiring(schema_url: str) -> Iterator[Wiring]:
    """An installation whose clock stands still."""
    made = wired(schema_url, lambda connection, item, delay: None, Clock())
    yield made
    made.database.engine.dispose()


@contextmanager
def writing(wiring: Wiring) -> Iterator[sa.Connection]:
    """Rows of all merchants."""
    with wiring.database.engine.begin() as connection:
        bind_to_merchant(connection, None)
        yield connection


def left(wiring: Wiring, column: sa.ColumnElement[Any]) -> set[Any]:
    """What a column still holds."""
    with writing(wiring) as connection:
        return set(connection.execute(sa.select(column)).scalars())


def work(identity: str, state: str, finished_at: datetime | None) -> dict[str, Any]:
    """A row of work."""
    fixed = {"kind": "mail", "partition": "p", "attempt": 1, "failures": 0, "asked": 1, "payload": {}, "error": ""}
    return fixed | {
        "id": identity,
        "state": state,
        "next_at": LONG_AGO,
        "created_at": LONG_AGO,
        "finished_at": finished_at,
    }


def test_sessions_codes_and_consents_go_after_they_ran_out(wiring: Wiring) -> None:
    merchant = add_merchant(wiring)
    with writing(wiring) as connection:
        for name, ends in (("old", START - timedelta(days=8)), ("fresh", START - timedelta(days=6))):
            connection.execute(
                sa.insert(t.sessions).values(
                    token_hash=name.encode(), merchant_id=merchant, realm="staff", created_at=LONG_AGO, expires_at=ends
                )
            )
        for name, ends in (("old", START - timedelta(days=2)), ("fresh", START - timedelta(hours=20))):
            connection.execute(
                sa.insert(t.codes).values(
                    id=name, merchant_id=merchant, purpose="sign_in", connection_id=1, customer="c", code_hash=b"h",
                    created_at=LONG_AGO, expires_at=ends,
                )
            )  # fmt: skip
            connection.execute(
                sa.insert(t.oauth_states).values(
                    state_hash=name.encode(), merchant_id=merchant, system="xero", session_hash=b"s",
                    sealed_verifier=b"v", created_at=LONG_AGO, expires_at=ends,
                )
            )  # fmt: skip
    assert retention.forget(wiring, START) == {"sessions": 1, "codes": 1, "consents": 1}
    assert left(wiring, t.sessions.c.token_hash) == {b"fresh"}
    assert left(wiring, t.codes.c.id) == {"fresh"}
    assert left(wiring, t.oauth_states.c.state_hash) == {b"fresh"}
    assert retention.forget(wiring, START) == {}


def test_mail_and_webhooks_go_only_when_nothing_is_left_to_do_with_them(wiring: Wiring) -> None:
    merchant = add_merchant(wiring)
    month_ago, lately = START - timedelta(days=31), START - timedelta(days=29)
    with writing(wiring) as connection:
        for state, made in (("sent", month_ago), ("refused", month_ago), ("queued", month_ago), ("sent", lately)):
            connection.execute(
                sa.insert(t.mails).values(
                    id=f"{state}-{(START - made).days}", merchant_id=merchant, recipient="a@b.example", template="code",
                    sealed_values=b"", state=state, created_at=made,
                )
            )  # fmt: skip
        for state, received in (("done", month_ago), ("unreadable", month_ago), ("new", month_ago), ("done", lately)):
            digest = f"{state}-{(START - received).days}".encode()
            connection.execute(
                sa.insert(t.deliveries).values(
                    sender="sandbox",
                    digest=digest,
                    body=b"{}",
                    received_at=received,
                    state=state,
                    processed_at=None if state == "new" else received,
                )
            )
    assert retention.forget(wiring, START) == {"mails": 2, "webhooks": 2}
    assert left(wiring, t.mails.c.id) == {"queued-31", "sent-29"}
    assert left(wiring, t.deliveries.c.digest) == {b"new-31", b"done-29"}


def test_finished_work_goes_after_its_period_and_pending_work_never(wiring: Wiring) -> None:
    with writing(wiring) as connection:
        for row in (
            work("done-old", "done", START - timedelta(days=15)),
            work("done-lately", "done", START - timedelta(days=13)),
            work("dead-old", "dead", LONG_AGO),
            work("dead-lately", "dead", START - timedelta(days=300)),
            work("pending", "pending", None),
        ):
            connection.execute(sa.insert(t.work).values(row))
    assert retention.forget(wiring, START) == {"done_work": 1, "dead_work": 1}
    assert left(wiring, t.work.c.id) == {"done-lately", "dead-lately", "pending"}


def test_limits_slots_and_leases_go_by_the_databases_clock(wiring: Wiring) -> None:
    with writing(wiring) as connection:
        now = clock_micros(connection)
        for name, until in (("idle", now - 2 * DAY_MICROS), ("in-use", now - DAY_MICROS // 2), ("ahead", now + 10**6)):
            connection.execute(sa.insert(t.limits).values(key=name, free_at=until))
            connection.execute(sa.insert(t.slots).values(key="k", holder=name, until=until))
            connection.execute(sa.insert(t.leases).values(name=name, holder="h", until=until))
    # The process's own clock stands in another year and changes nothing about them.
    assert retention.forget(wiring, START) == {"limits": 1, "slots": 1, "leases": 1}
    for column in (t.limits.c.key, t.slots.c.holder, t.leases.c.name):
        assert left(wiring, column) == {"in-use", "ahead"}


def test_a_batch_is_small_and_a_worker_that_stops_leaves_the_rest(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    deleted: list[int] = []
    forget_batch = Installation.forget

    def counted(self: Installation, *asked: Any) -> int:
        deleted.append(forget_batch(self, *asked))
        return deleted[-1]

    monkeypatch.setattr(Installation, "forget", counted)
    with writing(wiring) as connection:
        for number in range(10):
            connection.execute(sa.insert(t.work).values(work(f"w{number}", "done", LONG_AGO)))
    assert retention.forget(wiring, START, ended=lambda: sum(deleted) >= 6) == {"done_work": 6}
    assert max(deleted) == 3
    assert len(left(wiring, t.work.c.id)) == 4
    assert retention.forget(wiring, START) == {"done_work": 4}


def test_what_the_settings_keep_for_ever_is_kept(wiring: Wiring) -> None:
    kept = replace(wiring, settings=replace(wiring.settings, retention=Retention(done_work=0, dead_work=0)))
    with writing(wiring) as connection:
        connection.execute(sa.insert(t.work).values(work("done", "done", LONG_AGO)))
        connection.execute(sa.insert(t.work).values(work("dead", "dead", LONG_AGO)))
    assert retention.forget(kept, START) == {}
    assert left(wiring, t.work.c.id) == {"done", "dead"}


def test_the_periods_are_settings() -> None:
    kept = read_settings({"DUEBRIDGE_KEEP_WEBHOOKS_DAYS": "3", "DUEBRIDGE_KEEP_MAILS_DAYS": "0"}).retention
    assert kept == Retention(webhooks=3, mails=0)
    with pytest.raises(BadSetting, match="DUEBRIDGE_KEEP_DONE_WORK_DAYS"):
        read_settings({"DUEBRIDGE_KEEP_DONE_WORK_DAYS": "2"})
    with pytest.raises(BadSetting, match="DUEBRIDGE_KEEP_CODES_DAYS"):
        read_settings({"DUEBRIDGE_KEEP_CODES_DAYS": "a week"})


def test_a_unit_of_work_is_not_held_up_by_a_row_somebody_works_on(postgresql_schema_url: str) -> None:
    wiring = wired(postgresql_schema_url, lambda connection, item, delay: None, Clock())
    database: Database = wiring.database
    with writing(wiring) as connection:
        for name in ("worked-on", "idle"):
            connection.execute(sa.insert(t.work).values(work(name, "done", LONG_AGO)))
    with database.engine.begin() as busy:
        bind_to_merchant(busy, None)
        busy.execute(sa.select(t.work).where(t.work.c.id == "worked-on").with_for_update())
        assert retention.forget(wiring, START) == {"done_work": 1}
    assert left(wiring, t.work.c.id) == {"worked-on"}
    database.engine.dispose()
