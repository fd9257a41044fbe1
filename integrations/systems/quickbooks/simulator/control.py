"""The control surface for tests (JSON) and for a person (forms); never part of Intuit's protocol."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from integrations.simulator.faults import KINDS
from integrations.systems.quickbooks.simulator import operations, payments, sales
from integrations.systems.quickbooks.simulator.books import Books, Change, Document
from integrations.systems.quickbooks.simulator.customer_view import money
from integrations.systems.quickbooks.simulator.fault import Fault
from integrations.systems.quickbooks.simulator.pages import chosen_books
from integrations.systems.quickbooks.simulator.recorded import load_recorded
from integrations.systems.quickbooks.simulator.upstream import upstream

blueprint = Blueprint("control", __name__, url_prefix="/_control")


@blueprint.get("/")
def page() -> str:
    """Everything a person can switch."""
    parts = upstream()
    return render_template(
        "control.html",
        kinds=KINDS,
        armed=parts.faults.rules(),
        now=parts.clock.now().isoformat(timespec="seconds"),
        target=parts.webhooks.delivery.target,
        style=parts.webhooks.style,
        attempts=parts.webhooks.delivery.attempts()[-12:],
        waiting=len(parts.webhooks.delivery.waiting()),
        counts=sorted(parts.journal.counts().items()),
        companies=[(books.company, books.closing_date()) for books in parts.books.values()],
    )


@blueprint.post("/faults")
def arm() -> BaseResponse:
    """{"kind", "operation", "times", "seconds"}: let something go wrong."""
    sent = _sent()
    try:
        options = {"seconds": float(sent["seconds"])} if sent.get("seconds") else {}
        upstream().faults.arm(
            str(sent.get("kind", "")), str(sent.get("operation") or "*"), int(sent.get("times") or 1), **options
        )
    except ValueError as problem:
        return _bad(str(problem))
    return _done(armed=upstream().faults.rules())


@blueprint.post("/faults/clear")
def clear() -> BaseResponse:
    """Disarm everything, or one kind."""
    upstream().faults.clear(str(_sent().get("kind") or "") or None)
    return _done(armed=upstream().faults.rules())


@blueprint.post("/clock")
def advance() -> BaseResponse:
    """{"advance_seconds"}: let time pass."""
    try:
        upstream().clock.advance(float(_sent().get("advance_seconds") or 0))
    except ValueError as problem:
        return _bad(str(problem))
    return _done(now=upstream().clock.now().isoformat())


@blueprint.post("/webhooks")
def target() -> BaseResponse:
    """{"url", "secret", "style"}: where changes are announced, signed with what, in which form."""
    sent = _sent()
    try:
        upstream().webhooks.set_target(
            str(sent.get("url") or ""), str(sent.get("secret") or ""), str(sent.get("style") or "")
        )
    except ValueError as problem:
        return _bad(str(problem))
    return _done(url=upstream().webhooks.delivery.target, style=upstream().webhooks.style)


@blueprint.post("/closing-date")
def close() -> BaseResponse:
    """{"date", "realm"}: close the books up to a day; an empty date opens them."""
    day = str(_sent().get("date") or "")
    try:
        _books().close_until(date.fromisoformat(day) if day else None)
    except ValueError:
        return _bad("date is written YYYY-MM-DD")
    return _done(date=day)


@blueprint.post("/disconnect")
def disconnect() -> BaseResponse:
    """{"realm"}: the owner removes the application inside QuickBooks; every token of the company dies."""
    return _done(disconnected=upstream().tokens.disconnect(_books().realm))


@blueprint.post("/load-recorded")
def load() -> BaseResponse:
    """{"path", "realm"}: put recorded bodies in beside the seeded ones."""
    path = Path(str(_sent().get("path") or ""))
    try:
        counts = load_recorded(_books(), path)
    except OSError:
        return _bad(f"{path} cannot be read")
    except ValueError as problem:
        return _bad(str(problem))
    return _done(loaded=counts)


@blueprint.get("/state")
def state() -> Response:
    """Counts of the first company (or `?realm=`), and requests by operation."""
    books = chosen_books()
    return jsonify(
        realm=books.realm,
        realms=[company.realm for company in upstream().settings.companies],
        invoices=books.count("Invoice"),
        payments=books.count("Payment"),
        customers=books.count("Customer"),
        requests=upstream().journal.counts(),
        armed=upstream().faults.rules(),
        webhooks_waiting=len(upstream().webhooks.delivery.waiting()),
        webhook_attempts=len(upstream().webhooks.delivery.attempts()),
        now=upstream().clock.now().isoformat(),
    )


@blueprint.get("/books.json")
def books_as_they_stand() -> Response:
    """Every invoice and payment with its amounts as text, for whoever checks what really stands here."""
    books = chosen_books()
    invoices = [
        {
            "id": row.doc["Id"],
            "number": row.doc.get("DocNumber", ""),
            "currency": row.doc["CurrencyRef"]["value"],
            "total": str(row.doc["TotalAmt"]),
            "balance": str(row.doc["Balance"]),
            "open": row.doc["Balance"] > 0,
            "sent": url_for("pages.sent", id=row.doc["Id"], realm=books.realm),
        }
        for row in books.rows("Invoice")
    ]
    payments = [
        {
            "id": row.doc["Id"],
            "amount": str(row.doc["TotalAmt"]),
            "note": row.doc.get("PrivateNote", ""),
            "invoices": [
                link["TxnId"]
                for line in row.doc.get("Line", [])
                for link in line.get("LinkedTxn", [])
                if link["TxnType"] == "Invoice"
            ],
        }
        for row in books.rows("Payment")
    ]
    return jsonify(invoices=invoices, payments=payments)


@blueprint.get("/journal")
def journal() -> Response:
    """Every request and commit so far; `?entry=request` or `commit` for one sort."""
    return jsonify(upstream().journal.entries(request.args.get("entry")))


@blueprint.get("/invoices/<id>")
def invoice(id: str) -> str:
    """What a bookkeeper could do with an invoice inside QuickBooks."""
    return _invoice_page(chosen_books(), id, "")


@blueprint.post("/invoices/<id>/<action>")
def act_on_invoice(id: str, action: str) -> BaseResponse | tuple[str, int]:
    """memo, void, delete, pay (by hand), send or copy (a new invoice of the same)."""
    books = _books()
    doc = books.find("Invoice", id)
    if doc is None:
        abort(404)
    sent = _sent()
    known = {"Id": id, "SyncToken": doc["SyncToken"]}
    actions: dict[str, Callable[[Change], Document]] = {
        "memo": lambda change: operations.perform(
            change, "Invoice", "update", {**known, "sparse": True, "CustomerMemo": {"value": str(sent.get("memo", ""))}}
        ),
        "void": lambda change: operations.perform(change, "Invoice", "void", known),
        "delete": lambda change: operations.perform(change, "Invoice", "delete", known),
        "send": lambda change: sales.send(change, "Invoice", id, str(sent.get("address") or "")),
        "pay": lambda change: operations.perform(change, "Payment", "create", _payment(doc, sent)),
        "copy": lambda change: operations.perform(change, "Invoice", "create", _copy(doc)),
    }
    return _act(books, "invoice", id, action, actions)


@blueprint.post("/payments/<id>/<action>")
def act_on_payment(id: str, action: str) -> BaseResponse | tuple[str, int]:
    """deposit (on the bank's day), void or delete."""
    books = _books()
    doc = books.find("Payment", id)
    if doc is None:
        abort(404)
    known = {"Id": id, "SyncToken": doc["SyncToken"]}
    actions: dict[str, Callable[[Change], Document]] = {
        "deposit": lambda change: payments.deposit(change, id),
        "void": lambda change: operations.perform(change, "Payment", "void", known),
        "delete": lambda change: operations.perform(change, "Payment", "delete", known),
    }
    paid = next((line["LinkedTxn"][0]["TxnId"] for line in doc.get("Line", []) if line.get("LinkedTxn")), "")
    return _act(books, "payment", paid, action, actions)


def _act(
    books: Books, noun: str, invoice_id: str, action: str, actions: dict[str, Callable[[Change], Document]]
) -> BaseResponse | tuple[str, int]:
    if action not in actions:
        abort(404)
    try:
        with books.change(f"by-hand.{noun}.{action}") as change:
            done = actions[action](change)
    except Fault as refusal:
        if request.is_json or not books.find("Invoice", invoice_id):
            return _bad(str(refusal))
        return _invoice_page(books, invoice_id, str(refusal)), 400
    upstream().webhooks.delivery.wake()
    if request.is_json:
        return jsonify(id=done["Id"])
    if action == "copy":
        invoice_id = done["Id"]
    if not books.find("Invoice", invoice_id):
        return redirect(url_for("pages.books", realm=books.realm))
    return redirect(url_for("control.invoice", id=invoice_id, realm=books.realm), 303)


def _invoice_page(books: Books, id: str, problem: str) -> str:
    doc = books.find("Invoice", id)
    if doc is None:
        abort(404)
    paid = [books.find("Payment", link["TxnId"]) for link in doc.get("LinkedTxn", []) if link["TxnType"] == "Payment"]
    accounts = [row.doc for row in books.rows("Account") if row.doc["AccountType"] in ("Bank", "Other Current Asset")]
    return render_template(
        "invoice_control.html",
        doc=doc,
        payments=[payment for payment in paid if payment is not None],
        accounts=accounts,
        realm=books.realm,
        problem=problem,
        money=money,
    )


def _copy(doc: Document) -> Document:
    return {name: doc[name] for name in ("CustomerRef", "CurrencyRef", "Line")}


def _payment(doc: Document, sent: dict[str, Any]) -> Document:
    text = str(sent.get("amount") or doc["Balance"])
    try:
        amount = Decimal(text)
    except InvalidOperation:
        abort(400, description="amount is a number like 125.50")
    return {
        "CustomerRef": {"value": doc["CustomerRef"]["value"]},
        "CurrencyRef": {"value": doc["CurrencyRef"]["value"]},
        "TotalAmt": amount,
        "PaymentRefNum": str(sent.get("reference") or "by hand"),
        "DepositToAccountRef": {"value": str(sent.get("account") or "35")},
        "Line": [{"Amount": amount, "LinkedTxn": [{"TxnId": doc["Id"], "TxnType": "Invoice"}]}],
    }


def _sent() -> dict[str, Any]:
    body: Any = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    return body if isinstance(body, dict) else {}


def _books() -> Books:
    """The company a JSON body or a form names, else the first."""
    parts = upstream()
    realm = str(_sent().get("realm") or request.args.get("realm") or parts.settings.companies[0].realm)
    if realm not in parts.books:
        abort(404)
    return parts.books[realm]


def _done(**facts: Any) -> BaseResponse:
    """JSON for a test, back to the page for a person."""
    return jsonify(**facts) if request.is_json else redirect(url_for("control.page"), 303)


def _bad(problem: str) -> BaseResponse:
    response = jsonify(error=problem)
    response.status_code = 400
    return response
