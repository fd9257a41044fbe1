"""The job engine: DBOS runs attempts, our work rows say which. The one module that knows DBOS.

DBOS keeps its rows in the same database, so an attempt is enqueued in the transaction that records the work. Its
rows may be lost at any time; what is kept alive of them and how is in `connector.jobs.housekeeping`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, Serializer, WorkflowStatus, _enqueue_options, _sys_db

from connector.config import Settings
from connector.db.clock import clock_of
from connector.db.engine import database_url, make_polling_engine
from connector.db.executors import Executors
from connector.db.migrations import upgrade
from connector.db.work import WorkItem
from connector.domain.work import WAITED_FOR, Work
from connector.jobs.housekeeping import Housekeeper, Pace
from connector.jobs.presence import Presence, executor_name, folder_of
from connector.jobs.runner import Handler, attempt
from connector.wiring import Wiring

APPLICATION = "duebridge"
# What people wait for has a queue of its own, so that imports never hold its threads.
QUEUE = "work"
BACKGROUND_QUEUE = "background"
# Fixed, and raised only when the workflow below changes its shape: the library runs work of its own version only, and
# by default computes the version from the code, so that every deployment would strand what was queued before it.
VERSION = "1"
_WORKFLOW = "attempt"
_UNDER_WAY = ["ENQUEUED", "PENDING", "DELAYED"]
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]

_log = structlog.get_logger()


class _Json(Serializer):
    """Arguments as JSON: the library's own choice would unpickle whatever stands in the database."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=repr)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "duebridge_json"


class _Time:
    """Python's `time` as the library sees it: delays begin and end by the clock all machines share."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def time(self) -> float:
        return self._clock().timestamp()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def _by_the_clock(clock: Callable[[], datetime]) -> None:
    """The library reckons delays by the machine it runs on, where they begin as where they end."""
    for module in (_enqueue_options, _sys_db):
        vars(module)["time"] = _Time(clock)


class Dispatcher:
    """Wakes the engine: called by the work queue with the connection of the transaction that records the work."""

    def __init__(self, address: str) -> None:
        _into_our_logs()
        self.engine = make_polling_engine(address)
        _by_the_clock(clock_of(self.engine))
        self.client = DBOSClient(
            system_database_engine=self.engine, application_name=APPLICATION, serializer=_Json(), lazy=True
        )

    def __call__(self, connection: sa.Connection, item: WorkItem, delay: float) -> None:
        """Enqueue this attempt, to run in `delay` seconds; nothing of it remains if the transaction rolls back."""
        options: dict[str, Any] = {
            "workflow_name": _WORKFLOW,
            "queue_name": QUEUE if item.kind in WAITED_FOR else BACKGROUND_QUEUE,
            "workflow_id": _workflow_id(item),
            "app_version": VERSION,
            "queue_partition_key": item.partition,
        }
        if delay > 0:
            options["delay_seconds"] = delay
        self.client.enqueue_in_transaction(connection, options, item.id, item.attempt, item.merchant)  # type: ignore[arg-type]

    def adopt(self, executor: str) -> int:
        """Give what a dead worker was doing to the living; how many attempts."""
        found = self.client.list_workflows(executor_id=executor, status="PENDING", load_input=False, load_output=False)
        self._resume(found)
        return len(found)

    def unattended(self, executor: str) -> set[str]:
        """Attempts that a worker of this process has claimed and does not do: the database went away in between."""
        found = self.client.list_workflows(executor_id=executor, status="PENDING", load_input=False, load_output=False)
        engine = Engine.running
        doing = engine.doing() if engine is not None and engine.executor == executor else set()
        return {workflow.workflow_id for workflow in found} - doing

    def release(self, attempts: Collection[str]) -> None:
        """Give these attempts to whoever comes first."""
        found = self.client.list_workflows(
            workflow_ids=list(attempts), status="PENDING", load_input=False, load_output=False
        )
        self._resume(found)

    def lost(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """Those the engine has nothing under way for."""
        if not items:
            return []
        under_way = {
            workflow.workflow_id
            for workflow in self.client.list_workflows(
                workflow_ids=[_workflow_id(item) for item in items],
                status=_UNDER_WAY,
                app_version=VERSION,
                load_input=False,
                load_output=False,
            )
        }
        return [item for item in items if _workflow_id(item) not in under_way]

    def _resume(self, workflows: Iterable[WorkflowStatus]) -> None:
        queues = defaultdict(list)
        for workflow in workflows:
            queues[workflow.queue_name].append(workflow.workflow_id)
        for queue, ids in queues.items():
            # The queue is named, or the library would move them to its own, past our limits.
            self.client.resume_workflows(ids, queue_name=queue)

    def forget_finished(self, before: datetime) -> int:
        """Delete what ended before a moment; how many rows."""
        forgotten = 0
        while True:
            ids = [
                workflow.workflow_id
                for workflow in self.client.list_workflows(
                    status=_ENDED,
                    completed_before=before.isoformat(),
                    limit=500,
                    load_input=False,
                    load_output=False,
                )
            ]
            if not ids:
                return forgotten
            self.client.delete_workflows(ids)
            forgotten += len(ids)

    def rows(self) -> dict[str, int]:
        """How many of its rows are under way in which state, and (`all`) about how many there are altogether."""
        with self.engine.connect() as connection:
            on_postgresql = connection.dialect.name == "postgresql"
            table = "dbos.workflow_status" if on_postgresql else "workflow_status"
            under_way = ", ".join(f"'{status}'" for status in _UNDER_WAY)
            counted = sa.text(f"SELECT status, count(*) FROM {table} WHERE status IN ({under_way}) GROUP BY status")  # noqa: S608
            # Those that ended may be millions: PostgreSQL's own estimate costs nothing.
            everything = sa.text(
                f"SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = '{table}'::regclass"  # noqa: S608
                if on_postgresql
                else f"SELECT count(*) FROM {table}"  # noqa: S608
            )
            rows = {str(status).lower(): int(number) for status, number in connection.execute(counted)}
            return rows | {"all": max(int(connection.execute(everything).scalar_one()), sum(rows.values()))}

    def close(self) -> None:
        """Give its connections back."""
        self.client.destroy()
        self.engine.dispose()


def dispatcher(settings: Settings) -> Dispatcher:
    """What `Database` is given to wake the engine with."""
    return Dispatcher(settings.database_url)


def prepare_database(address: str) -> None:
    """Make or upgrade all tables, ours and the library's. Safe to run at any time and in several processes."""
    _into_our_logs()
    upgrade(address)
    DBOS.migrate(database_url(address).render_as_string(hide_password=False))


