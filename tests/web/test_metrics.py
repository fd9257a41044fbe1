"""Figures for Prometheus: closed without a token, from the database alone, and true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from connector.app import create_app, wire
from connector.config import BadSetting, read_settings
from connector.contract import Refused, TryAgain
from connector.db import tables as t
from connector.db.executors import Executors
from connector.db.work import WorkItem
from connector.domain.records import PaymentState
from connector.domain.work import Work
from connector.jobs.runner import run_due
from connector.web import metrics
from connector.wiring import Wiring
from tests.jobs.wired import START, Clock, add_connection, add_merchant

TOKEN = "a-token-for-the-scraper-0123456789"
_CONFIGURED = {
    "DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "client",
    "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "secret",
    "DUEBRIDGE_XERO_CLIENT_ID": "client",
    "DUEBRIDGE_XERO_CLIENT_SECRET": "secret",
}
Values = dict[str, float]


class Office:
    """An installation whose clock a test moves."""

    def __init__(self, database_url: str) -> None:
        self.clock = Clock()
        environment = {"DUEBRIDGE_DATABASE_URL": database_url, "DUEBRIDGE_METRICS_TOKEN": TOKEN, **_CONFIGURED}
        self.wiring: Wiring = wire(read_settings(environment), clock=self.clock, dispatch=lambda *_: None)
        self.app: Flask = create_app(self.wiring)

    def read(self) -> Values:
        """Every sample as 'name{label=value,...}'."""
        answer = self.app.test_client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200 and answer.content_type.startswith("text/plain")
        samples = [each for family in text_string_to_metric_families(answer.text) for each in family.samples]
        return {
            sample.name.removeprefix("duebridge_")
            + "{"
            + ",".join(f"{name}={sample.labels[name]}" for name in sorted(sample.labels))
            + "}": sample.value
            for sample in samples
        }


@pytest.fixture
def office(schema_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Asked anew every time."""
    monkeypatch.setattr(metrics, "KEPT_SECONDS", 0.0)
    made = Office(schema_url)
    yield made
    made.wiring.database.engine.dispose()


