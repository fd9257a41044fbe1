"""The accounting API under /v3/company/<realm>/: who may come in, and what each address answers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from integrations.simulator.store import from_json, to_json
from integrations.systems.quickbooks.simulator import cdc, fault, operations, sales
from integrations.systems.quickbooks.simulator.books import Books, Document
from integrations.systems.quickbooks.simulator.customer_view import pdf_of
from integrations.systems.quickbooks.simulator.fields import ENTITY_BY_PATH
from integrations.systems.quickbooks.simulator.standing import EXCHANGE_RATES
from integrations.systems.quickbooks.simulator.upstream import upstream

blueprint = Blueprint("api", __name__, url_prefix="/v3/company/<realm>")

_REQUEST_ID_LIMIT = 50
_PRINTABLE = ("Invoice", "Estimate", "CreditMemo")


@blueprint.before_request
def _admit() -> Response | None:
    """Token, company, call limits: in this order, as live answers suggest."""
    parts = upstream()
    realm = (request.view_args or {})["realm"]
    operation = request.environ.get("simulator.operation", "")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if parts.faults.take("expire_tokens", operation):
        parts.tokens.expire(token)
    if parts.faults.take("revoke_tokens", operation):
        parts.tokens.revoke(token)
    milliseconds = int(parts.clock.time() * 1000)
    access = parts.tokens.access(token) if scheme.lower() == "bearer" else None
    if access is None:
        return _json(fault.unauthenticated("Token expired or invalid", milliseconds), 401)
    if access.realm != realm or realm not in parts.books:
        return _json(fault.unauthorized(milliseconds), 403)
    throttled = parts.faults.take("throttle", operation) is not None
    if throttled or not parts.throttle.admits(realm, batch=operation == "batch"):
        return _refused(parts.books[realm], fault.throttled())
    return None


@blueprint.route("/query", methods=["GET", "POST"])
def query(realm: str) -> Response:
    """A query in the address or as the body."""
    books = upstream().books[realm]
    text = request.args.get("query", "") if request.method == "GET" else request.get_data(as_text=True)
    return _answer(books, lambda: {"QueryResponse": operations.answer_query(books, text)})


@blueprint.get("/cdc")
def changes(realm: str) -> Response:
    """Change data capture."""
    books = upstream().books[realm]
    return _answer(
        books, lambda: cdc.answer(books, request.args.get("entities", ""), request.args.get("changedSince", ""))
    )


@blueprint.post("/batch")
def batch(realm: str) -> Response:
    """Up to 30 operations in one call."""
    books = upstream().books[realm]
    key = request.args.get("requestid", "")
    return _once(books, "batch", lambda body: {"BatchItemResponse": operations.batch(books, body, key)})


@blueprint.get("/exchangerate")
def exchange_rate(realm: str) -> Response:
    """The home currency's worth of one foreign unit."""
    books = upstream().books[realm]
    currency = request.args.get("sourcecurrencycode", "")

    def answer() -> Document:
        if currency not in EXCHANGE_RATES:
            raise fault.bad_reference("Currencies", currency)
        rate = {
            "SourceCurrencyCode": currency,
            "TargetCurrencyCode": "USD",
            "Rate": EXCHANGE_RATES[currency],
            "AsOfDate": request.args.get("asofdate") or books.today().isoformat(),
            "domain": "QBO",
            "sparse": False,
        }
        return {"ExchangeRate": rate}

    return _answer(books, answer)


@blueprint.get("/preferences", defaults={"name": "preferences", "id": ""})
@blueprint.get("/<name>/<id>")
def read(realm: str, name: str, id: str) -> Response:
    """One document by id."""
    books = upstream().books[realm]

    def answer() -> Document:
        entity = _entity(name)
        row = operations.read(books, entity, id)
        asked = "invoiceLink" in request.args.get("include", "").split(",")
        if entity == "Invoice" and asked and books.settings.own_payments and "BillEmail" in row.doc:
            link = f"{upstream().public_url}/sent/{id}?realm={realm}"
            return {entity: {**row.doc, "InvoiceLink": link}}
        return {entity: row.raw}

    return _answer(books, answer)