@DBOS.workflow(name=_WORKFLOW)
def _attempt(identity: str, number: int, merchant_id: int | None) -> None:
    """One short workflow an attempt; waiting is a later attempt, never a sleeping worker."""
    running = Engine.running
    if running is not None:
        running.attempt(identity, number, merchant_id)


class Engine:
    """The worker's half, in a process of its own or beside the web application. One at a time in a process."""

    running: Engine | None = None

    def __init__(self, wiring: Wiring, handlers: Mapping[Work, Handler], pace: Pace | None = None) -> None:
        self._wiring = wiring
        self._handlers = handlers
        self._pace = pace or Pace()
        self.executor = executor_name()
        self._idle = threading.Condition()
        self._active = 0
        self._doing: set[str] = set()

    def start(self) -> None:
        """Begin to work. Raises RuntimeError when this process has an engine running."""
        if Engine.running is not None:
            raise RuntimeError("This process runs a job engine already; stop that one first.")
        self._rows = Dispatcher(self._wiring.settings.database_url)
        presence = Presence(folder_of(self._wiring.settings), self.executor)
        self.housekeeper = Housekeeper(self._wiring, self._rows, self.executor, self._pace, presence)
        Engine.running = self
        try:
            DBOS(
                config={
                    "name": APPLICATION,
                    "system_database_engine": self._rows.engine,
                    "executor_id": self.executor,
                    "application_version": VERSION,
                    "serializer": _Json(),
                    "run_migrations": False,
                    # We use none of the library's messages between workflows; without this it keeps a connection open.
                    "use_listen_notify": False,
                    "log_level": "WARNING",
                }
            )
            self.housekeeper.begin()
            DBOS.launch()
            for queue in (QUEUE, BACKGROUND_QUEUE):
                DBOS.register_queue(
                    queue,
                    worker_concurrency=self._pace.threads,
                    partition_concurrency=self._pace.each_partition,
                    polling_interval_sec=self._pace.poll,
                )
        except BaseException:
            Engine.running = None
            DBOS.destroy()
            self.housekeeper.end()
            self._rows.close()
            raise
        _log.info("worker started", executor=self.executor)

    def stop(self) -> None:
        """Finish what is under way, for at most `stop_within` seconds, and leave the rest to others."""
        if Engine.running is not self:
            return
        DBOS.destroy(workflow_completion_timeout_sec=int(self._pace.stop_within) if self._active else 0)
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0, timeout=self._pace.stop_within)
        self.housekeeper.end()
        Engine.running = None
        self._rows.close()
        _log.info("worker stopped", executor=self.executor)

    @property
    def unfinished(self) -> int:
        """Attempts that did not end in time: they are others' by now, and can write nothing about their work."""
        return self._active

    def trouble(self) -> str:
        """Why no work is done here, in one word for a machine; '' while this worker takes work and is heard of."""
        if Engine.running is not self:
            return "not_running"
        if not self.housekeeper.running:
            return "housekeeping_ended"
        silent = Executors(self._wiring.database.engine).silent_for(self._pace.dead_after)
        return "silent" if self.executor in silent else ""

    def doing(self) -> set[str]:
        """The attempts under way here, by the library's ids."""
        with self._idle:
            return set(self._doing)

    def attempt(self, identity: str, number: int, merchant_id: int | None) -> None:
        """Run one attempt in the calling thread, counted so that `stop` can wait for it."""
        with self._idle:
            self._active += 1
            self._doing.add(f"{identity}:{number}")
        try:
            attempt(self._wiring, self._handlers, identity, number, merchant_id)
        finally:
            with self._idle:
                self._active -= 1
                self._doing.discard(f"{identity}:{number}")
                self._idle.notify_all()


def _workflow_id(item: WorkItem) -> str:
    return f"{item.id}:{item.attempt}"


def _into_our_logs() -> None:
    """The library would set up a console of its own unless its logger has a handler."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
    logger.setLevel(logging.WARNING)