def test_without_the_right_token_there_is_nothing(sqlite_schema_url: str) -> None:
    wiring = wire(read_settings({"DUEBRIDGE_DATABASE_URL": sqlite_schema_url}), dispatch=lambda *_: None)
    closed = create_app(wiring).test_client()
    assert closed.get("/metrics").status_code == 404
    assert closed.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    wiring.database.engine.dispose()
    office = Office(sqlite_schema_url)
    client = office.app.test_client()
    for given in ({}, {"Authorization": TOKEN}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {TOKEN}x"}):
        answer = client.get("/metrics", headers=given)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer" and not answer.data
    assert client.get(f"/metrics?token={TOKEN}").status_code == 401, "a token in an address is written into logs"
    assert office.read()
    office.wiring.database.engine.dispose()
    with pytest.raises(BadSetting, match="DUEBRIDGE_METRICS_TOKEN"):
        read_settings({"DUEBRIDGE_METRICS_TOKEN": "short"})


def test_work_by_kind_state_age_and_outcome(office: Office) -> None:
    merchant = add_merchant(office.wiring)

    def mail(wiring: Wiring, item: WorkItem) -> None:
        if item.payload["what"] == "busy":
            raise TryAgain("The mail server is busy.", 120.0)
        if item.payload["what"] == "refused":
            raise Refused("There is no such mailbox.", "550")

    for what in ("fine", "busy", "refused"):
        with office.wiring.database.unit_of_work(merchant) as uow:
            uow.work.add(Work.MAIL, what, partition="mail", payload={"what": what})
    run_due(office.wiring, {Work.MAIL: mail})
    read = office.read()
    assert read["work{kind=mail,state=pending}"] == read["work{kind=mail,state=dead}"] == 1
    assert "work{kind=mail,state=done}" not in read
    assert read["work_oldest_due_seconds{kind=mail}"] == 0
    for outcome in ("done", "again", "dead"):
        assert read[f"work_attempts_total{{kind=mail,outcome={outcome}}}"] == 1
        assert read[f"work_attempt_seconds_total{{kind=mail,outcome={outcome}}}"] >= 0
    office.clock.forward(150)
    assert office.read()["work_oldest_due_seconds{kind=mail}"] == 30
    run_due(office.wiring, {Work.MAIL: mail})
    read = office.read()
    assert read["work_attempts_total{kind=mail,outcome=again}"] == 2
    assert read["work_oldest_due_seconds{kind=mail}"] == 0


def test_the_lag_of_webhooks_and_of_write_backs(office: Office) -> None:
    merchant = add_merchant(office.wiring)
    connection_id = add_connection(office.wiring, merchant, "quickbooks")
    office.clock.forward(1000)
    now = office.clock.now
    with office.wiring.database.installation() as everybody:
        for number, (came, done) in enumerate([(20, 19), (20, 17), (900, 890), (50, None)]):
            everybody.connection.execute(
                sa.insert(t.deliveries).values(
                    sender="quickbooks",
                    digest=str(number).encode(),
                    body=b"{}",
                    received_at=now - timedelta(seconds=came),
                    processed_at=None if done is None else now - timedelta(seconds=done),
                    state="new" if done is None else "done",
                )
            )
        for number, (posted, state) in enumerate([(10, "posted"), (None, "queued"), (None, "needs_review")]):
            everybody.connection.execute(
                sa.insert(t.payments).values(
                    id=f"p{number}", merchant_id=merchant, connection_id=connection_id, customer="c", amount=1,
                    currency="EUR", gateway="sandbox", state=PaymentState.SETTLED.value, form_key=f"f{number}",
                    receipt_hash=str(number).encode(), sealed_receipt=b"", created_at=START, expires_at=START,
                    settled_at=now - timedelta(seconds=40),
                )
            )  # fmt: skip
            everybody.connection.execute(
                sa.insert(t.postings).values(
                    key=f"k{number}", merchant_id=merchant, connection_id=connection_id, payment_id=f"p{number}",
                    part="all", generation=1, state=state, amount=1, currency="EUR", allocations="[]",
                    paid_on=START.date(), changed_at=START,
                    posted_at=None if posted is None else now - timedelta(seconds=posted),
                )
            )  # fmt: skip
    read = office.read()
    assert read["webhook_lag_seconds{quantile=0.5}"] == 1 and read["webhook_lag_seconds{quantile=1}"] == 3
    assert read["webhook_waiting{}"] == 1 and read["webhook_oldest_waiting_seconds{}"] == 50
    assert read["write_back_lag_seconds{quantile=0.95}"] == 30
    assert read["write_back_waiting{}"] == 1 and read["write_back_oldest_waiting_seconds{}"] == 40
    assert read["postings{state=queued}"] == read["postings{state=needs_review}"] == 1
    office.clock.forward(600)
    assert "webhook_lag_seconds{quantile=0.5}" not in office.read(), "what was long ago says nothing about now"


def test_what_is_left_of_the_rate_limits(office: Office) -> None:
    limits = {name: {each.limit.period: each for each in many} for name, many in office.wiring.limits.items()}
    quickbooks, day = limits["quickbooks"][60.0], limits["xero"][86_400.0]
    assert office.read()["rate_budget_left{scope=connection,seconds=60,system=quickbooks}"] == quickbooks.limit.burst
    for connection, calls in (("1", 1), ("2", 4)):
        for _ in range(calls):
            assert not office.wiring.limiter.reserve(
                f"quickbooks:{connection}:60", limit=quickbooks.limit.limit, period=quickbooks.counted_over,
                burst=quickbooks.limit.burst,
            )  # fmt: skip
            assert not office.wiring.limiter.spend(
                f"xero:{connection}:86400", limit=day.limit.limit, period=day.counted_over
            )
    office.wiring.limiter.push_back("xero:2:86400", 600)
    read = office.read()
    # Of a pace a part comes back while this runs; of a day's budget nothing does.
    left = read["rate_budget_left{scope=connection,seconds=60,system=quickbooks}"]
    assert quickbooks.limit.burst - 4 <= left <= quickbooks.limit.burst
    assert read["rate_budget_left{scope=connection,seconds=86400,system=xero}"] == day.limit.limit - 4
    assert read["rate_budget{scope=connection,seconds=86400,system=xero}"] == day.limit.limit
    assert read["rate_silenced{system=xero}"] == 1 and read["rate_silenced{system=quickbooks}"] == 0


def test_workers_by_their_last_beat(office: Office) -> None:
    Executors(office.wiring.database.engine).beat("north-1")
    read = office.read()
    assert read["executors{}"] == 1 and 0 <= read["executor_age_seconds{executor=north-1}"] < 60


def test_two_who_ask_at_once_cost_one_reading(sqlite_schema_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KEPT_SECONDS", 3600.0)
    office = Office(sqlite_schema_url)
    before = office.read()
    Executors(office.wiring.database.engine).beat("north-1")
    assert office.read() == before
    office.wiring.database.engine.dispose()
