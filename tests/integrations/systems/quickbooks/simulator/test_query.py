"""Queries, reads and change data capture."""

# ruff: noqa: S608 - these queries go to the simulated QuickBooks; no database stands behind them

from __future__ import annotations

import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.systems.quickbooks.simulator import CompanyFile
from tests.integrations.systems.quickbooks.simulator.driving import REALM, Running, code_of, running


def _all(run: Running, text: str) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = run.query(f"{text} maxresults 1000").get("Invoice", [])
    return documents


def test_counts_and_pages_cover_everything_once(seeded: Running) -> None:
    assert seeded.query("SELECT COUNT(*) FROM Invoice") == {"totalCount": 300}
    ids: list[str] = []
    for start in (1, 101, 201):
        page = seeded.query(f"SELECT * FROM Invoice ORDERBY Id STARTPOSITION {start} MAXRESULTS 100")
        assert (page["startPosition"], page["maxResults"]) == (start, 100)
        ids += [doc["Id"] for doc in page["Invoice"]]
    assert len(set(ids)) == 300
    assert ids == sorted(ids, key=int)
    assert len(seeded.query("select * from Invoice")["Invoice"]) == 100


def test_an_empty_answer_is_an_empty_object_with_a_time(seeded: Running) -> None:
    answer = seeded.get("query", query="SELECT * FROM Invoice WHERE DocNumber = 'none'")
    assert answer.json()["QueryResponse"] == {}
    datetime.fromisoformat(answer.json()["time"])
    assert seeded.query("SELECT * FROM Invoice STARTPOSITION 301") == {}


def test_conditions_are_numbers_times_references_and_texts(seeded: Running) -> None:
    everything = _all(seeded, "select * from Invoice")
    some = everything[7]
    customer = some["CustomerRef"]["value"]
    cases: list[tuple[str, Any]] = [
        (f"Id = '{some['Id']}'", lambda doc: doc["Id"] == some["Id"]),
        ("Id > '99' AND Id <= '250'", lambda doc: 99 < int(doc["Id"]) <= 250),
        (f"Id IN ('{some['Id']}', '1')", lambda doc: doc["Id"] in (some["Id"], "1")),
        ("Balance > '0'", lambda doc: doc["Balance"] > 0),
        ("TotalAmt >= '1000.50' AND Balance = '0'", lambda d: d["TotalAmt"] >= Decimal("1000.50") and not d["Balance"]),
        (f"CustomerRef = '{customer}'", lambda doc: doc["CustomerRef"]["value"] == customer),
        (f"TxnDate >= '{some['TxnDate']}'", lambda doc: doc["TxnDate"] >= some["TxnDate"]),
        ("DocNumber LIKE '10%5'", lambda doc: doc["DocNumber"][:2] == "10" and doc["DocNumber"][-1] == "5"),
    ]
    for condition, expected in cases:
        found = {doc["Id"] for doc in _all(seeded, f"select * from Invoice where {condition}")}
        assert found == {doc["Id"] for doc in everything if expected(doc)}, condition
        assert found, condition


def test_times_with_different_offsets_are_compared_as_times(seeded: Running) -> None:
    everything = _all(seeded, "select * from Invoice")
    offsets = {doc["MetaData"]["LastUpdatedTime"][-6:] for doc in everything}
    assert offsets == {"-08:00", "-07:00"}
    bound = "2026-06-01T12:00:00Z" if datetime.now().year == 2026 else f"{datetime.now().year}-01-01T00:00:00Z"
    after = _all(
        seeded,
        f"select * from Invoice where MetaData.LastUpdatedTime > '{bound}' orderby MetaData.LastUpdatedTime desc",
    )
    limit = datetime.fromisoformat(bound)
    times = [datetime.fromisoformat(doc["MetaData"]["LastUpdatedTime"]) for doc in after]
    assert times == sorted(times, reverse=True)
    assert all(at > limit for at in times)
    assert len(after) == sum(datetime.fromisoformat(d["MetaData"]["LastUpdatedTime"]) > limit for d in everything)


def test_inactive_customers_come_only_when_asked_for(seeded: Running) -> None:
    assert seeded.query("select count(*) from Customer")["totalCount"] == 39
    assert seeded.query("select count(*) from Customer where Active in (true, false)")["totalCount"] == 40
    (closed,) = seeded.query("select * from Customer where Active = false")["Customer"]
    assert closed["Active"] is False
    found = seeded.query("select * from Customer where DisplayName = 'O\\'Brien Roofing'")["Customer"]
    assert [doc["DisplayName"] for doc in found] == ["O'Brien Roofing"]
    (japanese,) = seeded.query("select * from Customer where DisplayName = '株式会社さくら'")["Customer"]
    assert japanese["CurrencyRef"]["value"] == "JPY"


