"""The journal keeps every request and commit, on disk too."""

from __future__ import annotations

import json
from pathlib import Path

from integrations.simulator.journal import Journal


def test_entries_are_kept_in_order_and_counted_by_operation() -> None:
    journal = Journal(None)
    journal.request(time="t1", operation="payment.create", status=None, key="k", tenant="r")
    journal.commit(time="t1", operation="payment.create", id="7", key="k", tenant="r")
    journal.request(time="t2", operation="payment.create", status=200)
    assert [line["entry"] for line in journal.entries()] == ["request", "commit", "request"]
    assert journal.entries("commit") == [
        {"entry": "commit", "time": "t1", "operation": "payment.create", "id": "7", "key": "k", "tenant": "r"}
    ]
    assert journal.counts() == {"payment.create": 2}


def test_lines_survive_a_restart_and_are_only_added(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).request(time="t1", operation="a", status=200)
    again = Journal(path)
    again.request(time="t2", operation="Größe", status=500)
    assert [line["operation"] for line in Journal(path).entries()] == ["a", "Größe"]
    assert [json.loads(line)["status"] for line in path.read_text(encoding="utf-8").splitlines()] == [200, 500]
