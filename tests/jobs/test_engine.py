"""The real job engine on both databases: what is asked for is done, whatever dies or gets lost on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector.contract import TryAgain
from connector.db.executors import Executors
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs import engine as job_engine
from connector.jobs.engine import Dispatcher, Engine
from connector.jobs.runner import Handler
from connector.wiring import Wiring
from tests.jobs.wired import add_merchant, wired, work_states
from tests.jobs.worker_process import FAST

Start = Callable[[Mapping[Work, Handler]], Engine]


@pytest.fixture
def dispatch(address: str) -> Iterator[Dispatcher]:
    """What wakes the engine."""
    made = Dispatcher(address)
    yield made
    made.close()


@pytest.fixture
def wiring(address: str, dispatch: Dispatcher) -> Iterator[Wiring]:
    """A wiring that wakes the real engine."""
    made = wired(address, dispatch)
    yield made
    made.database.engine.dispose()


@pytest.fixture
def merchant(wiring: Wiring) -> int:
    """Whose work it is."""
    return add_merchant(wiring)


@pytest.fixture
def start(wiring: Wiring) -> Iterator[Start]:
    """Starts the engine in this process with these handlers; it is stopped afterwards."""
    started: list[Engine] = []

    def begin(handlers: Mapping[Work, Handler]) -> Engine:
        engine = Engine(wiring, handlers, FAST)
        engine.start()
        started.append(engine)
        return engine

    yield begin
    for engine in started:
        engine.stop()


@pytest.fixture
def worker(address: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts worker processes; those still alive are killed afterwards."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*mode: str) -> subprocess.Popen[bytes]:
        log = tmp_path / "log"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.worker_process", address, str(log), *mode], stdout=subprocess.DEVNULL
        )
        processes.append(process)
        _until(lambda: log.with_suffix(f".{process.pid}").exists())
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def _ask(wiring: Wiring, merchant: int, key: str = "7", delay: float = 0.0) -> str:
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.MAIL, key, partition="mail", delay=delay)
    return f"mail:{merchant}:{key}"


def _until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.05)


def _done(wiring: Wiring) -> Callable[[], bool]:
    return lambda: set(work_states(wiring).values()) == {"done"}


def _lines(tmp_path: Path) -> list[str]:
    log = tmp_path / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_work_is_done_soon_after_its_transaction_and_each_piece_once(
    wiring: Wiring, merchant: int, start: Start
) -> None:
    seen: list[str] = []
    start({Work.MAIL: lambda _, item: seen.append(item.id)})
    asked = [_ask(wiring, merchant, str(number)) for number in range(20)]
    _until(_done(wiring))
    assert sorted(seen) == sorted(asked)


def test_of_a_rolled_back_transaction_the_engine_hears_nothing(
    wiring: Wiring, merchant: int, start: Start, dispatch: Dispatcher
) -> None:
    with pytest.raises(ZeroDivisionError), wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.MAIL, "never", partition="mail")
        raise ZeroDivisionError
    assert dispatch.client.list_workflows() == []
    seen: list[str] = []
    start({Work.MAIL: lambda _, item: seen.append(item.id)})
    identity = _ask(wiring, merchant, "once")
    _until(_done(wiring))
    assert seen == [identity]


def test_attempts_follow_one_another_with_their_pauses(wiring: Wiring, merchant: int, start: Start) -> None:
    moments: list[float] = []

    def thrice(wiring: Wiring, item: WorkItem) -> None:
        moments.append(time.monotonic())
        if len(moments) < 3:
            raise TryAgain("Not yet.", after=1.5)

    start({Work.MAIL: thrice})
    _ask(wiring, merchant)
    _until(_done(wiring))
    assert len(moments) == 3
    assert min(later - earlier for earlier, later in pairwise(moments)) > 1.0


def test_work_of_the_installation_is_done(wiring: Wiring, start: Start) -> None:
    seen: list[int | None] = []
    start({Work.DELIVERY: lambda _, item: seen.append(item.merchant)})
    with wiring.database.installation() as everybody:
        everybody.work(None).add(Work.DELIVERY, "1", partition="xero", payload={"delivery": 1})
    _until(_done(wiring))
    assert seen == [None]


def test_the_engine_starts_and_stops_as_often_as_wanted_but_one_at_a_time(wiring: Wiring, merchant: int) -> None:
    for number in range(3):
        seen: list[str] = []
        engine = Engine(wiring, {Work.MAIL: lambda _, item, seen=seen: seen.append(item.id)}, FAST)  # type: ignore[misc]
        engine.start()
        with pytest.raises(RuntimeError, match="already"):
            Engine(wiring, {}, FAST).start()
        identity = _ask(wiring, merchant, str(number))
        _until(_done(wiring))
        engine.stop()
        engine.stop()
        assert seen == [identity]
    assert Executors(wiring.database.engine).silent_for(-60) == {}
    left = {thread.name for thread in threading.enumerate() if "queue-worker" in thread.name}
    assert left == set()


def test_stopping_waits_for_what_is_under_way(wiring: Wiring, merchant: int) -> None:
    begun = threading.Event()

    def slow(wiring: Wiring, item: WorkItem) -> None:
        begun.set()
        time.sleep(1.5)

    engine = Engine(wiring, {Work.MAIL: slow}, FAST)
    engine.start()
    _ask(wiring, merchant)
    assert begun.wait(20)
    engine.stop()
    assert set(work_states(wiring).values()) == {"done"}


def test_what_a_killed_worker_was_doing_is_done_by_another(
    wiring: Wiring, merchant: int, worker: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    dying = worker("hang")
    identity = _ask(wiring, merchant)
    _until(lambda: _lines(tmp_path) == [f"hang {dying.pid} {identity} 1"])
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    living = worker("work")
    _until(_done(wiring))
    assert _lines(tmp_path)[1:] == [f"work {living.pid} {identity} 1"]


def test_a_killed_worker_is_survived_by_one_that_runs_already(
    wiring: Wiring, merchant: int, worker: Callable[[str], subprocess.Popen[bytes]], start: Start, tmp_path: Path
) -> None:
    dying = worker("hang")
    asked = [_ask(wiring, merchant, str(number)) for number in range(3)]
    _until(lambda: len(_lines(tmp_path)) == 3)
    seen: list[str] = []
    start({Work.MAIL: lambda _, item: seen.append(item.id)})
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    _until(_done(wiring))
    assert sorted(seen) == sorted(asked)


@pytest.mark.skipif(sys.platform == "win32", reason="no proof of a process's end")
def test_a_killed_worker_of_this_machine_is_replaced_without_waiting_for_its_silence(
    wiring: Wiring, merchant: int, worker: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    dying = worker("hang", "patient")
    identity = _ask(wiring, merchant)
    _until(lambda: _lines(tmp_path) == [f"hang {dying.pid} {identity} 1"])
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    living = worker("work", "patient")
    _until(_done(wiring))
    assert _lines(tmp_path)[1:] == [f"work {living.pid} {identity} 1"]


@pytest.mark.skipif(sys.platform == "win32", reason="no proof of a process's end")
def test_a_worker_that_only_says_nothing_keeps_its_work_until_it_has_ended(
    wiring: Wiring, merchant: int, worker: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    silent = worker("hang", "patient")
    kept = _ask(wiring, merchant)
    _until(lambda: len(_lines(tmp_path)) == 1)
    silent.send_signal(signal.SIGSTOP)
    living = worker("work", "patient")
    for number in range(3):
        other = _ask(wiring, merchant, f"other-{number}")
        _until(lambda other=other: work_states(wiring)[other] == "done")  # type: ignore[misc]
    beats = Executors(wiring.database.engine)
    seen = [beats.silent_for(-60)]
    for _ in range(4):
        _until(lambda: beats.silent_for(-60) not in seen)
        seen.append(beats.silent_for(-60))
    assert work_states(wiring)[kept] == "pending" and not any(
        f"work {living.pid} {kept}" in line for line in _lines(tmp_path)
    )
    silent.send_signal(signal.SIGKILL)
    silent.wait()
    _until(_done(wiring))
    assert _lines(tmp_path)[-1] == f"work {living.pid} {kept} 1"


def test_a_worker_told_to_end_leaves_nothing_behind(
    wiring: Wiring, merchant: int, worker: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = worker("work")
    _ask(wiring, merchant)
    _until(_done(wiring))
    process.terminate()
    assert process.wait(20) == 0
    assert Executors(wiring.database.engine).silent_for(-60) == {}


def test_work_survives_the_loss_of_all_the_engines_rows(
    wiring: Wiring, merchant: int, start: Start, dispatch: Dispatcher
) -> None:
    asked = [_ask(wiring, merchant, str(number)) for number in range(5)]
    dispatch.client.delete_workflows([row.workflow_id for row in dispatch.client.list_workflows()])
    assert dispatch.client.list_workflows() == []
    seen: list[str] = []
    start({Work.MAIL: lambda _, item: seen.append(f"{item.id} {item.attempt}")})
    _until(_done(wiring))
    assert sorted(seen) == sorted(f"{identity} 2" for identity in asked)


def test_work_that_is_only_waiting_its_turn_is_not_taken_for_lost(
    wiring: Wiring, merchant: int, dispatch: Dispatcher
) -> None:
    for number in range(3):
        _ask(wiring, merchant, str(number))
    with wiring.database.lookup() as everybody:
        due = everybody.overdue_work(wiring.clock())
    assert len(due) == 3
    assert dispatch.lost(due) == []
    dispatch.client.delete_workflows([f"mail:{merchant}:1:1"])
    assert [item.id for item in dispatch.lost(due)] == [f"mail:{merchant}:1"]


def test_work_queued_before_an_update_of_the_code_is_done_after_it(
    wiring: Wiring, merchant: int, start: Start, dispatch: Dispatcher
) -> None:
    """The library runs its own version's work only and takes the version from the code unless it is fixed."""
    _ask(wiring, merchant)
    assert [row.app_version for row in dispatch.client.list_workflows()] == [job_engine.VERSION]
    start({Work.MAIL: lambda _, item: None})
    _until(_done(wiring))
    assert {row.app_version for row in dispatch.client.list_workflows()} == {job_engine.VERSION}


