"""The door: genuine bytes are kept once and answered at once, everything else is turned away and leaves nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.webhooks.knocking import (
    NOW,
    PREVIOUS,
    Door,
    cloud_event,
    door,
    sandbox_event,
    secret_of,
    signature,
    xero_events,
)
from webhooks.door import LARGEST_BODY

BODIES = {
    "quickbooks": json.dumps([cloud_event("1")]).encode(),
    "xero": xero_events(("t-1", "i-1")),
    "sandbox": sandbox_event("co_1", "p-1"),
}
senders = pytest.mark.parametrize("sender", sorted(BODIES))


@pytest.fixture
def open_door(sqlite_schema_url: str) -> Iterator[Door]:
    with door(sqlite_schema_url) as opened:
        yield opened


def _bare(answer: requests.Response, status: int) -> None:
    """A machine's answer: a status, no body, no cookie."""
    assert (answer.status_code, answer.content) == (status, b"")
    assert "Set-Cookie" not in answer.headers


@senders
def test_a_genuine_delivery_is_kept_and_the_same_bytes_again_are_one(schema_url: str, sender: str) -> None:
    with door(schema_url) as opened:
        for _ in range(3):
            _bare(opened.post(sender, BODIES[sender]), 200)
        # A redelivery is signed anew where the signature carries the time.
        opened.ahead = timedelta(minutes=20)
        _bare(opened.post(sender, BODIES[sender], at=NOW + timedelta(minutes=20)), 200)
        assert opened.deliveries() == [(sender, "new", "")]


def test_a_burst_of_the_same_bytes_is_one(schema_url: str) -> None:
    with door(schema_url) as opened, ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: opened.post("quickbooks", BODIES["quickbooks"]).status_code, range(24)))
        assert answers == [200] * 24
        assert len(opened.deliveries()) == 1


@senders
def test_what_is_not_signed_with_our_secret_is_turned_away(open_door: Door, sender: str) -> None:
    body = BODIES[sender]
    right = signature(sender, body, secret_of(sender))
    ((name, value),) = right.items()
    forgeries = [
        {},
        {name: ""},
        {name: "x"},
        {name: value.swapcase()},
        {name: value + "="},
        {name: value[:-4]},
        signature(sender, body, "another secret"),
        signature(sender, body, ""),
        signature(sender, body + b" ", secret_of(sender)),
        {f"X-{name}": value},
        {name: f"{value},{value}"},
        {name: "é" * 40},
    ]
    for headers in forgeries:
        encoded = {key: text.encode().decode("latin-1") for key, text in headers.items()}
        _bare(open_door.post(sender, body, encoded), 401)
    assert open_door.deliveries() == []


@senders
def test_the_same_words_encoded_anew_are_another_body(open_door: Door, sender: str) -> None:
    """A middleman that parses and writes JSON again breaks the signature, as it must."""
    body = BODIES[sender]
    right = signature(sender, body, secret_of(sender))
    again = json.dumps(json.loads(body), indent=1).encode()
    assert again != body
    _bare(open_door.post(sender, again, right), 401)
    _bare(open_door.post(sender, body + b"\n", right), 401)
    assert open_door.deliveries() == []


def test_the_secret_before_still_counts_while_it_is_configured(open_door: Door) -> None:
    body = BODIES["quickbooks"]
    _bare(open_door.post("quickbooks", body, signature("quickbooks", body, PREVIOUS)), 200)
    assert len(open_door.deliveries()) == 1


def test_a_stale_stamp_is_turned_away_and_so_is_one_from_the_future(open_door: Door) -> None:
    body = BODIES["sandbox"]
    for seconds in (-301, -86_400, 301, 86_400):
        _bare(open_door.post("sandbox", body, at=NOW + timedelta(seconds=seconds)), 401)
    assert open_door.deliveries() == []
    _bare(open_door.post("sandbox", body, at=NOW - timedelta(seconds=299)), 200)


@senders
def test_without_a_configured_secret_nothing_is_genuine(sqlite_schema_url: str, sender: str) -> None:
    for configured in ("", " , ,"):
        with door(sqlite_schema_url, {f"DUEBRIDGE_{sender.upper()}_WEBHOOK_SECRET": configured}) as opened:
            for secret in ("", " ", secret_of(sender)):
                _bare(opened.post(sender, BODIES[sender], signature(sender, BODIES[sender], secret)), 401)
            assert opened.deliveries() == []


