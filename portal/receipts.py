"""Where the gateway sends people back to: how their payment stands, and the receipt once the money has arrived.

Coming back proves nothing: only the gateway's word, fetched by us, moves a payment.
"""

from __future__ import annotations

import re

from flask import Response, current_app, request

from connector.domain.records import PaymentState
from connector.errors import NotFound
from connector.reading import portal_payments
from connector.web.context import wiring
from connector.web.present import payment_words

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_RECEIVED = frozenset({PaymentState.SETTLED, PaymentState.PARTLY_REFUNDED, PaymentState.REFUNDED})
_WAITING = frozenset({PaymentState.INTENDED, PaymentState.CHECKOUT, PaymentState.REQUIRES_ACTION, PaymentState.UNKNOWN})


def show(token: str) -> Response:
    """A payment's status, and its receipt. `?cancelled=1`: the customer turned back at the gateway."""
    if not _TOKEN.fullmatch(token):
        raise NotFound("This receipt is not known. Check that the whole address was copied.")
    receipt = portal_payments.receipt(wiring(), token)
    turned_back = "cancelled" in request.args and receipt.state in _WAITING
    page = current_app.jinja_env.get_template("portal/receipt.html").render(
        brand=receipt.brand,
        receipt=receipt,
        words=payment_words(receipt.state),
        received=receipt.state in _RECEIVED,
        waiting=receipt.state in _WAITING and not turned_back,
        turned_back=turned_back,
        address=f"/r/{token}",
    )
    return Response(page, mimetype="text/html")
