"""duebridge work: what an operator is shown and may do, with exit codes, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from connector.cli import main
from connector.contract import Disconnected, Refused
from connector.db import tables as t
from connector.db.engine import bind_to_merchant
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.domain.work_words import may_cancel, words_of
from connector.jobs.runner import run_due
from connector.wiring import Wiring
from tests.jobs.wired import add_connection, add_merchant, wired

Command = Callable[..., Result]


@pytest.fixture
def wiring(address: str) -> Iterator[Wiring]:
    """An installation with the job engine's tables, since retrying wakes it."""
    made = wired(address, lambda connection, item, delay: None)
    yield made
    made.database.engine.dispose()


@pytest.fixture
def command(address: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `duebridge work ...`."""
    monkeypatch.setenv("DUEBRIDGE_DATABASE_URL", address)
    runner = CliRunner()

    def run(*words: str, typed: str | None = None) -> Result:
        return runner.invoke(main, ["work", *words], input=typed)

    return run


def add(wiring: Wiring, merchant: int | None, kind: Work, key: str, **payload: Any) -> str:
    """Work that is due."""
    with wiring.database.installation() as everybody:
        everybody.work(merchant).add(kind, key, partition="p", payload=payload)
    return f"{kind}:{merchant or ''}:{key}"


def fail(wiring: Wiring, kind: Work, failure: Exception) -> None:
    """Do what is due of a kind, without success."""

    def handler(wiring: Wiring, item: WorkItem) -> None:
        raise failure

    run_due(wiring, {kind: handler})


def states(wiring: Wiring) -> dict[str, str]:
    """Every row's state."""
    with wiring.database.engine.begin() as connection:
        bind_to_merchant(connection, None)
        return {row.id: row.state for row in connection.execute(sa.select(t.work.c.id, t.work.c.state))}


def audited(wiring: Wiring, merchant: int) -> list[tuple[str, str]]:
    """What the merchant's audit log holds."""
    with wiring.database.reader(merchant) as reader:
        a = t.audit_log.c
        return [(row.action, row.target) for row in reader.rows(sa.select(a.action, a.target).order_by(a.id))]


def test_the_list_is_narrowed_by_state_kind_merchant_and_age(wiring: Wiring, command: Command) -> None:
    north, south = add_merchant(wiring), add_merchant(wiring, "south")
    dead = add(wiring, north, Work.MAIL, "1")
    fail(wiring, Work.MAIL, Refused("There is no such mailbox.", "550"))
    waits = add(wiring, south, Work.SYNC, "2", connection=2)
    own = add(wiring, None, Work.DELIVERY, "sandbox")
    with wiring.database.engine.begin() as connection:
        bind_to_merchant(connection, None)
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        connection.execute(sa.update(t.work).where(t.work.c.id == waits).values(next_at=hour_ago))

    def listed(*words: str) -> list[str]:
        result = command("list", "--json", *words)
        assert result.exit_code == 0, result.output
        return [row["id"] for row in json.loads(result.output)]

    assert listed() == [waits, own, dead]
    assert listed("--state", "dead") == [dead]
    assert listed("--state", "done") == []
    assert listed("--kind", "sync") == [waits]
    assert listed("--merchant", str(north)) == [dead]
    assert listed("--older-than", "30m") == [waits]
    assert listed("--older-than", "2h") == []
    assert listed("--limit", "1") == [waits]
    told = command("list").output
    assert "There is no such mailbox." in told and "3 pieces of work." in told
    assert command("list", "--older-than", "soon").exit_code == 2
    assert command("list", "--kind", "nonsense").exit_code == 2


def test_the_whole_story_of_one_piece(wiring: Wiring, command: Command) -> None:
    merchant = add_merchant(wiring)
    connection_id = add_connection(wiring, merchant, "quickbooks", "broken")
    identity = add(wiring, merchant, Work.SYNC, str(connection_id), connection=connection_id)
    fail(wiring, Work.SYNC, Disconnected("QuickBooks Online no longer accepts our access."))
    result = command("show", identity)
    assert result.exit_code == 0
    for words in (
        "Reading what is new",
        "pending, due",
        f"merchant {merchant}",
        "2 so far, 0 failed",
        "QuickBooks Online no longer accepts our access.",
        f"connection {connection_id} (broken)",
        "Correlation:",
        "tried again by itself",
        "reconnect it",
    ):
        assert words in result.output, words
    assert command("retry", identity).exit_code == 0
    story = json.loads(command("show", identity, "--json").output)
    assert story["attempt"] == 3 and len(story["correlation"]) == 32
    assert story["about"] == [{"what": "connection", "id": str(connection_id), "state": "broken"}]
    assert [deed["action"] for deed in story["by_hand"]] == ["work.retried"]
    missing = command("show", "sync:1:nothing")
    assert missing.exit_code == 3 and "no such background work" in missing.stderr


def test_dead_work_is_tried_again_and_the_engine_is_woken(wiring: Wiring, command: Command) -> None:
    merchant = add_merchant(wiring)
    letters = [add(wiring, merchant, Work.MAIL, str(number)) for number in range(3)]
    fail(wiring, Work.MAIL, Refused("There is no such mailbox.", "550"))
    assert set(states(wiring).values()) == {"dead"}
    one = command("retry", letters[0])
    assert one.exit_code == 0 and states(wiring)[letters[0]] == "pending"
    assert command("retry", "--dead", "--kind", "sync").output.endswith("0 pieces of work.\n")
    rest = command("retry", "--dead", "--merchant", str(merchant))
    assert rest.exit_code == 0 and "2 pieces of work." in rest.output
    assert set(states(wiring).values()) == {"pending"}
    assert sorted(audited(wiring, merchant)) == [("work.retried", f"work {identity}") for identity in sorted(letters)]
    with wiring.database.engine.connect() as connection:
        schema = "dbos" if connection.dialect.name == "postgresql" else None
        woken = connection.execute(
            sa.select(sa.func.count()).select_from(sa.table("workflow_status", schema=schema))
        ).scalar_one()
    assert woken == 3
    run_due(wiring, {Work.MAIL: lambda wiring, item: None})
    done = command("retry", letters[0])
    assert done.exit_code == 1 and "done already" in done.stderr
    assert command("retry", "mail:1:nothing").exit_code == 3
    assert command("retry").exit_code == 2
    assert command("retry", letters[0], "--dead").exit_code == 2


def test_waiting_work_is_cancelled_after_a_question_and_kept_with_its_cause(wiring: Wiring, command: Command) -> None:
    merchant = add_merchant(wiring)
    identity = add(wiring, merchant, Work.MAIL, "1")
    refused = command("cancel", identity, typed="n\n")
    assert refused.exit_code == 1 and "never sent" in refused.output
    assert states(wiring) == {identity: "pending"}
    assert command("cancel", identity, typed="y\n").exit_code == 0
    assert states(wiring) == {identity: "dead"}
    assert "Cancelled by an operator" in command("show", identity).output
    assert audited(wiring, merchant) == [("work.cancelled", f"work {identity}")]
    again = command("cancel", identity, "--yes")
    assert again.exit_code == 1 and "dead already" in again.stderr
    assert command("cancel", "mail:1:nothing", "--yes").exit_code == 3


def test_work_about_money_ends_by_force_alone(wiring: Wiring, command: Command) -> None:
    merchant = add_merchant(wiring)
    identity = add(wiring, merchant, Work.WRITE_BACK, "p:1", payment="p", connection=1)
    result = command("cancel", identity, "--yes")
    assert result.exit_code == 1 and "about money" in result.stderr
    assert states(wiring) == {identity: "pending"}
    assert command("cancel", identity, "--yes", "--force").exit_code == 0
    assert states(wiring) == {identity: "dead"}


def test_an_attempt_under_way_writes_nothing_after_the_work_was_cancelled(wiring: Wiring, command: Command) -> None:
    merchant = add_merchant(wiring)
    identity = add(wiring, merchant, Work.MAIL, "1")

    def handler(wiring: Wiring, item: WorkItem) -> None:
        assert command("cancel", identity, "--yes").exit_code == 0

    run_due(wiring, {Work.MAIL: handler})
    assert states(wiring) == {identity: "dead"}


def test_the_installations_own_work_is_retried_too(wiring: Wiring, command: Command) -> None:
    identity = add(wiring, None, Work.DELIVERY, "sandbox")
    fail(wiring, Work.DELIVERY, Refused("It could not be read.", "unreadable"))
    assert states(wiring) == {identity: "dead"}
    assert "the installation" in command("show", identity).output
    assert command("retry", identity).exit_code == 0
    assert states(wiring) == {identity: "pending"}


def test_the_installations_own_work_is_cancelled_too(wiring: Wiring, command: Command) -> None:
    identity = add(wiring, None, Work.DELIVERY, "sandbox")
    assert command("cancel", identity, "--yes").exit_code == 0
    assert states(wiring) == {identity: "dead"}
    assert "Cancelled by an operator" in command("show", identity).output
    run_due(wiring, {})
    assert states(wiring) == {identity: "dead"}, "nobody takes it up"
    assert command("retry", identity).exit_code == 0
    assert states(wiring) == {identity: "pending"}


def test_a_database_that_was_not_prepared_is_named(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBRIDGE_DATABASE_URL", sqlite_url)
    result = CliRunner().invoke(main, ["work", "list"])
    assert result.exit_code == 1 and "duebridge db upgrade" in result.stderr


def test_every_kind_of_work_has_its_words() -> None:
    unknown = words_of("made up").title
    assert not [kind for kind in Work if words_of(kind).title == unknown]
    money = {kind for kind in Work if not may_cancel(kind)}
    assert {Work.RECONCILE, Work.RELEASE, Work.WRITE_BACK, Work.REFUND} <= money
