"""What happened upstream, line by line: the judge in crash tests."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any


class Journal:
    """An append-only list of entries, also written as JSON lines when given a path. A restart reads the lines back."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._entries: list[dict[str, Any]] = []
        if path is not None and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            self._entries = [json.loads(line) for line in lines if line]

    def request(self, *, time: str, operation: str, status: int | None, key: str = "", tenant: str = "") -> None:
        """Note one HTTP request; status None means the answer was dropped. `key` is the vendor's idempotency key."""
        self._append(
            {"entry": "request", "time": time, "operation": operation, "status": status, "key": key, "tenant": tenant}
        )

    def commit(self, *, time: str, operation: str, id: str, key: str = "", tenant: str = "") -> None:
        """Note that something really changed: one line for each document an operation created, changed or removed."""
        self._append({"entry": "commit", "time": time, "operation": operation, "id": id, "key": key, "tenant": tenant})

    def entries(self, entry: str | None = None) -> list[dict[str, Any]]:
        """All entries in order, or only those of one sort: `request` or `commit`."""
        with self._lock:
            return [dict(line) for line in self._entries if entry is None or line["entry"] == entry]

    def counts(self) -> dict[str, int]:
        """Number of requests by operation."""
        counts: dict[str, int] = {}
        for line in self.entries("request"):
            counts[line["operation"]] = counts.get(line["operation"], 0) + 1
        return counts

    def _append(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._entries.append(line)
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
