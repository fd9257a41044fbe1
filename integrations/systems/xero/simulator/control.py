"""The control surface for tests and for a person; never part of the vendor's protocol.

JSON: POST /_control/faults {"kind", "operation", "times", "seconds"}, /_control/faults/clear, /_control/clock
{"advance_seconds"}, /_control/webhooks {"url", "secret"}, /_control/webhooks/intent-to-receive,
/_control/load-recorded (the vendor's OpenAPI document), /_control/lock-date {"tenant", "date"};
GET /_control/state, /_control/books.json (every invoice and payment of one organisation), /_control/journal.
The same addresses take the forms of the pages and then answer 303.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from connector.domain.money import minor_to_text
from integrations.simulator.faults import KINDS, Faults
from integrations.simulator.store import Document, from_json, to_json
from integrations.systems.xero.simulator import books as kinds
from integrations.systems.xero.simulator.books import ACCOUNT, INVOICE, PAYMENT, Books, Organisation
from integrations.systems.xero.simulator.examples import load_examples
from integrations.systems.xero.simulator.invoice_changes import change_invoice, create_invoice
from integrations.systems.xero.simulator.lines import show_lines
from integrations.systems.xero.simulator.pages import chosen, find_anywhere
from integrations.systems.xero.simulator.payments import create_payment, reverse_payment
from integrations.systems.xero.simulator.problems import NotThere, Refused
from integrations.systems.xero.simulator.webhooks import Webhooks
from integrations.systems.xero.simulator.wire import read_day

_COUNTED = {
    "invoices": kinds.INVOICE,
    "customers": kinds.CONTACT,
    "payments": kinds.PAYMENT,
    "credit_notes": kinds.CREDIT_NOTE,
    "payment_services": kinds.PAYMENT_SERVICE,
}


def control_blueprint(books: Books, faults: Faults, webhooks: Webhooks) -> Blueprint:
    """Routes under /_control."""
    control = Blueprint("control", __name__, url_prefix="/_control")

    @control.get("/")
    def panel() -> str:
        org = chosen(books)
        return render_template(
            "xero/control.html",
            org=org,
            organisations=books.organisations(),
            kinds=KINDS,
            rules=faults.rules(),
            now=books.clock.now(),
            webhooks=webhooks,
            state=state(),
            invoices=[doc for doc in org.all(INVOICE) if doc["status"] in ("AUTHORISED", "DRAFT")][-40:],
            money=minor_to_text,
        )

    @control.post("/faults")
    def arm() -> AnyResponse | tuple[Response, int]:
        sent = _sent()
        options = {name: sent[name] for name in ("seconds", "problem") if sent.get(name) not in (None, "")}
        if "seconds" in options:
            options["seconds"] = float(options["seconds"])
        try:
            faults.arm(str(sent.get("kind")), str(sent.get("operation") or "*"), int(sent.get("times") or 1), **options)
        except ValueError as problem:
            return _json({"error": str(problem)}), 400
        return _done({"rules": faults.rules()})

    @control.post("/faults/clear")
    def clear() -> AnyResponse:
        faults.clear(str(_sent().get("kind") or "") or None)
        return _done({"rules": faults.rules()})

    @control.post("/clock")
    def advance() -> AnyResponse | tuple[Response, int]:
        try:
            books.clock.advance(float(_sent().get("advance_seconds", 0)))
        except ValueError as problem:
            return _json({"error": str(problem)}), 400
        return _done({"now": books.clock.now().isoformat()})

    @control.post("/webhooks")
    def target() -> AnyResponse:
        sent = _sent()
        webhooks.configure(str(sent.get("url", "")), str(sent.get("secret", "")))
        return _done({"status": webhooks.status, "url": webhooks.target})

    @control.post("/webhooks/intent-to-receive")
    def intent() -> AnyResponse:
        webhooks.intent_to_receive()
        attempts = [asdict(attempt) for attempt in webhooks.intent_attempts]
        return _done({"status": webhooks.status, "attempts": attempts})

    @control.post("/lock-date")
    def lock() -> AnyResponse | tuple[Response, int]:
        org, date = chosen_by(_sent()), _sent().get("date")
        try:
            day = read_day(date, "date") if date else None
        except Refused as refusal:
            return _json({"error": str(refusal)}), 400
        with books.transaction():
            books.put(kinds.ORGANISATIONS, org.tenant, {**org.profile, "period_lock": day})
        return _done({"period_lock": day})

    @control.post("/load-recorded")
    def load() -> AnyResponse | tuple[Response, int]:
        try:
            return _done({"loaded": load_examples(books, _sent())})
        except ValueError as problem:
            return _json({"error": str(problem)}), 400

    @control.get("/state")
    def read_state() -> Response:
        return _json(state())

    @control.get("/books.json")
    def books_as_they_stand() -> Response:
        org = chosen(books)
        invoices = [
            {
                "id": doc["id"],
                "number": doc["number"],
                "currency": doc["currency"],
                "total": minor_to_text(doc["total"], doc["currency"]),
                "balance": minor_to_text(doc["amount_due"], doc["currency"]),
                "open": doc["status"] == "AUTHORISED" and doc["amount_due"] > 0,
                "theme": doc.get("theme", ""),
                "sent": url_for("pages.sent", invoice_id=doc["id"]),
            }
            for doc in org.all(INVOICE)
        ]
        payments = [
            {
                "id": doc["id"],
                "amount": minor_to_text(doc["amount"], doc["currency"]),
                "note": doc["reference"],
                "invoices": [doc["target"]],
                "reversed": doc["status"] == "DELETED",
            }
            for doc in org.all(PAYMENT)
        ]
        return _json({"invoices": invoices, "payments": payments})

    @control.get("/journal")
    def read_journal() -> Response:
        return _json(books.journal.entries())

    @control.get("/invoices/<invoice_id>")
    def invoice(invoice_id: str) -> str:
        return invoice_page(invoice_id, "")

    @control.post("/invoices/<invoice_id>")
    def edit(invoice_id: str) -> AnyResponse | tuple[str, int] | tuple[Response, int]:
        """`action` (edit, approve, void, delete, copy, pay, unpay) with reference, due, amount, account, payment."""
        org, doc = find_anywhere(books, invoice_id)
        try:
            with books.transaction():
                changed = _act(org, doc, _sent())
        except (Refused, NotThere) as problem:
            text = str(problem) if isinstance(problem, Refused) else "There is no such document."
            return (_json({"error": text}), 400) if request.is_json else (invoice_page(invoice_id, text), 400)
        if request.is_json:
            return _json(org.require(INVOICE, changed))
        return redirect(url_for("control.invoice", invoice_id=changed), 303)

    def invoice_page(invoice_id: str, problem: str) -> str:
        org, doc = find_anywhere(books, invoice_id)
        accounts = [account for account in org.all(ACCOUNT) if account["status"] == "ACTIVE"]
        payable = [account for account in accounts if account["type"] == "BANK" or account["payments_enabled"]]
        return render_template(
            "xero/control_invoice.html", org=org, doc=doc, accounts=payable, problem=problem, money=minor_to_text
        )

    def chosen_by(sent: dict[str, Any]) -> Organisation:
        known = [doc["id"] for doc in books.organisations()]
        tenant = str(sent.get("tenant") or known[0])
        return Organisation(books, tenant if tenant in known else known[0], "control")

    def state() -> dict[str, Any]:
        tenants = [doc["id"] for doc in books.organisations()]
        counts = {
            name: sum(books.store.count(f"{kind}:{tenant}") for tenant in tenants) for name, kind in _COUNTED.items()
        }
        statuses = [attempt.status for attempt in webhooks.delivery.attempts()]
        return {
            **counts,
            "organisations": [{"tenant": doc["id"], "name": doc["name"]} for doc in books.organisations()],
            "requests": books.journal.counts(),
            "webhooks": {"status": webhooks.status, "waiting": webhooks.waiting(), "attempts": statuses},
            "now": books.clock.now().isoformat(),
        }

    def _done(answer: dict[str, Any]) -> AnyResponse:
        return _json(answer) if request.is_json else redirect(url_for("control.panel"), 303)

    return control


def _act(org: Organisation, doc: Document, sent: dict[str, Any]) -> str:
    """The invoice that is changed, or new: its id."""
    action = sent.get("action")
    if action == "edit":
        change = {"Reference": str(sent.get("reference", doc["reference"]))}
        change_invoice(org, doc, {**change, **({"DueDate": sent["due"]} if sent.get("due") else {})})
    elif action in ("approve", "void", "delete"):
        status = {"approve": "AUTHORISED", "void": "VOIDED", "delete": "DELETED"}[action]
        change_invoice(org, doc, {"Status": status})
    elif action == "pay":
        paid = {
            "Invoice": {"InvoiceID": doc["id"]},
            "Account": {"AccountID": sent.get("account") or _first_bank(org)},
            "Amount": str(sent.get("amount") or minor_to_text(doc["amount_due"], doc["currency"])),
            "Reference": str(sent.get("reference") or "Paid by hand"),
        }
        create_payment(org, paid)
    elif action == "unpay":
        reverse_payment(org, org.require(PAYMENT, str(sent.get("payment") or "")))
    elif action == "copy":
        return str(create_invoice(org, _copy(org, doc))["id"])
    else:
        raise Refused("action must be one of edit, approve, void, delete, copy, pay, unpay")
    return str(doc["id"])


def _copy(org: Organisation, doc: Document) -> dict[str, Any]:
    """What a bookkeeper sends to issue the same again, from today."""
    lines = show_lines(doc["lines"], doc["currency"], 4)
    return {
        "Type": doc["type"],
        "Status": "AUTHORISED",
        "Contact": {"ContactID": doc["contact"]},
        "CurrencyCode": doc["currency"],
        "LineAmountTypes": doc["amount_types"],
        "DueDate": org.today(),
        "BrandingThemeID": doc["theme"],
        "LineItems": [{name: value for name, value in line.items() if name != "LineItemID"} for line in lines],
    }


def _first_bank(org: Organisation) -> str:
    return str(next(doc["id"] for doc in org.all(ACCOUNT) if doc["type"] == "BANK" and doc["status"] == "ACTIVE"))


def _sent() -> dict[str, Any]:
    """The JSON object or form of a request; anything else counts as empty."""
    if not request.is_json:
        return dict(request.form)
    try:
        parsed = from_json(request.get_data())
    except (msgspec.DecodeError, ValueError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _json(body: object) -> Response:
    return Response(to_json(body), content_type="application/json")
