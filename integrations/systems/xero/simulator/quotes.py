"""/Quotes and /RepeatingInvoices: what may become an invoice."""

from __future__ import annotations

from typing import Any

from flask import Response

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import QUOTE, REPEATING, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.contacts import contact_for, show_contact_of
from integrations.systems.xero.simulator.invoice_changes import currency_of, default_theme, rate_of
from integrations.systems.xero.simulator.lines import AMOUNT_TYPES, add_up, read_lines, show_lines
from integrations.systems.xero.simulator.listing import day, moment, select
from integrations.systems.xero.simulator.pdf import pdf_response
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import amount, day_stamp, day_text, number, read_day, read_number, stamp

_NEXT = {
    "DRAFT": ("DRAFT", "SENT", "DELETED"),
    "SENT": ("SENT", "ACCEPTED", "DECLINED", "DRAFT", "DELETED"),
    "ACCEPTED": ("ACCEPTED", "INVOICED", "SENT", "DELETED"),
    "DECLINED": ("DECLINED", "SENT", "DRAFT", "DELETED"),
    "INVOICED": ("INVOICED", "SENT", "DELETED"),
}
_DUE_TYPES = ("DAYSAFTERBILLDATE", "DAYSAFTERBILLMONTH", "OFCURRENTMONTH", "OFFOLLOWINGMONTH")
_REPEATING_NEXT = {"DRAFT": ("DRAFT", "AUTHORISED", "DELETED"), "AUTHORISED": ("AUTHORISED", "DRAFT", "DELETED")}


