"""The hosted payment page: what a customer sees and presses. No card fields, no JavaScript; viewing changes nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from integrations.gateways.sandbox.simulator.amounts import display_amount
from integrations.gateways.sandbox.simulator.gateway import Gateway
from integrations.gateways.sandbox.simulator.payments import BUTTONS, Outcome, press
from integrations.gateways.sandbox.simulator.records import Checkout, Payment
from integrations.gateways.sandbox.simulator.settings import DAY_SECONDS, SandboxSettings

LINES_SHOWN = 6


def hosted_blueprint(gateway: Gateway) -> Blueprint:
    """The hosted pages of one gateway."""
    hosted = Blueprint("hosted", __name__, url_prefix="/checkout")

    @hosted.get("/<id>")
    def show(id: str) -> AnyResponse:
        found = gateway.book.checkout_and_payment(id)
        if found is None:
            return _missing()
        checkout, payment = found
        template = {"open": "choose.html", "requires_authentication": "confirm.html"}.get(payment.status, "ended.html")
        return _page(gateway.settings, template, checkout, payment)

    @hosted.post("/<id>")
    def act(id: str) -> AnyResponse:
        button, form_token = request.form.get("action", ""), request.form.get("form_token", "")
        if button not in BUTTONS:
            abort(400)
        found = press(gateway.book, gateway.settings, id, button, form_token)
        if found is None:
            return _missing()
        outcome, checkout, payment = found
        if outcome is Outcome.STALE:
            return _page(gateway.settings, "stale.html", checkout, payment, status=409)
        return redirect(_next_address(outcome, checkout, payment), 303)

    return hosted


def _next_address(outcome: Outcome, checkout: Checkout, payment: Payment) -> str:
    """Where the browser goes after a button: back to the merchant, or to a page that says how things stand."""
    own_page = url_for("hosted.show", id=checkout.id)
    if outcome is Outcome.TOO_LATE or payment.payable or payment.status == "expired":
        return own_page
    return checkout.success_url if payment.checkout_status == "complete" else checkout.cancel_url


def _page(
    settings: SandboxSettings, template: str, checkout: Checkout, payment: Payment, status: int = 200
) -> Response:
    page = render_template(
        f"sandbox/{template}",
        checkout=checkout,
        payment=payment,
        amount=display_amount(checkout.amount_minor, checkout.currency),
        lines=[(line["description"], _amount_of(line, checkout.currency)) for line in checkout.lines],
        lines_shown=LINES_SHOWN,
        settles=_span(settings.bank_debit_settles_after),
        returns=_span(settings.bank_debit_returns_after),
        late=_span(settings.late_return_after),
    )
    answer = make_response(page, status)
    answer.headers["Content-Security-Policy"] = _policy(checkout)
    return answer


def _amount_of(line: dict[str, Any], currency: str) -> str:
    return "" if line["amount_minor"] is None else display_amount(line["amount_minor"], currency)


def _span(seconds: int) -> str:
    days = seconds // DAY_SECONDS
    return f"{days} day{'' if days == 1 else 's'}" if days else f"{seconds} seconds"


def _missing() -> Response:
    return make_response(render_template("sandbox/missing.html"), 404)


def _policy(checkout: Checkout) -> str:
    """The page's content policy. Chromium applies form-action to the redirect after a form too, so that the merchant's
    two addresses must be named."""
    origins = sorted({_origin(checkout.success_url), _origin(checkout.cancel_url)})
    return f"{STRICT_POLICY}; form-action 'self' {' '.join(origins)}"


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


STRICT_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
