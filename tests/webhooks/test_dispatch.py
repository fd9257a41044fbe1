"""From a stored body to the work of the merchants it concerns; what concerns nobody is kept and says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from connector.domain.records import Event
from connector.domain.work import Work
from connector.journeys import sync
from tests.webhooks.knocking import NOW, Door, cloud_event, door, notification, sandbox_event, xero_events


@pytest.fixture
def opened(schema_url: str) -> Iterator[Door]:
    with door(schema_url) as opened:
        yield opened


def _send(opened: Door, sender: str, body: object) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert opened.post(sender, raw).status_code == 200


def _asked(opened: Door, merchant_id: int) -> list[tuple[Work, dict[str, object]]]:
    return [(row.item.kind, dict(row.item.payload)) for row in opened.work(merchant_id)]


def _reading(connection_id: int, *kinds: str) -> tuple[Work, dict[str, object]]:
    return Work.SYNC, {"connection": connection_id, "kinds": list(kinds)}


def test_organisations_mixed_in_one_body_are_one_work_each(opened: Door) -> None:
    first, second = opened.merchant("first"), opened.merchant("second")
    mine, other, hers = (
        opened.connection(first, "quickbooks", "111"),
        opened.connection(first, "quickbooks", "222"),
        opened.connection(second, "quickbooks", "333"),
    )
    events = [
        cloud_event(realm, event_id=f"e{place}") for place, realm in enumerate(("111", "333", "111", "222", "111"))
    ]
    _send(opened, "quickbooks", events)
    assert opened.dispatched() == [("quickbooks", "done", "")]
    assert _asked(opened, first) == [_reading(mine, "invoice"), _reading(other, "invoice")]
    assert _asked(opened, second) == [_reading(hers, "invoice")]


def test_one_organisation_connected_by_two_merchants_is_read_by_both(opened: Door) -> None:
    first, second = opened.merchant("first"), opened.merchant("second")
    for merchant_id in (first, second):
        opened.connection(merchant_id, "xero", "t-1")
    _send(opened, "xero", xero_events(("t-1", "i-1")))
    assert opened.dispatched() == [("xero", "done", "")]
    assert len(_asked(opened, first)) == len(_asked(opened, second)) == 1


def test_both_forms_of_quickbooks_lead_to_the_same_reading(opened: Door) -> None:
    merchant_id = opened.merchant("first")
    connection_id = opened.connection(merchant_id, "quickbooks", "111")
    older = {"eventNotifications": [notification("111", ("Invoice", "130"), ("Payment", "131"))]}
    for body, kinds in (([cloud_event("111")], ["invoice"]), (older, ["invoice", "payment"])):
        _send(opened, "quickbooks", body)
        assert opened.dispatched()[-1] == ("quickbooks", "done", "")
        assert _asked(opened, merchant_id) == [_reading(connection_id, *kinds)]


def test_only_what_the_events_tell_of_is_read_and_a_whole_reading_stays_whole(opened: Door) -> None:
    merchant_id = opened.merchant("first")
    connection_id = opened.connection(merchant_id, "quickbooks", "111")
    _send(opened, "quickbooks", [cloud_event("111", "vendor")])
    opened.dispatched()
    assert opened.work(merchant_id) == [], "vendors are not read"
    _send(opened, "quickbooks", [cloud_event("111", "customer", event_id="e-2")])
    opened.dispatched()
    sync.ask(opened.wiring, merchant_id, connection_id)
    _send(opened, "quickbooks", [cloud_event("111", event_id="e-3")])
    opened.dispatched()
    (row,) = opened.work(merchant_id)
    assert row.item.payload == {"connection": connection_id} and row.next_at <= NOW, "somebody pressed Sync now"


def test_a_body_nobody_foresaw_does_not_hold_up_those_behind_it(opened: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant_id = opened.merchant("first")
    opened.connection(merchant_id, "quickbooks", "111")
    sender = opened.wiring.senders["quickbooks"]
    parse = sender.parse

    def stumble(raw: bytes) -> Sequence[Event]:
        if b"e-odd" in raw:
            raise KeyError("realm")
        return parse(raw)

    monkeypatch.setattr(sender, "parse", stumble)
    _send(opened, "quickbooks", [cloud_event("111", event_id="e-odd")])
    _send(opened, "quickbooks", [cloud_event("111", event_id="e-plain")])
    assert [state for _, state, _ in opened.dispatched()] == ["unreadable", "done"]
    assert len(opened.work(merchant_id)) == 1


def test_a_burst_is_one_reading_that_begins_after_the_last(opened: Door) -> None:
    merchant_id = opened.merchant("first")
    connection_id = opened.connection(merchant_id, "quickbooks", "111")
    for place in range(6):
        _send(opened, "quickbooks", [cloud_event("111", event_id=f"e{place}", remote_id=str(place))])
    assert [state for _, state, _ in opened.dispatched()] == ["done"] * 6
    (row,) = opened.work(merchant_id)
    assert (row.item.kind, dict(row.item.payload)) == _reading(connection_id, "invoice")
    waits = row.next_at - row.created_at
    assert timedelta(0) < waits <= timedelta(seconds=10)


def test_an_organisation_nobody_has_connected_is_kept_and_marked_and_the_others_served(opened: Door) -> None:
    merchant_id = opened.merchant("first")
    opened.connection(merchant_id, "xero", "t-1")
    opened.connection(merchant_id, "xero", "t-gone", state="disconnected")
    opened.connection(merchant_id, "quickbooks", "t-2")
    _send(opened, "xero", xero_events(("t-9", "i-1"), ("t-1", "i-2"), ("t-2", "i-3"), ("t-gone", "i-4")))
    assert opened.dispatched() == [("xero", "unknown_tenant", "t-2, t-9, t-gone")]
    assert len(_asked(opened, merchant_id)) == 1


def test_a_gateways_word_is_looked_up_at_once_and_by_payment(opened: Door) -> None:
    first, second = opened.merchant("first"), opened.merchant("second")
    mine = opened.payment(first, opened.connection(first, "quickbooks", "111"), "co_1")
    hers = opened.payment(second, opened.connection(second, "quickbooks", "222"), "co_2")
    _send(opened, "sandbox", sandbox_event("co_1", mine))
    _send(opened, "sandbox", sandbox_event("co_2", "a reference of somebody else", "evt_2"))
    _send(opened, "sandbox", sandbox_event("co_1", mine, "evt_3"))
    assert [state for _, state, _ in opened.dispatched()] == ["done"] * 3
    (row,) = opened.work(first)
    assert (row.item.kind, row.item.payload) == (Work.RECONCILE, {"payment": mine})
    assert row.next_at <= row.created_at, "somebody may be waiting for it"
    assert _asked(opened, second) == [(Work.RECONCILE, {"payment": hers})]


def test_a_checkout_that_is_none_of_ours_is_kept_and_marked(opened: Door) -> None:
    _send(opened, "sandbox", sandbox_event("co_unknown", "nobody"))
    assert opened.dispatched() == [("sandbox", "unknown_tenant", "co_unknown")]


@pytest.mark.parametrize(
    ("sender", "body"),
    [
        ("quickbooks", b""),
        ("quickbooks", b"\xff\xfe"),
        ("quickbooks", b"null"),
        ("quickbooks", b"[[[[[["),
        ("quickbooks", b'[{"type":"other.thing.v1"}]'),
        ("xero", b"[]"),
        ("xero", b'{"events":[{}]}'),
        ("xero", b'{"events":{"tenantId":"t-1"}}'),
        ("sandbox", b"{}"),
        ("sandbox", b'{"id":1}'),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_reason(opened: Door, sender: str, body: bytes) -> None:
    merchant_id = opened.merchant("first")
    opened.connection(merchant_id, "xero", "t-1")
    _send(opened, sender, body)
    ((kept, state, note),) = opened.dispatched()
    assert (kept, state) == (sender, "unreadable") and note.endswith(".")
    assert opened.work(merchant_id) == []


def test_a_delivery_dispatched_twice_asks_once(opened: Door) -> None:
    merchant_id = opened.merchant("first")
    opened.connection(merchant_id, "quickbooks", "111")
    _send(opened, "quickbooks", [cloud_event("111")])
    opened.dispatched()
    with opened.wiring.database.installation() as everybody:
        everybody.work(None).add(Work.DELIVERY, "quickbooks", partition="quickbooks")
    opened.dispatched()
    (row,) = opened.work(merchant_id)
    assert row.item.asked == 1
