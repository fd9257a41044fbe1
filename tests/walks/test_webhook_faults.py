"""A gateway's webhooks that come late, twice, in disorder or not at all: the books say the same in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import requests
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.demo.surroundings import CREDENTIALS
from connector.domain.records import PaymentState
from tests.walks.standing import Place
from tests.webhooks.knocking import sandbox_event, signature

_SECRET = CREDENTIALS["DUEBRIDGE_SANDBOX_WEBHOOK_SECRET"]


def _target(place: Place, url: str) -> None:
    place.control("sandbox", "webhooks", url=url, secret=_SECRET)


@contextmanager
def _nothing_arrives(place: Place) -> Iterator[None]:
    """The gateway's webhooks wait until the block ends."""
    _target(place, "")
    yield
    _target(place, f"{place.here.public_url}/webhooks/sandbox")


def _post(place: Place, body: bytes, headers: Mapping[str, str] | None = None) -> int:
    signed = headers or signature("sandbox", body, _SECRET, place.here.now())
    return requests.post(
        f"{place.here.public_url}/webhooks/sandbox", data=body, headers=dict(signed), timeout=30
    ).status_code


def _settled(place: Place, payment_id: str, event_id: str) -> bytes:
    """A body that says of a payment that it has settled, whether or not it has."""
    ref = place.payment(payment_id).gateway_ref
    assert ref is not None
    return sandbox_event(ref, payment_id, event_id)


def _told(place: Place, payment_id: str) -> list[bytes]:
    """What the gateway has said of a payment, oldest first, as it came."""
    d = t.deliveries.c
    with place.here.wiring.database.engine.connect() as connection:
        rows = connection.execute(sa.select(d.body).where(d.sender == "sandbox").order_by(d.id))
        return [row.body for row in rows if payment_id.encode() in row.body]


def _stands_once(place: Place, invoice: InvoiceRow, payment_id: str) -> None:
    assert place.payment(payment_id).state is PaymentState.SETTLED
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]
    assert len(place.recorded("quickbooks", payment_id)) == 1
    assert place.due("quickbooks", invoice) == 0 and place.holder(invoice) is None
    assert place.here.ledger_is_zero()


def test_a_webhook_a_day_late_finds_the_payment_booked_or_books_it_once(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    with _nothing_arrives(place):
        payment_id = place.pay([invoice])
        place.here.advance(86_400)
        place.here.work()
    place.posted(payment_id)
    _stands_once(place, invoice, payment_id)
    assert _told(place, payment_id), "it came in the end"


def test_the_same_words_again_in_any_order_change_nothing(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice])
    place.posted(payment_id)
    story, said = place.story(payment_id), _told(place, payment_id)
    assert said
    place.here.advance(86_400)
    for place_of_it, body in enumerate(reversed(said * 2)):
        event = json.loads(body)
        # The same event told anew is other bytes, so that nothing but its sense can be recognised.
        assert _post(place, json.dumps(event | {"id": f"evt_again_{place_of_it}"}).encode()) == 200
        assert _post(place, body) == 200
    place.here.work()
    _stands_once(place, invoice, payment_id)
    assert place.story(payment_id) == story


@pytest.mark.parametrize("word", ["payment.failed", "payment.cancelled", "payment.processing", "payment.unheard_of"])
def test_a_word_that_is_out_of_date_is_not_believed(place: Place, word: str) -> None:
    """A body only points; what counts is what the gateway says when it is asked."""
    (invoice,) = place.invoices("quickbooks")
    payment_id = place.pay([invoice])
    place.posted(payment_id)
    event = json.loads(_settled(place, payment_id, f"evt_{word}_{payment_id}")) | {"type": word}
    assert _post(place, json.dumps(event).encode()) == 200
    place.here.work()
    _stands_once(place, invoice, payment_id)


def test_a_settlement_that_is_told_of_before_it_happens_books_nothing(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    with _nothing_arrives(place):
        address = place.here.start_payment([invoice])
        payment_id = str(place.holder(invoice))
        assert _post(place, _settled(place, payment_id, "evt_early")) == 200
        place.here.work()
        assert place.ledger(payment_id) == {} and place.upstream("quickbooks", payment_id) == []
        place.here.press(address)
    place.posted(payment_id)
    _stands_once(place, invoice, payment_id)


def test_a_forged_settlement_is_turned_away(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    place.here.start_payment([invoice])
    payment_id = str(place.holder(invoice))
    body = _settled(place, payment_id, "evt_forged")
    assert _post(place, body, signature("sandbox", body, "a guess", place.here.now())) == 401
    place.here.work()
    assert place.ledger(payment_id) == {} and place.payment(payment_id).state != PaymentState.SETTLED
