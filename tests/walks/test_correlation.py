"""One id from the customer's click to the call that writes the payment into the books, in every line of the log."""

from __future__ import annotations

import io
import json
import logging as standard
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import structlog

from connector.demo.browser import Browser, Form
from connector.domain.links import Scope, link_url
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.web import logging
from integrations import http
from tests.walks.world import World, world
from webhooks import dispatch

CLICK = "3f2504e04f8911d39a0c0305e82c3301"


class Log:
    """What was logged, as an operator would search it."""

    def __init__(self, written: io.StringIO) -> None:
        self._written = written

    def lines(self) -> list[dict[str, Any]]:
        """Every line; each must be JSON."""
        return [json.loads(line) for line in self._written.getvalue().splitlines()]

    def under(self, correlation: str) -> list[dict[str, Any]]:
        """The lines of one correlation id."""
        return [line for line in self.lines() if line.get("correlation") == correlation]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """The product's own logging, into memory."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root, werkzeug = standard.getLogger(), standard.getLogger("werkzeug")
    before = (root.handlers[:], root.level, werkzeug.level)
    logging.configure("info")
    # A logger that has spoken once keeps what it was configured with.
    structlog.configure(cache_logger_on_first_use=False)
    from connector.jobs import runner

    for module in (runner, http, logging, dispatch):
        vars(module._log).pop("bind", None)
    yield Log(written)
    root.handlers[:], level, werkzeug_level = before
    root.setLevel(level)
    werkzeug.setLevel(werkzeug_level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _pay_form(here: World, connection_id: int) -> Form:
    """The form behind the link on an open invoice, as its customer sees it."""
    invoice = here.open_invoices(connection_id, "quickbooks", most=1)[0]
    with here.wiring.database.view(here.merchant_id) as view:
        link = view.links.live(connection_id, Scope.INVOICE, invoice.remote_id)
    assert link is not None
    _, token = link
    return Browser().get(link_url(here.public_url, token)).form("/pay")


def test_one_id_leads_from_the_click_to_the_books(schema_url: str, log: Log) -> None:
    with world(schema_url) as here:
        connection_id = here.connect("quickbooks")
        here.work()
        form = _pay_form(here, connection_id)
        headers = {"X-Request-ID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"}
        answer = requests.post(form.action, data=form.fields, headers=headers, allow_redirects=False, timeout=20)
        assert answer.status_code == 303
        assert answer.headers["X-Request-ID"] == CLICK
        here.press(answer.headers["Location"])
        here.settle(lambda: here.payment().state is PaymentState.SETTLED)
        payment = here.payment().id
        here.settle(lambda: all(row.state is PostingState.POSTED for row in here.postings(payment)))
        story = log.under(CLICK)
        others = [line for line in log.lines() if line.get("correlation") != CLICK]

    def stands(**wanted: Any) -> bool:
        return any(all(line.get(name) == value for name, value in wanted.items()) for line in story)

    calls = [(line["system"], line["operation"]) for line in story if line["event"] == "upstream call"]
    assert stands(event="request", method="POST", status=303)
    assert [where for where, _ in calls][:1] == ["quickbooks"], "the balance is asked for before the checkout begins"
    assert ("sandbox", "checkout.create") in calls
    assert stands(event="webhook_about_payment", payment=payment)
    assert stands(event="work", work=f"reconcile:{here.merchant_id}:{payment}", outcome="done")
    assert stands(event="work", work=f"write_back:{here.merchant_id}:{payment}:{connection_id}", outcome="done")
    assert ("quickbooks", "payment.create") in calls
    # Nothing that speaks of this payment stands under another id.
    assert not [line for line in others if payment in json.dumps(line)]
    assert all("timestamp" in line and "level" in line for line in story)


def test_every_line_of_background_work_has_an_id(schema_url: str, log: Log) -> None:
    with world(schema_url) as here:
        here.connect("xero")
        here.work()
    lines = [line for line in log.lines() if line["event"] in ("work", "upstream call")]
    assert lines
    assert not [line for line in lines if line["event"] == "work" and not line.get("correlation")]
    reading = {line["correlation"] for line in lines if str(line.get("work", "")).startswith("sync:")}
    asked = [line for line in lines if line["event"] == "upstream call" and line.get("work")]
    assert asked and {line["correlation"] for line in asked} & reading
