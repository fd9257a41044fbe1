"""Errors are pages in plain words, or JSON for who asks for it, and never show what nobody should see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.portal.shop import Shop
from tests.web.conftest import SECRET

Make = Callable[..., tuple[Flask, Shop]]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/invalid", 400, "Enter a whole number."),
        ("/ended", 410, "This code has expired."),
        ("/too-many", 429, "Wait a little."),
        ("/upstream", 503, "does not answer right now"),
        ("/nowhere", 404, "The address may be mistyped"),
        ("/form", 405, "use the buttons"),
        ("/broken", 500, "went wrong on our side"),
        ("/full", 503, "Nothing can be saved at the moment"),
    ],
)
def test_an_error_in_plain_words(application: Make, path: str, status: int, words: str) -> None:
    app, _ = application()
    client = app.test_client()
    page = client.get(path)
    assert page.status_code == status and page.mimetype == "text/html" and words in page.text
    data = client.get(path, headers={"Accept": "application/json"})
    assert data.status_code == status and data.json is not None
    assert data.json["reference"] == data.headers["X-Request-ID"] and data.json["error"]
    for text in (page.text, data.text):
        assert SECRET not in text and "Traceback" not in text and "RuntimeError" not in text


def test_the_field_is_named(application: Make) -> None:
    app, _ = application()
    data = app.test_client().get("/invalid", headers={"Accept": "application/json"}).json
    assert data is not None and data["field"] == "pieces"


def test_what_the_protocol_wants_is_kept(application: Make) -> None:
    app, _ = application()
    client = app.test_client()
    assert client.get("/too-many").headers["Retry-After"] == "7"
    assert client.get("/upstream").headers["Retry-After"] == "12"
    assert client.get("/full").headers["Retry-After"] == "60"
    assert "POST" in client.get("/form").headers["Allow"]


def test_a_fault_of_ours_shows_its_reference(application: Make) -> None:
    app, _ = application()
    answer = app.test_client().get("/broken", headers={"X-Request-ID": "abc-12345678"})
    assert answer.headers["X-Request-ID"] == "abc-12345678" and "abc-12345678" in answer.text
    forged = app.test_client().get("/broken", headers={"X-Request-ID": '"><script>alert(1)</script>'})
    assert "<script>alert" not in forged.text