@pytest.mark.parametrize("sender", ["stripe", "QUICKBOOKS", "quickbooks%00", "quickbooks ", "%F0%9F%92%B3"])
def test_a_sender_we_do_not_know_has_no_door(open_door: Door, sender: str) -> None:
    answer = open_door.post(sender, BODIES["quickbooks"], signature("quickbooks", BODIES["quickbooks"], PREVIOUS))
    assert answer.status_code == 404 and "Set-Cookie" not in answer.headers
    assert open_door.deliveries() == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_only_post_is_a_delivery(open_door: Door, method: str) -> None:
    body = BODIES["quickbooks"]
    answer = requests.request(
        method,
        f"{open_door.url}/webhooks/quickbooks",
        data=body,
        headers=signature("quickbooks", body, PREVIOUS),
        timeout=10,
    )
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]
    assert "Set-Cookie" not in answer.headers
    assert open_door.deliveries() == []


def test_a_body_too_large_is_refused_before_it_is_looked_at(open_door: Door) -> None:
    body = b"[" + b" " * LARGEST_BODY + b"]"
    _bare(open_door.post("quickbooks", body), 413)
    assert open_door.deliveries() == []


def test_a_body_in_chunks_is_held_to_the_same_size(open_door: Door) -> None:
    piece = b" " * 65_536

    def pieces() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // len(piece) + 2):
            yield piece

    answer = requests.post(f"{open_door.url}/webhooks/quickbooks", data=pieces(), timeout=10)
    assert answer.status_code == 413 and b"<" not in answer.content
    small = json.dumps([cloud_event("1")]).encode()
    answer = requests.post(
        f"{open_door.url}/webhooks/quickbooks",
        data=iter([small[:7], small[7:]]),
        headers=signature("quickbooks", small, PREVIOUS),
        timeout=10,
    )
    _bare(answer, 200)


def test_a_body_that_breaks_off_is_no_delivery(open_door: Door) -> None:
    body = BODIES["quickbooks"]
    ((name, value),) = signature("quickbooks", body, PREVIOUS).items()
    head = f"POST /webhooks/quickbooks HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(open_door.url).port or 0), timeout=5) as line:
        line.sendall(head.encode() + body[:-5])
    assert open_door.post("quickbooks", body).status_code == 200
    assert len(open_door.deliveries()) == 1


def test_xeros_intent_to_receive_is_decided_by_the_signature_alone(open_door: Door) -> None:
    body = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}'
    _bare(open_door.post("xero", body), 200)
    _bare(open_door.post("xero", body, signature("xero", body, "wrong")), 401)
    _bare(open_door.post("xero", body), 200)
    assert open_door.dispatched() == [("xero", "done", "")]


@senders
def test_storage_that_fails_is_an_overload_and_the_sender_sends_again(
    sqlite_schema_url: str, tmp_path: Path, sender: str
) -> None:
    body = BODIES[sender]
    with door(sqlite_schema_url) as opened:
        with opened.wiring.database.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE deliveries RENAME TO away"))
        with capture_logs() as logs:
            _bare(opened.post(sender, body), 503)
        told = [entry for entry in logs if entry["event"] == "webhook_not_stored"]
        assert [entry["sender"] for entry in told] == [sender]
        assert not any(body.decode()[5:25] in str(entry) for entry in logs), "no body in a log"
        with opened.wiring.database.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO deliveries"))
        _bare(opened.post(sender, body), 200)
        assert opened.deliveries() == [(sender, "new", "")]


def test_a_delivery_and_its_work_are_kept_together_or_not_at_all(sqlite_schema_url: str) -> None:
    with door(sqlite_schema_url) as opened:
        with opened.wiring.database.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE work RENAME TO away"))
        _bare(opened.post("quickbooks", BODIES["quickbooks"]), 503)
        with opened.wiring.database.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO work"))
        assert opened.deliveries() == []
        _bare(opened.post("quickbooks", BODIES["quickbooks"]), 200)
        assert opened.dispatched() == [("quickbooks", "unknown_tenant", "1")]
