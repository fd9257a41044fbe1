"""What an import asks of the upstream: calls are limited, counted and charged for, so every one is accounted for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
import sqlalchemy as sa
from requests import PreparedRequest

from connector.app import wire
from connector.config import read_settings
from connector.contract import TokenSet, TryAgain
from connector.db import tables as t
from connector.db.leases import seal_tokens
from connector.db.work import WorkItem
from connector.demo.surroundings import CREDENTIALS
from connector.domain.work import Work
from connector.journeys import sign_up, sync
from connector.wiring import Wiring

API = "https://api.upstream.example"
TENANT = {"quickbooks": "9130", "xero": "9a1f6f0e-2c8e-4a52-8a1b-0c1e6a6f3d11"}
INVOICES = 5_321
ANSWER = tuple[int, dict[str, str], str]


@dataclass
class Upstream:
    """Answers like QuickBooks and Xero with `count` small invoices; keeps what it was asked."""

    count: int = INVOICES
    asked: list[str] = field(default_factory=list)

    def quickbooks_query(self, request: PreparedRequest) -> ANSWER:
        body = request.body or b""
        query = body.decode() if isinstance(body, bytes) else str(body)
        self.asked.append(query)
        if "COUNT(*)" in query:
            return _json({"QueryResponse": {"totalCount": self.count}, "time": f"{datetime.now(UTC):%FT%T+00:00}"})
        found = re.search(r"STARTPOSITION (\d+) MAXRESULTS (\d+)", query)
        assert found, query
        start, most = int(found[1]), int(found[2])
        rows = [_quickbooks(number) for number in range(start, min(start + most, self.count + 1))]
        return _json({"QueryResponse": {"Invoice": rows} if rows else {}, "time": f"{datetime.now(UTC):%FT%T+00:00}"})

    def quickbooks_changes(self, request: PreparedRequest) -> ANSWER:
        self.asked.append("changes")
        return _json({"CDCResponse": [{"QueryResponse": [{}]}], "time": f"{datetime.now(UTC):%FT%T+00:00}"})

    def xero_invoices(self, request: PreparedRequest) -> ANSWER:
        query = parse_qs(urlsplit(request.url or "").query)
        self.asked.append(request.url or "")
        page, size = int(query["page"][0]), int(query["pageSize"][0])
        since = "If-Modified-Since" in request.headers
        rows = [] if since else [_xero(n) for n in range((page - 1) * size, min(page * size, self.count))]
        total = len(rows) if since else self.count
        about = {"page": page, "pageSize": size, "pageCount": -(-total // size), "itemCount": total}
        return _json({"Status": "OK", "pagination": about, "Invoices": rows})


def _json(content: dict[str, Any]) -> ANSWER:
    return 200, {"Content-Type": "application/json"}, json.dumps(content)


def _quickbooks(number: int) -> dict[str, Any]:
    return {
        "Id": str(number),
        "SyncToken": "0",
        "DocNumber": f"{number}",
        "TxnDate": "2026-03-01",
        "CurrencyRef": {"value": "USD"},
        "CustomerRef": {"value": "7"},
        "TotalAmt": 12.5,
        "Balance": 12.5,
        "MetaData": {"LastUpdatedTime": "2026-03-01T00:00:00-07:00"},
        "Line": [],
    }


def _xero(number: int) -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "InvoiceID": f"00000000-0000-4000-8000-{number:012}",
        "InvoiceNumber": f"INV-{number}",
        "Status": "AUTHORISED",
        "CurrencyCode": "NZD",
        "Total": 12.5,
        "TotalTax": 0,
        "AmountDue": 12.5,
        "DateString": "2026-03-01T00:00:00",
        "UpdatedDateUTC": "/Date(1772323200000+0000)/",
        "LineItems": [],
    }


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """QuickBooks and Xero behind every adapter of this process."""
    answering = Upstream()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        company = f"{API}/v3/company/{TENANT['quickbooks']}"
        web.add_callback(responses.POST, f"{company}/query", answering.quickbooks_query)
        web.add_callback(responses.GET, f"{company}/cdc", answering.quickbooks_changes)
        web.add_callback(responses.GET, f"{API}/Invoices", answering.xero_invoices)
        yield answering


@pytest.fixture
def wiring(sqlite_schema_url: str) -> Iterator[Wiring]:
    """The product with nobody to wake, its rate limits out of the way."""
    environ = {
        **CREDENTIALS,
        "DUEBRIDGE_DATABASE_URL": sqlite_schema_url,
        "DUEBRIDGE_QUICKBOOKS_API_URL": API,
        "DUEBRIDGE_XERO_API_URL": API,
        "DUEBRIDGE_QUICKBOOKS_RATE": "100000/60",
        "DUEBRIDGE_XERO_RATE": "100000/60",
    }
    made = wire(read_settings(environ), dispatch=lambda connection, item, delay: None)
    yield made
    made.database.engine.dispose()


def _connected(wiring: Wiring, system: str) -> WorkItem:
    """An active connection of a new merchant, and the work of reading its invoices."""
    sign_up.run(wiring, company="Northwind", name="Alex", email="a@northwind.example", password="a long password")
    with wiring.database.lookup() as everybody:
        staff = everybody.staff("a@northwind.example")
    assert staff is not None
    merchant_id = staff[1]
    later = datetime.now(UTC) + timedelta(days=1)
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection_id = uow.connections.add(
            system=system,
            tenant=TENANT[system],
            name="Northwind",
            currency="USD",
            extra={"currency": "USD"},
            install_key=None,
        )
        sealed = seal_tokens(uow.vault, str(connection_id), TokenSet("access", "refresh", later))
        uow.connections.store_secrets(connection_id, sealed)
        uow.connections.confirm(connection_id, history_start=None, deposit_account="", place_links=False)
    return WorkItem(
        id="sync",
        kind=Work.SYNC,
        merchant=merchant_id,
        partition=str(connection_id),
        attempt=1,
        failures=0,
        asked=1,
        payload={"connection": connection_id, "kinds": ["invoice"]},
        sent_at=None,
        correlation="",
    )


def _stored(wiring: Wiring) -> int:
    with wiring.database.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.invoices)).scalar_one())


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
@pytest.mark.parametrize("count", [INVOICES, 3_000, 0])
def test_a_first_import_asks_once_for_every_thousand(
    wiring: Wiring, upstream: Upstream, system: str, count: int
) -> None:
    upstream.count = count
    sync.run(wiring, _connected(wiring, system))
    assert _stored(wiring) == count
    assert len(upstream.asked) <= -(-count // 1000) + 3
    assert len(set(upstream.asked)) == len(upstream.asked), "a page was asked for twice"


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_a_sync_with_nothing_new_asks_once(wiring: Wiring, upstream: Upstream, system: str) -> None:
    item = _connected(wiring, system)
    sync.run(wiring, item)
    upstream.asked.clear()
    for turn in range(1, 4):
        sync.run(wiring, item)
        assert len(upstream.asked) == turn


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_turns_that_end_meanwhile_cost_no_call_twice(
    wiring: Wiring, upstream: Upstream, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "TURN_SECONDS", 0.0)
    item = _connected(wiring, system)
    turns = _until_read(lambda: sync.run(wiring, item))
    assert turns > 1
    assert _stored(wiring) == INVOICES
    assert len(set(upstream.asked)) == len(upstream.asked), "a page was asked for twice"


def _until_read(read: Callable[[], None]) -> int:
    """Take turns until everything is read; how many it took."""
    for turn in range(1, 50):
        try:
            read()
            return turn
        except TryAgain as more:
            assert more.after == 0.0
    raise AssertionError("it is never read to its end")