def test_work_of_a_version_nobody_runs_any_more_is_begun_anew(
    wiring: Wiring, merchant: int, start: Start, dispatch: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_engine, "VERSION", "0")
    _ask(wiring, merchant)
    monkeypatch.undo()
    seen: list[int] = []
    start({Work.MAIL: lambda _, item: seen.append(item.attempt)})
    _until(_done(wiring))
    assert seen == [2]


def test_finished_rows_of_the_engine_are_forgotten(
    wiring: Wiring, merchant: int, start: Start, dispatch: Dispatcher
) -> None:
    start({Work.MAIL: lambda _, item: None})
    for number in range(3):
        _ask(wiring, merchant, str(number))
    _until(_done(wiring))
    _until(lambda: all(row.status == "SUCCESS" for row in dispatch.client.list_workflows()))
    _ask(wiring, merchant, "waits", delay=600)
    assert dispatch.forget_finished(wiring.clock()) == 3
    assert [row.status for row in dispatch.client.list_workflows()] == ["DELAYED"]


def test_the_engines_rows_hold_no_pickles(wiring: Wiring, merchant: int, start: Start) -> None:
    start({Work.MAIL: lambda _, item: None})
    _ask(wiring, merchant)
    _until(_done(wiring))
    with wiring.database.engine.connect() as connection:
        schema = None if connection.dialect.name == "sqlite" else "dbos"
        inputs = connection.execute(sa.select(sa.table("workflow_input", sa.column("inputs"), schema=schema).c.inputs))
        assert [text[:1] for text in inputs.scalars()] == ["{"]
