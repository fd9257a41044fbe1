"""A worker of this machine is dead when its lock is free, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connector.config import read_settings
from connector.jobs.presence import Presence, executor_name, folder_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind")

_LIVE = """
import sys, pathlib
from connector.jobs.presence import Presence
Presence(pathlib.Path(sys.argv[1]), sys.argv[2]).begin()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def mine(tmp_path: Path) -> Presence:
    """A worker that looks at others."""
    made = Presence(tmp_path / "workers", executor_name())
    made.begin()
    return made


def test_a_process_that_was_killed_is_dead_at_once_and_not_before(mine: Presence, tmp_path: Path) -> None:
    other = executor_name()
    command = [sys.executable, "-c", _LIVE, str(tmp_path / "workers"), other]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as living:
        assert living.stdout is not None and living.stdout.readline() == "held\n"
        assert not mine.proves_dead(other)
        living.kill()
        living.wait()
    assert mine.proves_dead(other)
    mine.forget(other)
    assert not mine.proves_dead(other), "without its file nothing is proved"
    mine.end()
    assert list((tmp_path / "workers").iterdir()) == []


def test_nothing_is_proved_of_other_machines_and_of_strangers(mine: Presence, tmp_path: Path) -> None:
    stranger = executor_name()
    assert not mine.proves_dead(stranger)
    elsewhere = f"another-machine-{stranger.rpartition('-')[2]}"
    (tmp_path / "workers" / f"{stranger.rpartition('-')[2]}.alive").touch()
    assert mine.proves_dead(stranger)
    assert not mine.proves_dead(elsewhere)
    mine.end()
    assert not mine.proves_dead(stranger), "who holds no lock knows nothing about locks"


def test_a_folder_others_may_write_to_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    folder.mkdir()
    folder.chmod(0o777)
    wary, dead = Presence(folder, executor_name()), executor_name()
    wary.begin()
    (folder / f"{dead.rpartition('-')[2]}.alive").touch()
    assert not wary.proves_dead(dead)


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    without = Presence(tmp_path / "file" / "workers", executor_name())
    without.begin()
    assert not without.proves_dead(executor_name())
    without.end()


def test_files_of_the_long_dead_are_cleared_away_and_none_of_the_living(mine: Presence, tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    (held,) = folder.iterdir()
    (folder / "dead.alive").touch()
    (folder / "just-died.alive").touch()
    for name in (held.name, "dead.alive"):
        os.utime(folder / name, (0, 0))
    another = Presence(folder, executor_name())
    another.begin()
    assert held.exists() and (folder / "just-died.alive").exists() and not (folder / "dead.alive").exists()
    another.end()
    mine.end()


def test_the_folder_is_the_one_set_or_beside_the_file(tmp_path: Path) -> None:
    beside = read_settings({"DUEBRIDGE_DATABASE_URL": f"sqlite:///{tmp_path}/books.db"})
    assert folder_of(beside) == tmp_path / "books.db-workers"
    told = read_settings({"DUEBRIDGE_WORKER_FOLDER": str(tmp_path / "here")})
    assert folder_of(told) == tmp_path / "here"
    postgresql = read_settings({"DUEBRIDGE_DATABASE_URL": "postgresql://host/books"})
    assert folder_of(postgresql).name == f"duebridge-workers-{os.geteuid()}"