def _quote_row(doc: Document) -> Row:
    return {
        "QuoteID": Guid(doc["id"]),
        "QuoteNumber": doc["number"],
        "Status": doc["status"],
        "Date": day(doc["date"]),
        "ExpiryDate": day(doc.get("expires")),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_quotes(call: Call) -> dict[str, Any]:
    """GET /Quotes, always in pages of 100; Status, ContactID, QuoteNumber and date ranges narrow it."""
    args, documents = call.args, call.org.all(QUOTE)
    for name, held in (("Status", "status"), ("QuoteNumber", "number"), ("ContactID", "contact")):
        if wanted := args.get(name):
            value = wanted.lower() if name == "ContactID" else wanted
            documents = [doc for doc in documents if doc[held] == value]
    for name, held, after in (
        ("DateFrom", "date", True),
        ("DateTo", "date", False),
        ("ExpiryDateFrom", "expires", True),
        ("ExpiryDateTo", "expires", False),
    ):
        if limit := args.get(name):
            documents = [doc for doc in documents if (doc[held] >= limit if after else doc[held] <= limit)]
    found = select(call, documents, "Quote", _quote_row, always_paged=True)
    return {"Quotes": [show_quote(call.org, doc) for doc in found.documents]}


def read_quote(call: Call, quote_id: str) -> dict[str, Any] | Response:
    """GET /Quotes/{id}; the PDF when application/pdf is asked for."""
    doc = call.org.require(QUOTE, quote_id)
    if "application/pdf" in call.headers.get("Accept", ""):
        return pdf_response(call.org, QUOTE, doc, call.public_url)
    return {"Quotes": [show_quote(call.org, doc)]}


def show_quote(org: Organisation, doc: Document) -> dict[str, Any]:
    """A quote as answers carry it."""
    currency = doc["currency"]
    return {
        "QuoteID": doc["id"],
        "QuoteNumber": doc["number"],
        "Reference": doc["reference"],
        "Terms": doc.get("terms", ""),
        "Contact": show_contact_of(org, doc, full=False),
        "LineItems": show_lines(doc["lines"], currency, 2),
        "Date": day_stamp(doc["date"]),
        "DateString": day_text(doc["date"]),
        **(
            {"ExpiryDate": day_stamp(doc["expires"]), "ExpiryDateString": day_text(doc["expires"])}
            if doc["expires"]
            else {}
        ),
        "Status": doc["status"],
        "CurrencyRate": number(doc["rate"], 6),
        "CurrencyCode": currency,
        "SubTotal": amount(doc["subtotal"], currency),
        "TotalTax": amount(doc["tax"], currency),
        "Total": amount(doc["total"], currency),
        "TotalDiscount": amount(0, currency),
        "Title": doc.get("title", ""),
        "Summary": doc.get("summary", ""),
        "BrandingThemeID": doc["theme"],
        "UpdatedDateUTC": stamp(doc["updated"]),
        "LineAmountTypes": doc["amount_types"].upper(),
    }


def _expiry(doc: Document) -> dict[str, str]:
    day = doc["expires"]
    return {"ExpiryDate": day_stamp(day), "ExpiryDateString": day_text(day)} if day else {}


def save_quotes(call: Call, quote_id: str = "") -> dict[str, Any]:
    """PUT and POST /Quotes, POST /Quotes/{id}. Changing one needs Contact and Date, accepting makes no invoice."""
    org = call.org

    def write(sent: dict[str, Any]) -> Document:
        known = quote_id or str(sent.get("QuoteID") or "")
        return _change_quote(org, org.require(QUOTE, known), sent) if known else _create_quote(org, sent)

    return {"Quotes": call.each(call.elements("Quotes"), write, lambda doc: show_quote(org, doc))}


def _create_quote(org: Organisation, sent: dict[str, Any]) -> Document:
    currency = currency_of(org, sent)
    amount_types = _amount_types(sent)
    if not sent.get("LineItems"):
        raise Refused("One or more line items must be specified")
    lines = read_lines(sent["LineItems"], currency, amount_types, org.profile["tax_rates"])
    totals = add_up(lines, amount_types)
    doc: Document = {
        "id": new_id(),
        "number": str(sent.get("QuoteNumber") or org.next_number(QUOTE, "QU-")),
        "reference": str(sent.get("Reference") or ""),
        "title": str(sent.get("Title") or "")[:100],
        "summary": str(sent.get("Summary") or "")[:3000],
        "date": read_day(sent.get("Date"), "Date"),
        "expires": read_day(sent["ExpiryDate"], "ExpiryDate") if sent.get("ExpiryDate") else None,
        "status": "SENT" if sent.get("Status") == "SENT" else "DRAFT",
        "currency": currency,
        "rate": rate_of(org, currency, sent),
        "amount_types": amount_types,
        "lines": lines,
        "subtotal": totals.subtotal,
        "tax": totals.tax,
        "total": totals.total,
        "theme": default_theme(org),
    }
    doc["contact"] = contact_for(org, sent.get("Contact"))["id"]
    return org.save(QUOTE, doc)


def _change_quote(org: Organisation, doc: Document, sent: dict[str, Any]) -> Document:
    wanted = str(sent.get("Status") or doc["status"])
    if wanted not in _NEXT.get(doc["status"], ()):
        raise Refused(f"A quote cannot go from {doc['status']} to {wanted}")
    if not sent.get("Contact") or not sent.get("Date"):
        raise Refused("Contact and Date must be specified")
    doc["date"] = read_day(sent["Date"], "Date")
    if "Reference" in sent:
        doc["reference"] = str(sent["Reference"] or "")
    doc["contact"] = contact_for(org, sent["Contact"])["id"]
    doc["status"] = wanted
    return org.save(QUOTE, doc)


def _amount_types(sent: dict[str, Any]) -> str:
    wanted = str(sent.get("LineAmountTypes") or "EXCLUSIVE").upper()
    return next((name for name in AMOUNT_TYPES if name.upper() == wanted), "Exclusive")


def _repeating_row(doc: Document) -> Row:
    return {
        "RepeatingInvoiceID": Guid(doc["id"]),
        "Type": "ACCREC",
        "Status": doc["status"],
        "Total": amount(doc["total"], doc["currency"]),
        "Contact.ContactID": Guid(doc["contact"]),
    }


def list_repeating(call: Call) -> dict[str, Any]:
    """GET /RepeatingInvoices, never paged."""
    found = select(call, call.org.all(REPEATING), "RepeatingInvoice", _repeating_row)
    return {"RepeatingInvoices": [show_repeating(call.org, doc) for doc in found.documents]}


def read_repeating(call: Call, repeating_id: str) -> dict[str, Any]:
    """GET /RepeatingInvoices/{id}."""
    return {"RepeatingInvoices": [show_repeating(call.org, call.org.require(REPEATING, repeating_id))]}


def show_repeating(org: Organisation, doc: Document) -> dict[str, Any]:
    """A template with its schedule; invoices made from it carry its id."""
    currency = doc["currency"]
    return {
        "Schedule": {
            "Period": doc.get("period", 1),
            "Unit": doc.get("unit", "MONTHLY"),
            "DueDate": doc.get("due_day", 30),
            "DueDateType": doc.get("due_type", "DAYSAFTERBILLDATE"),
            "StartDate": day_stamp(doc["starts"]),
            "NextScheduledDate": day_stamp(doc["next"]),
        },
        "RepeatingInvoiceID": doc["id"],
        "ID": doc["id"],
        "Type": "ACCREC",
        "Reference": doc["reference"],
        "HasAttachments": False,
        "ApprovedForSending": False,
        "SendCopy": False,
        "MarkAsSent": False,
        "IncludePDF": False,
        "Contact": show_contact_of(org, doc, full=False),
        "Status": doc["status"],
        "LineAmountTypes": doc["amount_types"],
        "LineItems": show_lines(doc["lines"], currency, 2),
        "SubTotal": amount(doc["subtotal"], currency),
        "TotalTax": amount(doc["tax"], currency),
        "Total": amount(doc["total"], currency),
        "CurrencyCode": currency,
        "BrandingThemeID": doc["theme"],
    }


def save_repeating(call: Call, repeating_id: str = "") -> dict[str, Any]:
    """PUT /RepeatingInvoices creates; POST with the id, or to its address, changes the status and nothing else."""
    org = call.org

    def write(sent: dict[str, Any]) -> Document:
        known = repeating_id or str(sent.get("RepeatingInvoiceID") or "")
        if not known:
            return _create_repeating(org, sent)
        doc = org.require(REPEATING, known)
        wanted = str(sent.get("Status") or doc["status"])
        if wanted not in _REPEATING_NEXT.get(doc["status"], ()):
            raise Refused("Repeating invoice not of valid status for modification")
        doc["status"] = wanted
        return org.save(REPEATING, doc)

    return {
        "RepeatingInvoices": call.each(call.elements("RepeatingInvoices"), write, lambda doc: show_repeating(org, doc))
    }


def _create_repeating(org: Organisation, sent: dict[str, Any]) -> Document:
    schedule = sent.get("Schedule")
    if not isinstance(schedule, dict) or schedule.get("Unit") not in ("WEEKLY", "MONTHLY"):
        raise Refused("Schedule must be given with its Unit, WEEKLY or MONTHLY")
    if schedule.get("DueDateType") not in _DUE_TYPES:
        raise Refused(f"Schedule DueDateType must be one of {', '.join(_DUE_TYPES)}")
    period, due_day = (read_number(schedule.get(name, 1), f"Schedule {name}") for name in ("Period", "DueDate"))
    if period < 1 or due_day < 0 or period % 1 or due_day % 1:
        raise Refused("Schedule Period and DueDate must be whole numbers")
    if sent.get("Type") != "ACCREC" or not sent.get("LineItems"):
        raise Refused("Type must be ACCREC and one or more line items must be specified")
    currency = currency_of(org, sent)
    amount_types = AMOUNT_TYPES.get(str(sent.get("LineAmountTypes", "Exclusive")), "Exclusive")
    lines = read_lines(sent["LineItems"], currency, amount_types, org.profile["tax_rates"])
    totals = add_up(lines, amount_types)
    starts = read_day(schedule["StartDate"], "StartDate") if schedule.get("StartDate") else org.today()
    doc: Document = {
        "id": new_id(),
        "reference": str(sent.get("Reference") or ""),
        "status": "AUTHORISED" if sent.get("Status") == "AUTHORISED" else "DRAFT",
        "currency": currency,
        "amount_types": amount_types,
        "lines": lines,
        "subtotal": totals.subtotal,
        "tax": totals.tax,
        "total": totals.total,
        "theme": default_theme(org),
        "starts": starts,
        "next": starts,
        "period": int(period),
        "unit": schedule["Unit"],
        "due_day": int(due_day),
        "due_type": schedule["DueDateType"],
    }
    doc["contact"] = contact_for(org, sent.get("Contact"))["id"]
    return org.save(REPEATING, doc)
