"""Reading everything once, and then what has changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import responses
from requests import PreparedRequest

from connector.contract import Refused, TryAgain
from connector.domain.records import InvoiceState, Kind, Page, UpstreamInvoice
from integrations.systems.quickbooks.pages import OVERLAP
from tests.integrations.systems.quickbooks.canned import BOOKS, access, fault, system
from tests.integrations.systems.quickbooks.connected import Connected

NOW = datetime.now(UTC).replace(microsecond=0)


class Shelf:
    """A QuickBooks of bare invoices in memory, kept sorted by id, that answers queries and change captures."""

    def __init__(self, count: int) -> None:
        self.rows = {number: NOW - timedelta(days=60) for number in range(1, count + 1)}
        self.deleted: list[int] = []
        self.asked: list[str] = []
        self.between: list[Any] = []

    def query(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        body = request.body
        text = body.decode() if isinstance(body, bytes) else str(body)
        self.asked.append(text)
        if "COUNT" in text:
            return self._answer({"totalCount": len(self.rows)})
        start, most = (int(re.search(rf"{word} (\d+)", text)[1]) for word in ("STARTPOSITION", "MAXRESULTS"))  # type: ignore[index]
        since = re.search(r"LastUpdatedTime >= '([^']+)'", text)
        rows = sorted(self.rows.items())
        if since:
            rows = sorted((row for row in rows if row[1] >= datetime.fromisoformat(since[1])), key=lambda row: row[1])
        found = [self._invoice(number, when) for number, when in rows[start - 1 : start - 1 + most]]
        if self.between:
            self.between.pop(0)()
        return self._answer({"Invoice": found} if found else {})

    def changes(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        self.asked.append("CDC")
        since = datetime.fromisoformat(str(request.params["changedSince"]))  # type: ignore[attr-defined]
        found = [self._invoice(number, when) for number, when in sorted(self.rows.items()) if when >= since]
        gone = [{"Id": str(number), "status": "Deleted", "domain": "QBO"} for number in self.deleted]
        body = {"CDCResponse": [{"QueryResponse": [{"Invoice": [*gone, *found][:1000]}]}], "time": NOW.isoformat()}
        return 200, {}, json.dumps(body)

    @staticmethod
    def _invoice(number: int, when: datetime) -> dict[str, Any]:
        return {
            "Id": str(number),
            "SyncToken": "0",
            "TotalAmt": 1,
            "Balance": 1,
            "TxnDate": "2026-06-01",
            "MetaData": {"LastUpdatedTime": when.isoformat()},
        }

    @staticmethod
    def _answer(found: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        return 200, {}, json.dumps({"QueryResponse": found, "time": NOW.isoformat()})


@pytest.fixture
def books() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def _shelved(books: responses.RequestsMock, count: int) -> Shelf:
    shelf = Shelf(count)
    books.add_callback("POST", f"{BOOKS}/query", shelf.query)
    books.add_callback("GET", f"{BOOKS}/cdc", shelf.changes)
    return shelf


def _read(cursor: str, most: int = 50) -> tuple[list[str], Page]:
    """Read on until done; the ids in order, and the last page."""
    ids: list[str] = []
    for _ in range(most):
        page = system().page(access(), Kind.INVOICE, cursor)
        ids += [record.remote_id for record in page.records if isinstance(record, UpstreamInvoice)]
        cursor = page.next
        if page.done:
            return ids, page
    raise AssertionError("the reading has no end")


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 3500])
def test_a_first_import_reads_everything_once_with_few_requests(books: responses.RequestsMock, count: int) -> None:
    shelf = _shelved(books, count)
    cursor = system().first_cursor(access(), Kind.INVOICE, None)
    planned = system().ahead(Kind.INVOICE, cursor)
    assert planned[0] == cursor and len(planned) == max(1, -(-count // 1000))
    pages = [system().page(access(), Kind.INVOICE, each) for each in planned]
    assert all(page.total == count for page in pages)
    assert [page.next for page in pages[:-1]] == list(planned[1:])
    ids = [record.remote_id for page in pages for record in page.records if isinstance(record, UpstreamInvoice)]
    if not pages[-1].done:
        more, _ = _read(pages[-1].next)
        ids += more
    assert ids == [str(number) for number in range(1, count + 1)]
    assert len(shelf.asked) <= -(-count // 1000) + 3


def test_pages_are_asked_in_a_stable_order_from_the_history_start(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 1500)
    cursor = system().first_cursor(access(), Kind.INVOICE, date(2026, 1, 1))
    system().page(access(), Kind.INVOICE, system().ahead(Kind.INVOICE, cursor)[1])
    assert shelf.asked == [
        "SELECT COUNT(*) FROM Invoice WHERE TxnDate >= '2026-01-01'",
        "SELECT * FROM Invoice WHERE TxnDate >= '2026-01-01' ORDERBY Id STARTPOSITION 1001 MAXRESULTS 1000",
    ]


def test_what_is_created_meanwhile_is_read_too(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 2000)
    shelf.between.append(lambda: shelf.rows.update({number: NOW for number in range(2001, 3101)}))
    ids, page = _read(system().first_cursor(access(), Kind.INVOICE, None))
    assert ids == [str(number) for number in range(1, 3101)]
    assert json.loads(page.next)["mode"] == "changes"


def test_what_a_deletion_hides_is_found_by_the_first_changes(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 2500)

    def delete() -> None:
        shelf.deleted.append(5)
        del shelf.rows[5]

    shelf.between.append(delete)
    ids, page = _read(system().first_cursor(access(), Kind.INVOICE, None))
    assert "1001" not in ids
    again, page = _read(page.next)
    assert again[0] == "5" and "1001" in again and set(ids) | set(again) == {str(n) for n in range(1, 2501)}
    last, page = _read(page.next)
    assert last == ["5"] and page.done


def test_the_changes_start_before_the_import_did(books: responses.RequestsMock) -> None:
    _shelved(books, 1)
    cursor = json.loads(system().first_cursor(access(), Kind.INVOICE, None))
    assert datetime.fromisoformat(cursor["since"]) == NOW - OVERLAP


def _changes(since: datetime, **more: Any) -> str:
    return json.dumps({"mode": "changes", "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"), **more})


def test_nothing_new_is_one_request(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 10)
    ids, page = _read(_changes(NOW - timedelta(hours=1)))
    assert ids == [] and page.done and shelf.asked == ["CDC"]
    assert json.loads(page.next) == json.loads(_changes(NOW - OVERLAP))


def test_changes_and_deletions_come_without_what_is_before_the_history(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 3)
    shelf.rows[2] = NOW
    shelf.deleted.append(77)
    page = system().page(access(), Kind.INVOICE, _changes(NOW - timedelta(hours=1), history="2026-01-01"))
    states = {row.remote_id: row.state for row in page.records if isinstance(row, UpstreamInvoice)}
    assert states == {"77": InvoiceState.DELETED, "2": InvoiceState.OPEN}
    page = system().page(access(), Kind.INVOICE, _changes(NOW - timedelta(hours=1), history="2026-07-01"))
    assert [row.remote_id for row in page.records if isinstance(row, UpstreamInvoice)] == ["77"]


def test_a_cut_answer_is_followed_by_a_query(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 2400)
    for number in shelf.rows:
        shelf.rows[number] = NOW - timedelta(minutes=50) + timedelta(seconds=number)
    shelf.deleted.append(9999)
    ids, page = _read(_changes(NOW - timedelta(hours=1)))
    assert set(ids) == {"9999", *(str(number) for number in range(1, 2401))}
    assert shelf.asked[0] == "CDC" and "ORDERBY MetaData.LastUpdatedTime" in shelf.asked[1]
    assert json.loads(page.next)["since"] == json.loads(_changes(NOW - OVERLAP))["since"]


def test_more_than_a_page_with_one_time_has_an_end(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 2400)
    for number in shelf.rows:
        shelf.rows[number] = NOW - timedelta(minutes=5)
    ids, _ = _read(_changes(NOW - timedelta(hours=1)))
    assert set(ids) == {str(number) for number in range(1, 2401)}


def test_after_a_long_silence_a_query_reads_on(books: responses.RequestsMock) -> None:
    shelf = _shelved(books, 5)
    shelf.rows[3] = NOW - timedelta(days=40)
    ids, page = _read(_changes(NOW - timedelta(days=45)))
    assert ids == ["3"] and "CDC" not in shelf.asked and json.loads(page.next)["mode"] == "changes"


@pytest.mark.parametrize(
    "cursor", [_changes(NOW - timedelta(hours=1)), '{"mode": "all", "total": 5}'], ids=["changes", "all"]
)
def test_trouble_inside_a_page_has_a_name(books: responses.RequestsMock, cursor: str) -> None:
    for body, answer in (
        (fault("4001", "Invalid query"), Refused),
        (fault("3001"), TryAgain),
        (fault("10000"), TryAgain),
    ):
        for method, path in (("POST", "query"), ("GET", "cdc")):
            books.upsert(method, f"{BOOKS}/{path}", json=body)
        with pytest.raises(answer):
            system().page(access(), Kind.INVOICE, cursor)
    for method, path in (("POST", "query"), ("GET", "cdc")):
        books.upsert(method, f"{BOOKS}/{path}", body='{"QueryRes', content_type="application/json")
    with pytest.raises(TryAgain, match="cannot be read"):
        system().page(access(), Kind.INVOICE, cursor)


def test_the_home_currency_is_asked_for_when_nobody_kept_it(books: responses.RequestsMock) -> None:
    def query(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        if b"Preferences" in (request.body or b""):
            found: Any = {"Preferences": [{"Id": "1", "CurrencyPrefs": {"HomeCurrency": {"value": "CAD"}}}]}
        else:
            found = {"Invoice": [{"Id": "1", "TotalAmt": 1.5}]}
        return 200, {}, json.dumps({"QueryResponse": found})

    books.add_callback("POST", f"{BOOKS}/query", query)
    page = system().page(access(extra={}), Kind.INVOICE, '{"mode": "all", "total": 1}')
    assert [record.currency for record in page.records if isinstance(record, UpstreamInvoice)] == ["CAD"]


def _everything(upstream: Connected, kind: Kind, cursor: str) -> tuple[list[Any], str]:
    records: list[Any] = []
    while True:
        page = upstream.system.page(upstream.access, kind, cursor)
        assert not page.unreadable
        records += page.records
        cursor = page.next
        if page.done:
            return records, cursor


@pytest.mark.parametrize("kind", list(Kind))
def test_the_whole_company_is_read_and_then_only_what_changed(upstream: Connected, kind: Kind) -> None:
    first = upstream.system.first_cursor(upstream.access, kind, None)
    records, cursor = _everything(upstream, kind, first)
    expected = {Kind.CUSTOMER: 40, Kind.INVOICE: 300, Kind.RECURRING: 3, Kind.PAYMENT: 210}
    assert len({record.remote_id for record in records}) == len(records) >= expected.get(kind, 5)
    assert _everything(upstream, kind, first)[0] == records
    again, _ = _everything(upstream, kind, cursor)
    assert len(again) <= 3


def test_edits_voids_deletions_and_payments_by_hand_come_with_the_changes(upstream: Connected) -> None:
    first = upstream.system.first_cursor
    _, invoices = _everything(upstream, Kind.INVOICE, first(upstream.access, Kind.INVOICE, None))
    _, payments = _everything(upstream, Kind.PAYMENT, first(upstream.access, Kind.PAYMENT, None))
    edited, voided, deleted, paid = (
        row["Id"] for row in upstream.find("SELECT * FROM Invoice WHERE Balance > '50'")[:4]
    )
    upstream.control(f"invoices/{edited}/memo", memo="Ganz neu")
    upstream.control(f"invoices/{voided}/void")
    upstream.control(f"invoices/{deleted}/delete")
    upstream.control(f"invoices/{paid}/pay", amount="10")
    changed, invoices = _everything(upstream, Kind.INVOICE, invoices)
    now = {record.remote_id: record for record in changed}
    assert now[edited].memo == "Ganz neu" and now[voided].state is InvoiceState.VOID
    assert now[deleted].state is InvoiceState.DELETED and now[paid].balance > 0
    made, _ = _everything(upstream, Kind.PAYMENT, payments)
    assert any(allocation[0] == paid for record in made for allocation in record.allocations)


def test_history_starts_where_the_merchant_says(upstream: Connected) -> None:
    since = date.today() - timedelta(days=60)
    records, _ = _everything(upstream, Kind.INVOICE, upstream.system.first_cursor(upstream.access, Kind.INVOICE, since))
    dates = [record.issue_date for record in records]
    assert 0 < len(dates) < 300 and min(dates) >= since
