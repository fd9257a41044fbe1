"""What the serve, worker and sync commands do."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from connector import app as roof
from connector.config import Settings, read_settings
from connector.contract import TryAgain
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.journeys import sync
from connector.wiring import Timing, nobody_waits

if TYPE_CHECKING:
    from flask import Flask

    from connector.jobs.engine import Engine
    from connector.jobs.housekeeping import Pace

# glibc's mallopt(3): from this size on memory comes from the system and goes back to it.
_M_MMAP_THRESHOLD, _LARGE = -3, 1024 * 1024
_log = structlog.get_logger("duebridge.serving")


def serve(settings: Settings, *, host: str, port: int, embedded: bool, timing: Timing | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `embedded`: bring the database up to date and run the worker here as well.

    `timing` is for tests that kill processes.
    """
    from connector.jobs.engine import Engine, prepare_database
    from connector.web import health
    from connector.web.logging import configure
    from connector.web.server import Server

    configure(settings.log_level)
    _tune_memory()
    if embedded:
        prepare_database(settings.database_url)
    wiring = roof.wire(settings, timing=timing)
    app = roof.create_app(wiring)
    engine = Engine(wiring, roof.HANDLERS) if embedded else None
    server = Server(app, host, port)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: server.stop())
    try:
        if engine is not None:
            engine.start()
            health.watch_worker(app, engine.trouble)
        _log.info("serving", host=host, port=port, embedded=embedded)
        server.run()
    finally:
        if engine is not None:
            engine.stop()
    if engine is not None:
        leave(engine)


def application() -> Flask:
    """The web application for a WSGI server of one's own, which calls this in each of its processes after forking.

    Raises BadSetting.
    """
    from connector.web.logging import configure

    settings = read_settings(os.environ)
    configure(settings.log_level)
    app = roof.create_app(roof.wire(settings))
    _tune_memory()
    return app


def work(settings: Settings, *, timing: Timing | None = None, pace: Pace | None = None) -> None:
    """Do background work until SIGTERM or SIGINT; what is under way is finished first.

    `timing` and `pace` are for tests that kill processes.
    """
    from connector.jobs.engine import Engine
    from connector.web.logging import configure

    configure(settings.log_level)
    _tune_memory()
    wiring = roof.wire(settings, timing=timing)
    engine = Engine(wiring, roof.HANDLERS, pace)
    told = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: told.set())
    engine.start()
    told.wait()
    engine.stop()
    leave(engine)


def leave(engine: Engine) -> None:
    """End this process now if attempts did not end in time: the interpreter would wait for their threads."""
    if engine.unfinished:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def sync_now(settings: Settings, merchant_id: int, connection_id: int, kinds: tuple[str, ...]) -> Iterator[str]:
    """Read a connection to its end without the job engine, as background work; a line a turn."""
    _tune_memory()
    wiring = roof.wire(settings, dispatch=lambda connection, item, delay: None)
    item = WorkItem(
        id=f"command:{connection_id}",
        kind=Work.SYNC,
        merchant=merchant_id,
        partition=str(connection_id),
        attempt=1,
        failures=0,
        asked=1,
        payload={"connection": connection_id, "kinds": list(kinds)},
        sent_at=None,
        correlation="",
    )
    began = monotonic()
    while True:
        try:
            # Whoever typed the command can wait; customers and their payments come first.
            with nobody_waits():
                sync.run(wiring, item)
            yield f"Everything is read, after {monotonic() - began:.1f} s."
            return
        except TryAgain as more:
            threading.Event().wait(more.after)
            yield f"Still reading, after {monotonic() - began:.1f} s."


def _tune_memory() -> None:
    """Fit Python's memory to pages of a thousand records.

    glibc, left alone, keeps the memory of several pages for every thread: this way they are given back once stored.
    Looking for cycles after every 700 new objects, of which a page has six thousand, takes a tenth of an import. What
    was loaded at the start stays until the end and need not be looked at again: that would hold up every request.
    """
    gc.set_threshold(20_000, 50, 100)
    gc.collect()
    gc.freeze()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