@blueprint.get("/<name>/<id>/pdf")
def printed(realm: str, name: str, id: str) -> Response:
    """A sales form as PDF."""
    books = upstream().books[realm]
    try:
        entity = _entity(name)
        if entity not in _PRINTABLE:
            raise fault.unsupported(request.path)
        body = pdf_of(books, entity, operations.read(books, entity, id).doc)
    except fault.Fault as refusal:
        return _refused(books, refusal)
    return Response(body, 200, {**_headers(), "Content-Type": "application/pdf"})


@blueprint.post("/<name>/<id>/send")
def send(realm: str, name: str, id: str) -> Response:
    """E-mail a sales form to its customer."""
    books = upstream().books[realm]

    def answer(_: Document) -> Document:
        entity = _entity(name)
        if entity not in _PRINTABLE:
            raise fault.unsupported(request.path)
        with books.change(f"{entity.lower()}.send", request.args.get("requestid", "")) as change:
            return {entity: sales.send(change, entity, id, request.args.get("sendTo", ""))}

    return _once(books, "send", answer, body_expected=False)


@blueprint.post("/<name>")
def write(realm: str, name: str) -> Response:
    """Create, update, delete or void."""
    books = upstream().books[realm]
    key = request.args.get("requestid", "")

    def answer(body: Document) -> Document:
        entity = _entity(name)
        if entity == "RecurringTransaction" and isinstance(body.get(entity), dict):
            body = body[entity]
        operation = operations.name_of(body, request.args)
        duplicate = request.args.get("include", "") == "allowduplicatedocnum"
        with books.change(f"{entity.lower()}.{operation}", key) as change:
            return {entity: operations.perform(change, entity, operation, body, allow_duplicate=duplicate)}

    return _once(books, name, answer)


@blueprint.route("/<path:rest>", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
def nothing(realm: str, rest: str) -> Response:
    """Anything else."""
    return _refused(upstream().books[realm], fault.unsupported(f"/v3/company/{realm}/{rest}"))


def _entity(name: str) -> str:
    entity = ENTITY_BY_PATH.get(name.lower())
    if entity is None:
        raise fault.unsupported(request.path)
    return entity


def _answer(books: Books, build: Callable[[], Document]) -> Response:
    try:
        return _json({**build(), "time": _time(books)})
    except fault.Fault as refusal:
        return _refused(books, refusal)


def _once(books: Books, name: str, build: Callable[[Document], Document], *, body_expected: bool = True) -> Response:
    """Answer a write; a requestid seen in the last 24 hours gets its first answer again and changes nothing."""
    parts = upstream()
    key = request.args.get("requestid", "")
    kind = books.kind("requestid")
    try:
        if len(key) > _REQUEST_ID_LIMIT:
            raise fault.too_long("requestid", len(key), _REQUEST_ID_LIMIT)
        body = _body() if body_expected else {}
    except fault.Fault as refusal:
        return _refused(books, refusal)
    with parts.store.transaction():
        kept = parts.store.get(kind, key) if key else None
        if kept is not None and parts.clock.time() - float(kept["at"]) < parts.settings.replay_seconds:
            return Response(kept["body"], kept["status"], {**_headers(), "Content-Type": _CONTENT_TYPE})
        try:
            response = _json({**build(body), "time": _time(books)})
        except fault.Fault as refusal:
            response = _refused(books, refusal)
        if key and (response.status_code == 200 or parts.settings.replay_faults):
            fingerprint = hashlib.sha256(request.get_data()).hexdigest()
            doc = {
                "status": response.status_code,
                "body": response.get_data(as_text=True),
                "at": parts.clock.time(),
                "name": name,
                "fingerprint": fingerprint,
            }
            parts.store.put(kind, key, doc)
    parts.webhooks.delivery.wake()
    return response


def _body() -> Document:
    try:
        body: Any = from_json(request.get_data())
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise fault.unreadable("Unexpected character in the body") from None
    if not isinstance(body, dict):
        raise fault.unreadable("The body is no object and")
    return body


_CONTENT_TYPE = "application/json;charset=utf-8"


def _json(body: Document, status: int = 200) -> Response:
    return Response(to_json(body), status, {**_headers(), "Content-Type": _CONTENT_TYPE})


def _refused(books: Books, refusal: fault.Fault) -> Response:
    return _json({**refusal.body(), "time": _time(books)}, refusal.status)


def _headers() -> dict[str, str]:
    tid = f"1-{secrets.token_hex(4)}-{secrets.token_hex(12)}"
    return {"intuit_tid": tid, "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private"}


def _time(books: Books) -> str:
    return books.now().isoformat(timespec="milliseconds")
