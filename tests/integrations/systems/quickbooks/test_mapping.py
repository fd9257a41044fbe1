"""One record means the same whether it comes alone or in a page: golden files and recorded bodies on both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.money import minor_to_text
from connector.domain.records import Kind, Record, Unreadable, UpstreamCustomer, UpstreamInvoice, UpstreamPayment
from integrations.systems.quickbooks import mapping
from integrations.systems.quickbooks.mapping_bulk import Batch, Faulty, Garbled, read_answer, read_changes
from integrations.systems.quickbooks.values import ENTITY, Unmappable

GOLDEN = Path(__file__).parent / "golden"
KIND_OF = {entity: kind for kind, entity in ENTITY.items() if kind is not Kind.RECURRING}
TYPE: dict[Kind, Any] = {Kind.CUSTOMER: UpstreamCustomer, Kind.PAYMENT: UpstreamPayment}


def _cases() -> Iterator[Any]:
    for path in sorted(GOLDEN.glob("*.json")):
        for case in _rows(path.read_text()):
            yield pytest.param(Kind(case["kind"]), case, id=case["case"])


def _rows(text: str) -> list[dict[str, Any]]:
    """The cases of a file, each `raw` kept as the very JSON it was written in."""
    raws = msgspec.json.decode(text, type=list[dict[str, msgspec.Raw]])
    return [{key: bytes(raw) if key == "raw" else json.loads(bytes(raw)) for key, raw in row.items()} for row in raws]


def _alone(kind: Kind, raw: bytes, home: str) -> Record:
    return mapping.record(kind, json.loads(raw, parse_float=Decimal), home)


def _in_a_page(kind: Kind, raw: bytes, home: str) -> Batch:
    return read_answer(kind, b'{"QueryResponse": {"%s": [%s]}}' % (ENTITY[kind].encode(), raw), home)


def _in_changes(kind: Kind, raw: bytes, home: str) -> Batch:
    body = b'{"CDCResponse": [{"QueryResponse": [{"%s": [%s], "startPosition": 1}]}], "time": "2026-11-22T00:00:00Z"}'
    return read_changes(kind, body % (ENTITY[kind].encode(), raw), home)


@pytest.mark.parametrize(("kind", "case"), list(_cases()))
def test_golden(kind: Kind, case: dict[str, Any]) -> None:
    raw, home = case["raw"], case["home"]
    if "unreadable" in case:
        with pytest.raises(Unmappable, match=case["unreadable"]):
            _alone(kind, raw, home)
        for batch in (_in_a_page(kind, raw, home), _in_changes(kind, raw, home)):
            assert batch.records == [] and batch.seen == 1
            (unreadable,) = batch.unreadable
            assert unreadable.remote_id == json.loads(raw, parse_float=Decimal)["Id"]
            assert case["unreadable"] in unreadable.why
        return
    shape = TYPE.get(kind, UpstreamInvoice)
    expected = msgspec.convert([case["expected"][name] for name in shape._fields], shape)
    assert _alone(kind, raw, home) == expected
    assert _in_a_page(kind, raw, home).records == [expected]
    assert _in_changes(kind, raw, home).records == [expected]


def test_one_broken_record_costs_nobody_else() -> None:
    rows = (
        b'{"Id":"1","TotalAmt":1},{"Id":2,"TotalAmt":1},{"Id":"3","DocNumber":7,"TotalAmt":1},{"Id":"4","TotalAmt":2}'
    )
    batch = read_answer(Kind.INVOICE, b'{"QueryResponse":{"Invoice":[%s]}}' % rows, "USD")
    assert [record.remote_id for record in batch.records if isinstance(record, UpstreamInvoice)] == ["1", "4"]
    assert [(bad.remote_id, bad.number) for bad in batch.unreadable] == [("2", ""), ("3", "7")]
    assert batch.seen == 4


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"QueryResponse": []}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_answer_is_garbled(body: bytes) -> None:
    for read in (read_answer, read_changes):
        if body == b'{"QueryResponse": []}' and read is read_changes:
            continue
        with pytest.raises(Garbled):
            read(Kind.INVOICE, body, "USD")


def test_nothing_looks_like_this() -> None:
    assert read_answer(Kind.INVOICE, b'{"QueryResponse":{},"time":"t"}', "USD") == Batch([], [], 0, "t", "", 0)
    assert read_changes(Kind.INVOICE, b'{"CDCResponse":[{"QueryResponse":[{}]}],"time":1}', "USD").seen == 0


def test_a_fault_inside_a_page_is_seen() -> None:
    fault = b'{"Error":[{"code":"6000"}]}'
    with pytest.raises(Faulty) as caught:
        read_answer(Kind.INVOICE, b'{"Fault":%s}' % fault, "USD")
    assert caught.value.fault == fault
    with pytest.raises(Faulty):
        read_changes(Kind.INVOICE, b'{"CDCResponse":[{"Fault":%s}]}' % fault, "USD")


def _objects(found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record of a kind we read, wherever it stands in a recorded body."""
    if isinstance(found, dict):
        for name, value in found.items():
            for item in value if isinstance(value, list) else [value]:
                if name in KIND_OF and isinstance(item, dict):
                    yield name, item
                else:
                    yield from _objects(item)


