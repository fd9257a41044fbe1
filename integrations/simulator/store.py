"""Where a simulator keeps its documents: JSON on SQLite, so that a restart on the same path keeps everything."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, id)
)
"""

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def to_json(value: object) -> bytes:
    """Render as JSON; a Decimal becomes the very number it spells (`Decimal("10.50")` is `10.50`), never a float."""
    return _encoder.encode(value)


def from_json(body: bytes | str) -> Any:
    """Parse JSON; numbers with a fraction become Decimal. Raises msgspec.DecodeError on anything else than JSON."""
    return _decoder.decode(body)


class Store:
    """Documents by kind and id, in insertion order; every method is safe to call from any thread."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        # A store nobody holds any more lets go of its file too; Python 3.13 warns of connections left open.
        weakref.finalize(self, self._connection.close)
        if path is not None:
            self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside, or nothing when it raises.

        Re-entrant: an inner one that raises takes back its own writes only, the outermost one commits.
        """
        with self._lock:
            depth = self._depth
            self._connection.execute(f"SAVEPOINT level_{depth}" if depth else "BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._connection.execute(f"ROLLBACK TO level_{depth}" if depth else "ROLLBACK")
                if depth:
                    self._connection.execute(f"RELEASE level_{depth}")
                raise
            else:
                self._connection.execute(f"RELEASE level_{depth}" if depth else "COMMIT")
            finally:
                self._depth -= 1

    def put(self, kind: str, id: str, doc: Document) -> None:
        """Write a document; an existing one keeps its place in the order."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO documents (kind, id, body) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (kind, id, to_json(doc)),
            )

    def get(self, kind: str, id: str) -> Document | None:
        """A fresh copy of one document, or None."""
        body = self.body(kind, id)
        return None if body is None else from_json(body)

    def body(self, kind: str, id: str) -> bytes | None:
        """The JSON of one document, or None."""
        with self._lock:
            rows = self._connection.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, id))
            row = rows.fetchone()
        return None if row is None else row[0]

    def all(self, kind: str) -> list[Document]:
        """Fresh copies of every document of a kind, in insertion order."""
        return [from_json(body) for _, body in self.bodies(kind)]

    def bodies(self, kind: str) -> list[tuple[str, bytes]]:
        """(id, JSON) of every document of a kind, in insertion order: for callers that cache what they parsed."""
        with self._lock:
            rows = self._connection.execute("SELECT id, body FROM documents WHERE kind = ? ORDER BY position", (kind,))
            return rows.fetchall()

    def delete(self, kind: str, id: str) -> None:
        """Remove a document; nothing happens when it is not there."""
        with self._lock:
            self._connection.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, id))

    def count(self, kind: str) -> int:
        """How many documents of a kind there are."""
        with self._lock:
            row = self._connection.execute("SELECT count(*) FROM documents WHERE kind = ?", (kind,)).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Let go of the database file."""
        with self._lock:
            self._connection.close()
