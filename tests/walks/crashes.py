"""A process that dies: at the n-th step of a walk everything in memory is lost, and what was committed stays.

A step is the moment before or after a commit, and the moment before or after an outside call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from connector.db.unit_of_work import Database
from integrations.http import Transport

# Threads a journey works in; the doors' threads belong to other processes and live on.
_OURS = ("MainThread", "page", "reread")


class Died(BaseException):
    """The process is gone. Not an Exception: nothing in the product may catch it."""


class Steps:
    """Counts the steps a walk takes and dies at the one it is told to."""

    def __init__(self, fatal: int | None) -> None:
        self._fatal = fatal
        self._lock = threading.Lock()
        self.names: list[str] = []
        self.dead = False

    def step(self, name: str) -> None:
        """One step. Raises Died when it is the fatal one, and at every later one: the dead do nothing."""
        if not threading.current_thread().name.startswith(_OURS):
            return
        with self._lock:
            self.names.append(name)
            if len(self.names) - 1 == self._fatal:
                self.dead = True
            if self.dead:
                raise Died(name)


@contextmanager
def steps(fatal: int | None = None) -> Iterator[Steps]:
    """Everything inside the block takes countable steps."""
    counter = Steps(fatal)
    units, everybody, send = Database.unit_of_work, Database.installation, Transport.send

    @contextmanager
    def unit_of_work(self: Database, merchant_id: int) -> Iterator[Any]:
        with units(self, merchant_id) as uow:
            yield uow
            counter.step("before commit")
        counter.step("after commit")

    @contextmanager
    def installation(self: Database) -> Iterator[Any]:
        with everybody(self) as found:
            yield found
            counter.step("before commit")
        counter.step("after commit")

    def sending(self: Transport, request: Any, *arguments: Any, **more: Any) -> Any:
        counter.step(f"before {request.method} {request.path_url.partition('?')[0]}")
        answer = send(self, request, *arguments, **more)
        counter.step(f"after {request.method} {request.path_url.partition('?')[0]}")
        return answer

    with (
        patch.object(Database, "unit_of_work", unit_of_work),
        patch.object(Database, "installation", installation),
        patch.object(Transport, "send", sending),
    ):
        yield counter
