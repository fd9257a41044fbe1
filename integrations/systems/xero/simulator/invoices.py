"""/Invoices as they are read: lists, single ones, the online address, the e-mail call."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import Response

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import INVOICE, Organisation
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.contacts import contact_of, show_contact_of
from integrations.systems.xero.simulator.lines import show_lines
from integrations.systems.xero.simulator.listing import day, listed, moment, select
from integrations.systems.xero.simulator.pdf import pdf_response
from integrations.systems.xero.simulator.problems import NotThere, exception
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import amount, day_stamp, day_text, number, stamp, stamp_text


def invoice_row(org: Organisation, doc: Document) -> Row:
    """Filterable fields."""
    currency = doc["currency"]
    return {
        "InvoiceID": Guid(doc["id"]),
        "InvoiceNumber": doc["number"],
        "Reference": doc["reference"],
        "Type": doc["type"],
        "Status": doc["status"],
        "Date": day(doc["date"]),
        "DueDate": day(doc["due"]),
        "Contact.ContactID": Guid(doc["contact"]),
        "Contact.Name": contact_of(org, doc)["name"],
        "CurrencyCode": currency,
        "Total": amount(doc["total"], currency),
        "AmountDue": amount(doc["amount_due"], currency),
        "AmountPaid": amount(doc["amount_paid"], currency),
        "FullyPaidOnDate": day(doc.get("fully_paid_on")),
        "RepeatingInvoiceID": Guid(doc["repeating"]) if doc.get("repeating") else None,
        "SentToContact": bool(doc["sent"]),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_invoices(call: Call) -> dict[str, Any]:
    """GET /Invoices. Without a page line items are left out; DELETED ones come only when Statuses or IDs name them
    or they changed since If-Modified-Since.
    """
    org, documents = call.org, call.org.all(INVOICE)
    ids, numbers = listed(call, "IDs"), listed(call, "InvoiceNumbers")
    statuses, contacts = listed(call, "Statuses"), listed(call, "ContactIDs")
    if ids is not None:
        documents = [doc for doc in documents if doc["id"] in {value.lower() for value in ids}]
    if numbers is not None:
        documents = [doc for doc in documents if doc["number"] in numbers]
    if contacts is not None:
        documents = [doc for doc in documents if doc["contact"] in {value.lower() for value in contacts}]
    if statuses is not None:
        documents = [doc for doc in documents if doc["status"] in statuses]
    elif ids is None and "If-Modified-Since" not in call.headers:
        documents = [doc for doc in documents if doc["status"] != "DELETED"]
    if call.args.get("createdByMyApp", "").lower() == "true":
        documents = [doc for doc in documents if doc.get("by_app")]
    if term := call.args.get("searchTerm", "").lower():
        documents = [doc for doc in documents if term in f"{doc['number']} {doc['reference']}".lower()]
    summary = call.summary_only
    found = select(call, documents, "Invoice", lambda doc: invoice_row(org, doc), always_paged=summary)
    with_lines = found.pagination is not None and not summary
    shown = [
        show_invoice(org, doc, lines=with_lines, summary=summary, unit_places=call.unit_places)
        for doc in found.documents
    ]
    return found.content("Invoices", shown)


def read_invoice(call: Call, invoice_id: str) -> dict[str, Any] | Response:
    """GET /Invoices/{id or number}; the PDF when application/pdf is asked for."""
    org, doc = call.org, find_invoice(call.org, invoice_id)
    if "application/pdf" in call.headers.get("Accept", ""):
        return pdf_response(org, INVOICE, doc, call.public_url)
    return {"Invoices": [show_invoice(org, doc, lines=True, full_contact=True, unit_places=call.unit_places)]}


def read_invoice_pdf(call: Call, invoice_id: str) -> Response:
    """GET /Invoices/{id}/pdf."""
    return pdf_response(call.org, INVOICE, find_invoice(call.org, invoice_id), call.public_url)


def find_invoice(org: Organisation, reference: str) -> Document:
    """By id, or by number as the API also allows. NotThere otherwise."""
    doc = org.get(INVOICE, reference)
    if doc is None:
        named = (other["id"] for other in org.all(INVOICE) if reference and other["number"] == reference)
        doc = org.get(INVOICE, next(named, ""))
    if doc is None:
        raise NotThere
    return doc


def show_invoice(
    org: Organisation,
    doc: Document,
    *,
    lines: bool,
    summary: bool = False,
    full_contact: bool = False,
    unit_places: int = 2,
) -> dict[str, Any]:
    """An invoice as answers carry it; `summary` is the light form of summaryOnly=true."""
    currency = doc["currency"]
    shown: dict[str, Any] = {
        "Type": doc["type"],
        "InvoiceID": doc["id"],
        "InvoiceNumber": doc["number"],
        "Reference": doc["reference"],
        "AmountDue": amount(doc["amount_due"], currency),
        "AmountPaid": amount(doc["amount_paid"], currency),
        "AmountCredited": amount(doc["amount_credited"], currency),
        "SentToContact": doc["sent"],
        "CurrencyRate": number(doc["rate"], 10),
        "HasErrors": False,
        "IsDiscounted": any(line.get("discount_rate") for line in doc["lines"]),
        "Contact": show_contact_of(org, doc, full=full_contact),
        "DateString": day_text(doc["date"]),
        "Date": day_stamp(doc["date"]),
        "BrandingThemeID": doc["theme"],
        "Status": doc["status"],
        "LineAmountTypes": doc["amount_types"],
        "SubTotal": amount(doc["subtotal"], currency),
        "TotalTax": amount(doc["tax"], currency),
        "Total": amount(doc["total"], currency),
        "UpdatedDateUTC": stamp(doc["updated"]),
        "UpdatedDateUTCString": stamp_text(doc["updated"]),
        "CurrencyCode": currency,
    }
    if doc["due"]:
        shown.update(DueDateString=day_text(doc["due"]), DueDate=day_stamp(doc["due"]))
    if doc.get("expected_payment"):
        shown["ExpectedPaymentDate"] = day_stamp(doc["expected_payment"])
    if doc.get("url"):
        shown["Url"] = doc["url"]
    if doc.get("repeating"):
        shown["RepeatingInvoiceID"] = doc["repeating"]
    if doc.get("fully_paid_on"):
        shown["FullyPaidOnDate"] = day_stamp(doc["fully_paid_on"])
    if summary:
        return shown
    shown["HasAttachments"] = False
    shown["Payments"] = [_show_payment(payment, currency) for payment in doc["payments"]]
    for name, kind in (("CreditNotes", "credit_note"), ("Prepayments", "prepayment"), ("Overpayments", "overpayment")):
        shown[name] = [_show_applied(item, currency) for item in doc["allocations"] if item["kind"] == kind]
    shown["LineItems"] = show_lines(doc["lines"], currency, unit_places) if lines else []
    return shown


def _show_payment(payment: Document, currency: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "PaymentID": payment["id"],
        "Date": day_stamp(payment["date"]),
        "Amount": amount(payment["amount"], currency),
        "Reference": payment["reference"],
        "CurrencyRate": Decimal("1.0000000000") if "rate" not in payment else number(payment["rate"], 10),
        "HasAccount": False,
        "HasValidationErrors": False,
    }
    if payment.get("batch"):
        shown["BatchPaymentID"] = payment["batch"]
    return shown


def _show_applied(item: Document, currency: str) -> dict[str, Any]:
    id_names = {"credit_note": "CreditNoteID", "prepayment": "PrepaymentID", "overpayment": "OverpaymentID"}
    shown = {
        id_names[item["kind"]]: item["source"],
        "ID": item["source"],
        "AppliedAmount": amount(item["amount"], currency),
        "Total": amount(item["amount"], currency),
        "Date": day_stamp(item["date"]),
        "LineItems": [],
    }
    if item["kind"] == "credit_note":
        shown["CreditNoteNumber"] = item.get("number", "")
    return shown


def online_invoice(call: Call, invoice_id: str) -> dict[str, Any]:
    """GET /Invoices/{id}/OnlineInvoice: only approved sales invoices have one."""
    doc = find_invoice(call.org, invoice_id)
    if doc["type"] != "ACCREC" or doc["status"] not in ("AUTHORISED", "PAID"):
        raise exception(10, "ValidationException", "Online invoices exist for approved sales invoices only")
    return {"OnlineInvoices": [{"OnlineInvoiceUrl": f"{call.public_url}/sent/{doc['id']}"}]}


def email_invoice(call: Call, invoice_id: str) -> Response:
    """POST /Invoices/{id}/Email with `{}`: marks it as sent, answers 204."""
    org, doc = call.org, find_invoice(call.org, invoice_id)
    call.document()
    contact = contact_of(org, doc)
    if doc["type"] != "ACCREC" or doc["status"] not in ("SUBMITTED", "AUTHORISED", "PAID"):
        raise exception(10, "ValidationException", "The invoice cannot be emailed in its present status")
    if not contact.get("email"):
        raise exception(10, "ValidationException", "The contact has no email address")
    doc["sent"] = True
    org.save(INVOICE, doc, touch=not part_paid(doc))
    org.note(INVOICE, doc["id"], "Invoice sent", f"This invoice has been sent to {contact['email']}.")
    return Response(status=204)


def part_paid(doc: Document) -> bool:
    """Whether something is paid or credited already: edits of the due date or sent mark then leave the stamp alone."""
    return bool(doc["payments"] or doc["allocations"])