def test_accounts_and_other_lists(seeded: Running) -> None:
    accounts = seeded.query("SELECT * FROM Account WHERE AccountType IN ('Bank','Other Current Asset')")["Account"]
    assert {"Undeposited Funds", "Checking", "Card processor clearing"} <= {doc["Name"] for doc in accounts}
    (template, *_) = seeded.query("select * from RecurringTransaction")["RecurringTransaction"]
    assert template["Invoice"]["RecurringInfo"]["Active"] is True
    made_from = [doc for doc in _all(seeded, "select * from Invoice") if "RecurDataRef" in doc]
    assert {doc["RecurDataRef"]["value"] for doc in made_from} <= {"1", "2", "3"}
    assert made_from
    assert seeded.query("select * from Preferences")["Preferences"][0]["CurrencyPrefs"]["MultiCurrencyEnabled"] is True
    assert seeded.query("select Id, DocNumber from Invoice maxresults 1")["Invoice"][0].keys() == {
        "Id",
        "DocNumber",
        "domain",
        "sparse",
    }


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM Custmoer",
        "SELECT * FROM Invoice WHERE PrivateNote = 'x'",
        "SELECT * FROM Invoice WHERE Balance > '0' OR Id = '1'",
        "SELECT * FROM Invoice MAXRESULTS 1001",
        "SELECT * FROM Invoice STARTPOSITION 0",
        "SELECT * FROM Invoice WHERE TxnDate > 'yesterday'",
        "SELECT * FROM Invoice WHERE Balance > 'much'",
        "SELECT * FROM Invoice WHERE MetaData.LastUpdatedTime > '2026-01-01T00:00:00 01:00'",
        "SELECT * FROM Invoice WHERE DocNumber = 'unfinished",
        "SELECT * FROM Invoice WHERE",
        "DELETE FROM Invoice",
        "",
    ],
)
def test_what_is_not_understood_is_fault_4001(seeded: Running, text: str) -> None:
    answer = seeded.get("query", query=text)
    assert answer.status_code == 400
    assert code_of(answer) == "4001"


def test_a_query_may_be_posted_as_text(seeded: Running) -> None:
    answer = seeded.http.post(
        f"{seeded.api}/query?minorversion=75",
        data=b"SELECT COUNT(*) FROM Payment",
        headers={"Content-Type": "application/text"},
        timeout=5,
    )
    assert answer.json()["QueryResponse"]["totalCount"] > 100


def test_one_by_id(seeded: Running) -> None:
    invoice = seeded.read("Invoice", "1")
    assert invoice["Id"] == "1"
    missing = seeded.get("invoice/999999")
    assert (missing.status_code, code_of(missing)) == (400, "610")
    assert code_of(seeded.get("customer/1.5")) == "2030"
    assert code_of(seeded.get("nonsense/1")) == "500"
    assert code_of(seeded.get("customer/1/5")) == "500"
    assert seeded.get("preferences").json()["Preferences"]["Id"] == "1"
    rate = seeded.get("exchangerate", sourcecurrencycode="EUR").json()["ExchangeRate"]
    assert rate["TargetCurrencyCode"] == "USD"


def test_a_thousand_invoices_are_queried_in_under_50_milliseconds() -> None:
    with running(companies=(CompanyFile(REALM, "Big", 1000),)) as run:
        text = "select * from Invoice orderby Id startposition 1 maxresults 1000"
        assert len(run.query(text)["Invoice"]) == 1000
        took = []
        for _ in range(7):
            started = time.perf_counter()
            run.get("query", query=text)
            took.append(time.perf_counter() - started)
        assert min(took) < 0.05


def test_changes_since_a_time_with_stubs_for_the_deleted(run: Running) -> None:
    def changed(since: datetime, entities: str = "Invoice,Customer,payment") -> list[dict[str, Any]]:
        answer = run.get("cdc", entities=entities, changedSince=since.isoformat())
        assert answer.status_code == 200, answer.text
        responses: list[dict[str, Any]] = answer.json()["CDCResponse"][0]["QueryResponse"]
        return responses

    run.parts.clock.advance(3)
    start = run.parts.clock.now() - timedelta(seconds=1)
    assert changed(start) == [{}, {}, {}]
    first, second = run.open_invoice(), run.open_invoice(skip=1)
    run.post("invoice", {"Id": first["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": "new"}})
    run.post("invoice", {"Id": second["Id"], "SyncToken": "0"}, operation="delete")
    invoices, customers, payments = changed(start)
    documents = {doc["Id"]: doc for doc in invoices["Invoice"]}
    assert documents[first["Id"]]["CustomerMemo"] == {"value": "new"}
    assert documents[first["Id"]]["Line"]
    stub = documents[second["Id"]]
    assert stub["status"] == "Deleted"
    assert "TotalAmt" not in stub
    assert stub["MetaData"]["LastUpdatedTime"]
    assert [doc["Id"] for doc in customers["Customer"]] == [second["CustomerRef"]["value"]]
    assert payments == {}


def test_capture_looks_back_30_days_and_is_cut_at_1000_without_a_word() -> None:
    with running(companies=(CompanyFile(REALM, "Big", 1200),)) as run:
        month_ago = run.parts.clock.now() - timedelta(days=30)
        ancient = run.get("cdc", entities="Invoice", changedSince="2020-01-01T00:00:00Z").json()
        (found,) = ancient["CDCResponse"][0]["QueryResponse"]
        times = [datetime.fromisoformat(doc["MetaData"]["LastUpdatedTime"]) for doc in found["Invoice"]]
        assert times == sorted(times)
        assert min(times) >= month_ago
        books = run.parts.books[REALM]
        with books.change("touch") as change:
            for row in books.rows("Invoice"):
                change.touch("Invoice", dict(row.doc))
        both = run.get("cdc", entities="Invoice,Payment", changedSince=month_ago.isoformat()).json()
        invoices, payments = both["CDCResponse"][0]["QueryResponse"]
        assert len(invoices["Invoice"]) == 1000
        assert payments == {}


def test_capture_refuses_nonsense(seeded: Running) -> None:
    assert code_of(seeded.get("cdc", entities="Invoice")) == "2020"
    assert code_of(seeded.get("cdc", changedSince="2026-01-01")) == "2020"
    assert code_of(seeded.get("cdc", entities="Invoice", changedSince="soon")) == "4001"
    assert code_of(seeded.get("cdc", entities="Custmoer", changedSince="2026-01-01")) == "4001"
