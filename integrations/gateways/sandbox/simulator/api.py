"""The JSON API under /v1; documented in the package's docstring."""

from __future__ import annotations

import json
from hmac import compare_digest
from typing import Any

from flask import Blueprint, Response, request

from integrations.gateways.sandbox.simulator.book import Change
from integrations.gateways.sandbox.simulator.checkouts import checkouts_of, expire_checkout, open_checkout
from integrations.gateways.sandbox.simulator.gateway import Gateway
from integrations.gateways.sandbox.simulator.idempotency import once
from integrations.gateways.sandbox.simulator.orders import CheckoutOrder, RefundOrder, fingerprint, read
from integrations.gateways.sandbox.simulator.records import Checkout, Event, Payment, Refund
from integrations.gateways.sandbox.simulator.refunds import open_refund
from integrations.gateways.sandbox.simulator.refusals import Refusal, not_found
from integrations.gateways.sandbox.simulator.views import checkout_json, payment_json, refund_json
from integrations.simulator.faults import Call, Named

LARGEST_PAGE = 100


def name_call(call: Call) -> Named | None:
    """The operation a call of the API is, for faults and the journal; None for everything outside the API."""
    match call.path.strip("/").split("/"):
        case ["v1", noun, *rest] if noun in ("checkouts", "payments", "refunds", "events"):
            operation = _operation(call.method, noun.removesuffix("s"), rest)
            return Named(operation, key=call.headers.get("idempotency-key", ""))
    return None


def _operation(method: str, noun: str, rest: list[str]) -> str:
    match method, rest:
        case "POST", []:
            return f"{noun}.create"
        case "POST", [_, "refunds"]:
            return "refund.create"
        case "POST", [_, verb]:
            return f"{noun}.{verb}"
        case _, []:
            return f"{noun}.list"
    return f"{noun}.get"


def api_blueprint(gateway: Gateway) -> Blueprint:
    """The API of one gateway."""
    api = Blueprint("api", __name__, url_prefix="/v1")
    book, settings = gateway.book, gateway.settings

    def checkout(found: tuple[Checkout, Payment]) -> dict[str, Any]:
        return checkout_json(book, *found, gateway.public_url)

    @api.before_request
    def admit() -> None:
        if rule := gateway.faults.take("throttle", request.environ.get("simulator.operation", "")):
            raise _Throttled(int(rule.options.get("seconds", 1)))
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(key.strip().encode(), settings.api_key.encode()):
            raise Refusal(401, "unauthorized", "Send the account's API key as a bearer token.")

    def idempotent(operation: str, asked: Any, perform: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        lifetime = settings.idempotency_key_lifetime
        text, replayed = once(book, operation=operation, key=key, asked=asked, lifetime=lifetime, perform=perform)
        answer = Response(text, 201, content_type="application/json")
        if replayed:
            answer.headers["Idempotent-Replayed"] = "true"
        return answer

    @api.post("/checkouts")
    def create_checkout() -> Response:
        order = read(request.get_data(), CheckoutOrder)

        def perform(change: Change) -> dict[str, Any]:
            return checkout(open_checkout(book, change, order, settings))

        return idempotent("checkout.create", fingerprint(order), perform)

    @api.get("/checkouts")
    def list_checkouts() -> Response:
        reference = request.args.get("reference")
        if not reference:
            raise Refusal(400, "invalid_request", "Say which checkouts: ?reference=...", field="reference")
        return _json({"data": [checkout(found) for found in checkouts_of(book, reference)]})

    @api.get("/checkouts/<id>")
    def get_checkout(id: str) -> Response:
        found = book.checkout_and_payment(id)
        if found is None:
            raise not_found("checkout", id)
        return _json(checkout(found))

    @api.post("/checkouts/<id>/expire")
    def expire(id: str) -> Response:
        return _json(checkout(expire_checkout(book, id)))

    @api.get("/payments/<id>")
    def get_payment(id: str) -> Response:
        payment = book.find(Payment, id)
        if payment is None:
            raise not_found("payment", id)
        return _json(payment_json(book, payment))

    @api.post("/payments/<id>/refunds")
    def create_refund(id: str) -> Response:
        order = read(request.get_data(), RefundOrder)

        def perform(change: Change) -> dict[str, Any]:
            return refund_json(open_refund(book, change, id, order, settings))

        return idempotent("refund.create", [id, fingerprint(order)], perform)

    @api.get("/refunds/<id>")
    def get_refund(id: str) -> Response:
        refund = book.find(Refund, id)
        if refund is None:
            raise not_found("refund", id)
        return _json(refund_json(refund))

    @api.get("/events")
    def list_events() -> Response:
        limit = _limit(request.args.get("limit", str(LARGEST_PAGE)))
        events = book.all(Event)
        if after := request.args.get("after"):
            places = {event.id: place for place, event in enumerate(events)}
            if after not in places:
                raise not_found("event", after)
            events = events[places[after] + 1 :]
        return _json({"data": [event.document() for event in events[:limit]], "has_more": len(events) > limit})

    @api.get("/events/<id>")
    def get_event(id: str) -> Response:
        event = book.find(Event, id)
        if event is None:
            raise not_found("event", id)
        return _json(event.document())

    @api.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
        if refusal.field is not None:
            error["field"] = refusal.field
        if refusal.checkout is not None and (found := book.checkout_and_payment(refusal.checkout)):
            error["checkout"] = checkout(found)
        answer = _json({"error": error}, refusal.status)
        if isinstance(refusal, _Throttled):
            answer.headers["Retry-After"] = str(refusal.retry_after)
        if refusal.status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    return api


class _Throttled(Refusal):
    def __init__(self, retry_after: int) -> None:
        super().__init__(429, "rate_limited", "Too many requests; wait as long as Retry-After says.")
        self.retry_after = retry_after


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_PAGE):
        raise Refusal(400, "invalid_request", f"limit is a number from 1 to {LARGEST_PAGE}.", field="limit")
    return int(text)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, content_type="application/json")
