"""Proof that a worker of this machine is dead: each holds a lock on a file of its own, which ends with its process.

A heartbeat that stops proves nothing until it has been silent for long; a lock that is free proves at once that no
process is left. What cannot be proved (another machine, a folder that is gone, no locks on this system) is left to
the heartbeats.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
import tempfile
import time
import uuid
from pathlib import Path

import structlog

from connector.config import Settings
from connector.db.engine import database_url

if sys.platform != "win32":
    import fcntl

# What is older and held by nobody belongs to workers long adopted.
_KEPT_SECONDS = 86_400
_ENDING = ".alive"

_log = structlog.get_logger()


def executor_name() -> str:
    """A name no worker had before: the job library takes up again whatever one of the same name left behind."""
    return f"{_machine()}-{uuid.uuid4().hex}"


def folder_of(settings: Settings) -> Path:
    """Where this installation's workers keep their files: as set, else beside the SQLite file, else with what is
    temporary."""
    if settings.worker_folder:
        return Path(settings.worker_folder)
    url = database_url(settings.database_url)
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}-workers")
    user = os.geteuid() if sys.platform != "win32" else 0
    return Path(tempfile.gettempdir()) / f"duebridge-workers-{user}"


class Presence:
    """This worker's own lock, and the look at others'."""

    def __init__(self, folder: Path, executor: str) -> None:
        self._folder = folder
        self._executor = executor
        self._held = -1

    def begin(self) -> None:
        """Hold the lock until the process ends, however it does. To be called before anybody knows the name."""
        if sys.platform == "win32":
            return
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if not self._is_ours():
                _log.warning("worker folder not used", why="It belongs to somebody else, or others may write there.")
                return
            self._clear()
            self._held = os.open(self._path(self._executor), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            _log.warning("worker folder not used", why=type(failure).__name__)
            self.end()

    def end(self) -> None:
        """Nothing of this worker's work is left."""
        if self._held >= 0:
            self.forget(self._executor)
            os.close(self._held)
            self._held = -1

    def proves_dead(self, executor: str) -> bool:
        """Whether another worker's process has certainly ended."""
        if self._held < 0 or executor.rpartition("-")[0] != _machine():
            return False
        return _is_free(self._path(executor))

    def forget(self, executor: str) -> None:
        """A worker's file is no longer needed."""
        self._path(executor).unlink(missing_ok=True)

    def _path(self, executor: str) -> Path:
        return self._folder / f"{executor.rpartition('-')[2]}{_ENDING}"

    def _is_ours(self) -> bool:
        told = os.lstat(self._folder)
        writable = told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return stat.S_ISDIR(told.st_mode) and told.st_uid == os.geteuid() and not writable

    def _clear(self) -> None:
        for path in self._folder.glob(f"*{_ENDING}"):
            try:
                if time.time() - path.stat().st_mtime > _KEPT_SECONDS and _is_free(path):
                    path.unlink()
            except FileNotFoundError:
                continue


def _machine() -> str:
    return platform.node()[:60]


def _is_free(path: Path) -> bool:
    """Whether the file is there and nobody holds its lock."""
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
