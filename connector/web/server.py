"""Serves the application in one process with waitress, and ends without cutting off a request."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import structlog
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_THREADS = 16
# Beyond what the application itself takes (2 MB) a request is refused by its head.
LARGEST_BODY = 3 * 1024 * 1024
_LOOK_SECONDS = 0.5
# Longer than any outside call may take.
FINISH_SECONDS = 40.0

_log = structlog.get_logger("duebridge.server")


class Server:
    """Listens from its making on. `run` serves until `stop` is called, which a signal's handler may do."""

    def __init__(self, application: WSGIApplication, host: str, port: int) -> None:
        # Everything waitress waits for: listening sockets, one for each address of the host, and connections.
        self._sockets: dict[int, Any] = {}
        made = create_server(
            application,
            map=self._sockets,
            host=host,
            port=port,
            threads=_THREADS,
            ident=None,
            clear_untrusted_proxy_headers=True,
            # It reads a body whole before the application sees anything of it.
            max_request_body_size=LARGEST_BODY,
        )
        self._tasks = made.task_dispatcher
        self._listeners = [each for each in self._sockets.values() if isinstance(each, BaseWSGIServer)]
        self._told = threading.Event()

    def stop(self) -> None:
        """Take no new connections, and let requests under way finish."""
        self._told.set()
        for listener in self._listeners:
            listener.pull_trigger()

    def run(self) -> None:
        """Serve; returns when told to stop and nothing is under way any more, or FINISH_SECONDS later.

        Waitress, left to end by itself, leaves its loop first, and with it what its threads have still to send.
        """
        while not self._told.is_set():
            self._turn()
        for listener in self._listeners:
            # The listener's own way would take the pipe along by which threads wake this loop.
            wasyncore.dispatcher.close(listener)
        until = time.monotonic() + FINISH_SECONDS
        self._turn()
        while self._finish_up() and time.monotonic() < until:
            self._turn()
        if left := self._finish_up():
            _log.warning("requests cut off", number=left)
        self._tasks.shutdown(timeout=1)
        wasyncore.close_all(self._sockets)

    def _turn(self) -> None:
        wasyncore.loop(timeout=_LOOK_SECONDS, use_poll=True, map=self._sockets, count=1)

    def _finish_up(self) -> int:
        """Close connections on which nothing is asked; how many are left."""
        busy = 0
        for connection in list(self._sockets.values()):
            if isinstance(connection, HTTPChannel):
                if connection.request or connection.requests or connection.total_outbufs_len:
                    busy += 1
                else:
                    connection.handle_close()
        return busy