def test_every_recorded_body_maps_the_same_both_ways(recorded: list[dict[str, Any]]) -> None:
    mapped = 0
    for interaction in recorded:
        for entity, raw in _objects(interaction["response"]):
            kind, text = KIND_OF[entity], json.dumps(raw).encode()
            record = _alone(kind, text, "USD")
            for batch in (_in_a_page(kind, text, "USD"), _in_changes(kind, text, "USD")):
                assert batch.records == [record] and not batch.unreadable
            _agrees(record, raw)
            mapped += 1
    assert mapped >= 25


def _agrees(record: Record, raw: dict[str, Any]) -> None:
    """The record says in our words what stands in QuickBooks'."""
    assert not isinstance(record, Unreadable) and record.remote_id == raw["Id"]
    if raw.get("status") == "Deleted":
        return
    assert getattr(record, "version", None) == raw["SyncToken"]
    if isinstance(record, UpstreamInvoice):
        assert Decimal(minor_to_text(record.total, record.currency)) == Decimal(str(raw["TotalAmt"]))
        subtotal = next(line["Amount"] for line in raw["Line"] if line["DetailType"] == "SubTotalLineDetail")
        assert sum(line.amount for line in record.lines) == Decimal(str(subtotal)) * 100
        assert record.memo == raw.get("CustomerMemo", {}).get("value", "")
        assert str(record.issue_date) == raw["TxnDate"] and record.customer == raw["CustomerRef"]["value"]
    if isinstance(record, UpstreamCustomer):
        assert record.name == raw["DisplayName"] and record.active is raw["Active"]


@given(minor=st.integers(-(10**12), 10**12), currency=st.sampled_from(["USD", "JPY", "KWD"]))
def test_amounts_come_through_to_the_coin(minor: int, currency: str) -> None:
    raw = b'{"Id":"1","TotalAmt":%s,"Balance":%s}' % ((minor_to_text(minor, currency).encode(),) * 2)
    (record,) = _in_a_page(Kind.INVOICE, raw, currency).records
    assert isinstance(record, UpstreamInvoice) and record.total == record.balance == minor
    assert _alone(Kind.INVOICE, raw, currency) == record


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9, places=7))
def test_quantities_and_prices_keep_their_value(value: Decimal) -> None:
    line = b'{"DetailType":"SalesItemLineDetail","Amount":1,"SalesItemLineDetail":{"Qty":%s,"UnitPrice":%s}}'
    number = format(value, "f").encode()
    raw = b'{"Id":"1","TotalAmt":1,"Line":[%s]}' % (line % (number, number))
    (record,) = _in_a_page(Kind.INVOICE, raw, "USD").records
    assert isinstance(record, UpstreamInvoice)
    assert Decimal(record.lines[0].quantity) == value == Decimal(record.lines[0].unit_price)


SCHEDULES = [
    ({"IntervalType": "Monthly", "NumInterval": 1, "DayOfMonth": 28}, "every month on day 28"),
    ({"IntervalType": "Weekly", "NumInterval": 2, "DayOfWeek": "Monday"}, "every 2 weeks on Monday"),
    ({"IntervalType": "Yearly", "NumInterval": 1, "DayOfMonth": 3, "MonthOfYear": "May"}, "every year on day 3 of May"),
    ({"IntervalType": "Daily", "NumInterval": 10}, "every 10 days"),
    ({"IntervalType": "Fortnightly"}, "fortnightly"),
    ({}, ""),
]


@pytest.mark.parametrize(("schedule", "words"), SCHEDULES)
def test_recurring_profiles_say_when(schedule: dict[str, Any], words: str) -> None:
    info = {"Name": "Care", "Active": True, "ScheduleInfo": {**schedule, "NextDate": "2026-12-01"}}
    raw = {
        "Invoice": {
            "Id": "7",
            "SyncToken": "2",
            "CustomerRef": {"value": "3"},
            "TotalAmt": Decimal("9.5"),
            "RecurringInfo": info,
        }
    }
    found = mapping.recurring(raw, "USD")
    assert found is not None
    assert (found.remote_id, found.every, found.amount, found.active, str(found.next_on)) == (
        "7",
        words,
        950,
        True,
        "2026-12-01",
    )
    assert mapping.recurring({"Bill": {"Id": "1"}}, "USD") is None
