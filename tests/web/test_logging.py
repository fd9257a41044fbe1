"""Log lines are JSON and hold nothing that opens something."""

from __future__ import annotations

import io
import json
import logging as standard
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from flask import Flask

from connector.web import logging
from tests.portal.shop import Shop

Make = Callable[..., tuple[Flask, Shop]]
TOKEN = "Zk3vQ0l8T1mYc7WbR5sN2A"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged so far."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root, werkzeug = standard.getLogger(), standard.getLogger("werkzeug")
    before = (root.handlers[:], root.level, werkzeug.level)
    logging.configure("info")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:], level, werkzeug_level = before
    root.setLevel(level)
    werkzeug.setLevel(werkzeug_level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"GET /i/{TOKEN} 200", TOKEN),
        (f"http://pay.test/r/{TOKEN}?cancelled=1", TOKEN),
        ("/x/install-key-77?invoiceNo=1", "install-key-77"),
        ("/portal/north/code/ab?code=204861", "204861"),
        ("Authorization: Bearer eyJhbGciOi.J9.abc", "eyJhbGciOi"),
        ('{"refresh_token": "RT-123456"}', "RT-123456"),
        ("grant_type=x&client_secret=hush&y=1", "hush"),
        ("card 4242 4242 4242 4242 was", "4242 4242"),
    ],
)
def test_secrets_are_masked(text: str, secret: str) -> None:
    assert secret in text and secret not in logging.mask(text)


@pytest.mark.parametrize("text", ["invoice 1234567890123 was read", "/invoices/17", "state of the invoice", "12 pages"])
def test_innocent_words_are_left_alone(text: str) -> None:
    assert logging.mask(text) == text


def test_a_request_is_one_line_without_its_address(
    application: Make, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    app, _ = application()
    answer = app.test_client().get(f"/fine/{TOKEN}")
    (line,) = (line for line in lines() if line["event"] == "request")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/fine/<token>", 200)
    assert line["correlation"] == answer.headers["X-Request-ID"] and line["level"] == "info" and "timestamp" in line
    assert TOKEN not in json.dumps(lines())


def test_a_fault_is_logged_with_its_trace_and_without_secrets(
    application: Make, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    app, _ = application()
    app.test_client().get("/broken")
    (line,) = (line for line in lines() if line["event"] == "unexpected")
    assert "RuntimeError" in line["exception"] and line["fault"] == "RuntimeError"


def test_lines_of_libraries_and_nested_values_are_masked_too(lines: Callable[[], list[dict[str, Any]]]) -> None:
    standard.getLogger("some.library").warning("failed for /i/%s with code=%s", TOKEN, "123456")
    structlog.get_logger().info("sent", headers={"Authorization": "Basic abc"}, urls=[f"/i/{TOKEN}"], body=b"12345")
    text = json.dumps(lines())
    assert len(lines()) == 2
    for secret in (TOKEN, "123456", "Basic abc", "12345"):
        assert secret not in text


def test_what_is_no_plain_value_is_masked_by_its_words(lines: Callable[[], list[dict[str, Any]]]) -> None:
    class Call:
        def __repr__(self) -> str:
            return f"<Call /i/{TOKEN}?code=204861>"

    structlog.get_logger().info("called", call=Call(), calls={Call: [Call()]}, done=True, left=None, share=0.5)
    (line,) = lines()
    assert TOKEN not in json.dumps(line) and "204861" not in json.dumps(line)
    assert line["call"] == "<Call /i/…?code=…" and (line["done"], line["left"], line["share"]) == (True, None, 0.5)


@pytest.mark.parametrize("value", ["Müller & Söhne 株式会社", "half \ud83d of a pair", 10**30, -(10**30)])
def test_a_line_is_ascii_whatever_stands_in_it(value: object) -> None:
    text = logging.render(None, "info", {"event": "told", "value": value})
    assert text.isascii() and "\n" not in text and json.loads(text) == {"event": "told", "value": value}
