"""Each fault does to a real client over a real socket what its name says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests
from flask import Flask, Response, jsonify, request

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Call, FaultMiddleware, Faults, Named
from integrations.simulator.journal import Journal
from integrations.simulator.server import serve


@dataclass
class Counting:
    """A served app that counts its commits."""

    url: str = ""
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=lambda: Journal(None))
    commits: list[str] = field(default_factory=list)


@pytest.fixture
def counting() -> Iterator[Counting]:
    running = Counting()
    app = Flask(__name__)

    @app.post("/things")
    def create() -> Response:
        running.commits.append(request.get_json()["name"])
        return jsonify(done=True, operation=request.environ["simulator.operation"])

    @app.get("/page")
    def page() -> str:
        return "page"

    def name(call: Call) -> Named | None:
        if call.path != "/things":
            return None
        return Named("thing.create", key=call.headers.get("idempotency-key", ""), tenant=str(len(call.body)))

    app.wsgi_app = FaultMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, running.faults, running.journal, Clock(), name
    )
    with serve(app) as server:
        running.url = server.url
        yield running


def _post(running: Counting, name: str = "x") -> requests.Response:
    return requests.post(
        f"{running.url}/things", json={"name": name}, headers={"Idempotency-Key": f"key-{name}"}, timeout=5
    )


def test_without_faults_the_call_goes_through_and_is_journalled(counting: Counting) -> None:
    assert _post(counting).json() == {"done": True, "operation": "thing.create"}
    (line,) = counting.journal.entries("request")
    assert (line["operation"], line["status"], line["key"], line["tenant"]) == ("thing.create", 200, "key-x", "13")


def test_a_dropped_answer_leaves_the_client_without_any_and_the_commit_standing(counting: Counting) -> None:
    counting.faults.arm("drop_after_commit", "thing.create")
    with pytest.raises(requests.ConnectionError):
        _post(counting, "dropped")
    assert counting.commits == ["dropped"]
    assert counting.journal.entries("request")[-1]["status"] is None
    assert _post(counting, "next").status_code == 200


def test_a_call_dropped_before_the_commit_changes_nothing(counting: Counting) -> None:
    counting.faults.arm("drop_before_commit")
    with pytest.raises(requests.ConnectionError):
        _post(counting)
    assert counting.commits == []


@pytest.mark.parametrize(("kind", "commits"), [("error_before_commit", 0), ("error_after_commit", 1)])
def test_errors_come_before_or_after_the_commit(counting: Counting, kind: str, commits: int) -> None:
    counting.faults.arm(kind, "thing.*", times=1)
    assert _post(counting).status_code == 500
    assert len(counting.commits) == commits
    assert _post(counting).status_code == 200


def test_html_instead_of_json(counting: Counting) -> None:
    counting.faults.arm("html_503")
    answer = _post(counting)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert counting.commits == []


def test_truncated_json_is_no_json_though_it_is_whole_http(counting: Counting) -> None:
    counting.faults.arm("truncated_json")
    answer = _post(counting)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert len(counting.commits) == 1


def test_slow_takes_its_time(counting: Counting) -> None:
    counting.faults.arm("slow", seconds=0.3)
    started = time.monotonic()
    assert _post(counting).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_rules_fire_for_their_operation_and_as_often_as_asked(counting: Counting) -> None:
    counting.faults.arm("error_before_commit", "other.create")
    counting.faults.arm("error_before_commit", "thing.create", times=2)
    assert [_post(counting).status_code for _ in range(3)] == [500, 500, 200]
    assert counting.faults.rules() == [{"kind": "error_before_commit", "operation": "other.create", "times": 1}]
    counting.faults.clear("slow")
    assert counting.faults.armed("error_before_commit", "other.create")
    counting.faults.clear()
    assert counting.faults.rules() == []


def test_pages_never_fail_and_are_not_journalled(counting: Counting) -> None:
    counting.faults.arm("error_before_commit")
    assert requests.get(f"{counting.url}/page", timeout=5).text == "page"
    assert counting.journal.entries() == []


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault called 'explode'"):
        Faults().arm("explode")
    with pytest.raises(ValueError, match="at least 1"):
        Faults().arm("slow", times=0)
