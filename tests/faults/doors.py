"""What a door of the product does, as a process of its own that may die in the middle of it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from connector.app import create_app
from connector.domain.links import Scope
from connector.domain.payments import Choice, PortalScope
from connector.errors import Conflict
from connector.journeys import fix_difference, inject, pay, refund, sync
from connector.wiring import Wiring


def _pay(wiring: Wiring, scope: list[object], choices: list[list[object]], form: str, answer: str) -> None:
    """A customer presses Pay; the address they are sent to is written into a file."""
    merchant, connection, customer = scope
    started = pay.start(
        wiring,
        PortalScope(int(str(merchant)), int(str(connection)), str(customer)),
        [Choice(int(str(invoice)), str(text)) for invoice, text in choices],
        form,
    )
    Path(answer).write_text(started.redirect_url)


def _refund(wiring: Wiring, merchant: int, payment: str, amount: str, form: str) -> None:
    refund.ask(wiring, merchant, payment, amount_text=amount, reason="Returned goods", user_id=1, form_key=form)


def _take_back(wiring: Wiring, merchant: int, difference: int) -> None:
    """Whoever presses again after it was done is told that it is settled already."""
    with suppress(Conflict):
        fix_difference.take_back(wiring, merchant, difference, user_id=1)


def _regenerate(wiring: Wiring, merchant: int, connection: int, target: str) -> None:
    inject.regenerate(wiring, merchant, connection, Scope.INVOICE, target, 1)


def _sync(wiring: Wiring, merchant: int, connection: int) -> None:
    sync.ask(wiring, merchant, connection)


def _receive(wiring: Wiring, sender: str, headers: Mapping[str, str], body: str) -> None:
    """A webhook knocks, with the bytes its sender signed."""
    answer = (
        create_app(wiring).test_client().post(f"/webhooks/{sender}", data=base64.b64decode(body), headers=dict(headers))
    )
    assert answer.status_code // 100 == 2, answer.get_data(as_text=True)


TABLE: Mapping[str, Callable[..., None]] = {
    "pay": _pay,
    "refund": _refund,
    "take_back": _take_back,
    "regenerate": _regenerate,
    "sync": _sync,
    "receive": _receive,
}
