"""Switches for a person and for tests, never part of the gateway's protocol: faults, the clock, the webhook target."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from integrations.gateways.sandbox.simulator.amounts import display_amount
from integrations.gateways.sandbox.simulator.book import iso
from integrations.gateways.sandbox.simulator.gateway import Gateway
from integrations.gateways.sandbox.simulator.records import Checkout, Event, Payment, Refund, Transition
from integrations.gateways.sandbox.simulator.timetable import run_due
from integrations.simulator.faults import KINDS

OPERATIONS = (
    "*",
    "checkout.create",
    "checkout.get",
    "checkout.list",
    "checkout.expire",
    "payment.get",
    "refund.create",
    "refund.get",
    "event.list",
    "event.get",
)
_NO_TOKENS = ("expire_tokens", "revoke_tokens")
PAYMENTS_SHOWN = 50


def control_blueprint(gateway: Gateway) -> Blueprint:
    """The control surface of one gateway."""
    control = Blueprint("control", __name__, url_prefix="/_control")
    book = gateway.book

    @control.get("/")
    def overview() -> str:
        return render_template(
            "sandbox/control.html",
            now=iso(book.now()),
            payments=_latest(gateway),
            due=[(due, iso(due.due_at)) for due in sorted(book.all(Transition), key=lambda due: due.due_at)],
            armed=gateway.faults.rules(),
            kinds=[kind for kind in KINDS if kind not in _NO_TOKENS],
            operations=OPERATIONS,
            target=gateway.delivery.target,
            attempts=gateway.delivery.attempts()[-20:],
            waiting=len(gateway.delivery.waiting()),
        )

    @control.post("/faults")
    def arm() -> AnyResponse:
        asked = _asked()
        options = {"seconds": _number(asked["seconds"])} if asked.get("seconds") not in (None, "") else {}
        try:
            gateway.faults.arm(
                str(asked.get("kind", "")),
                str(asked.get("operation") or "*"),
                int(_number(asked.get("times") or 1)),
                **options,
            )
        except ValueError as error:
            abort(400, str(error))
        return _done({"armed": gateway.faults.rules()})

    @control.post("/faults/clear")
    def clear() -> AnyResponse:
        gateway.faults.clear(str(_asked().get("kind") or "") or None)
        return _done({"armed": gateway.faults.rules()})

    @control.post("/clock")
    def advance() -> AnyResponse:
        seconds = _number(_asked().get("advance_seconds"))
        try:
            gateway.clock.advance(seconds)
        except ValueError as error:
            abort(400, str(error))
        moved = run_due(book)
        return _done({"now": iso(book.now()), "moved": moved})

    @control.post("/webhooks")
    def aim() -> AnyResponse:
        asked = _asked()
        if secret := asked.get("secret"):
            gateway.signer.secret = str(secret)
        gateway.delivery.set_target(str(asked.get("url") or ""))
        return _done({"url": gateway.delivery.target})

    @control.get("/state")
    def state() -> Response:
        statuses: dict[str, int] = {}
        for payment in book.all(Payment):
            statuses[payment.status] = statuses.get(payment.status, 0) + 1
        return jsonify(
            now=iso(book.now()),
            checkouts=len(book.all(Checkout)),
            payments=statuses,
            refunds=len(book.all(Refund)),
            events=len(book.all(Event)),
            due=len(book.all(Transition)),
            webhooks={
                "target": gateway.delivery.target,
                "waiting": len(gateway.delivery.waiting()),
                "given_up": len(gateway.delivery.given_up()),
                "attempts": len(gateway.delivery.attempts()),
            },
            requests=gateway.journal.counts(),
        )

    @control.get("/journal")
    def journal() -> Response:
        return jsonify(gateway.journal.entries())

    return control


def _latest(gateway: Gateway) -> list[tuple[Payment, str]]:
    payments = gateway.book.all(Payment)[-PAYMENTS_SHOWN:]
    return [(payment, display_amount(payment.amount_minor, payment.currency)) for payment in reversed(payments)]


def _asked() -> dict[str, Any]:
    """What was sent, as JSON or by a form of the page."""
    if request.is_json:
        content = request.get_json()
        return content if isinstance(content, dict) else abort(400, "Send a JSON object.")
    return request.form.to_dict()


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        abort(400, f"{value!r} is not a number.")


def _done(answer: dict[str, Any]) -> AnyResponse:
    """JSON for JSON; a person's form leads back to the page."""
    return jsonify(answer) if request.is_json else redirect(url_for("control.overview"), 303)
