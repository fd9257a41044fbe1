"""Money a customer has in hand: credit notes, overpayments, prepayments, and putting them against invoices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import (
    CREDIT_NOTE,
    INVOICE,
    OVERPAYMENT,
    PREPAYMENT,
    Organisation,
    new_id,
)
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.contacts import contact_for, contact_of, show_contact_of
from integrations.systems.xero.simulator.invoice_changes import (
    currency_of,
    default_theme,
    on_invoice,
    rate_of,
    refuse_locked,
)
from integrations.systems.xero.simulator.lines import AMOUNT_TYPES, add_up, read_lines, show_lines
from integrations.systems.xero.simulator.listing import day, moment, select
from integrations.systems.xero.simulator.pdf import pdf_response
from integrations.systems.xero.simulator.problems import NotThere, Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import (
    amount,
    day_stamp,
    day_text,
    number,
    read_amount,
    read_day,
    stamp,
    stamp_text,
)


@dataclass(frozen=True)
class Sort:
    """One of the three sorts of credit: where it is stored and what Xero calls it."""

    kind: str
    plural: str
    entity: str

    @property
    def id_name(self) -> str:
        """Such as CreditNoteID."""
        return f"{self.entity}ID"


CREDIT_NOTES = Sort(CREDIT_NOTE, "CreditNotes", "CreditNote")
OVERPAYMENTS = Sort(OVERPAYMENT, "Overpayments", "Overpayment")
PREPAYMENTS = Sort(PREPAYMENT, "Prepayments", "Prepayment")
SORTS = {sort.kind: sort for sort in (CREDIT_NOTES, OVERPAYMENTS, PREPAYMENTS)}


def credit_row(org: Organisation, sort: Sort, doc: Document) -> Row:
    """Filterable fields."""
    return {
        sort.id_name: Guid(doc["id"]),
        "CreditNoteNumber": doc.get("number") or None,
        "Reference": doc["reference"],
        "Type": doc["type"],
        "Status": doc["status"],
        "Date": day(doc["date"]),
        "Contact.ContactID": Guid(doc["contact"]),
        "Contact.Name": contact_of(org, doc)["name"],
        "CurrencyCode": doc["currency"],
        "Total": amount(doc["total"], doc["currency"]),
        "RemainingCredit": amount(doc["remaining"], doc["currency"]),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_credits(call: Call, sort: Sort) -> dict[str, Any]:
    """GET of one sort; line items come with a page only."""
    org = call.org
    found = select(call, org.all(sort.kind), sort.entity, lambda doc: credit_row(org, sort, doc))
    with_lines = found.pagination is not None
    shown = [show_credit(org, sort, doc, lines=with_lines, unit_places=call.unit_places) for doc in found.documents]
    return found.content(sort.plural, shown)


def read_credit(call: Call, sort: Sort, credit_id: str) -> dict[str, Any] | Response:
    """GET of one; a credit note also as PDF."""
    doc = find_credit(call.org, sort, credit_id)
    if sort is CREDIT_NOTES and "application/pdf" in call.headers.get("Accept", ""):
        return pdf_response(call.org, sort.kind, doc, call.public_url)
    shown = show_credit(call.org, sort, doc, lines=True, full_contact=True, unit_places=call.unit_places)
    return {sort.plural: [shown]}


def find_credit(org: Organisation, sort: Sort, reference: str) -> Document:
    """By id, credit notes also by number. NotThere otherwise."""
    doc = org.get(sort.kind, reference)
    if doc is None and sort is CREDIT_NOTES and reference:
        named = (other["id"] for other in org.all(sort.kind) if other.get("number") == reference)
        doc = org.get(sort.kind, next(named, ""))
    if doc is None:
        raise NotThere
    return doc


def show_credit(
    org: Organisation, sort: Sort, doc: Document, *, lines: bool, full_contact: bool = False, unit_places: int = 2
) -> dict[str, Any]:
    """One credit as answers carry it."""
    currency = doc["currency"]
    shown: dict[str, Any] = {
        sort.id_name: doc["id"],
        "ID": doc["id"],
        "Type": doc["type"],
        "Reference": doc["reference"],
        "RemainingCredit": amount(doc["remaining"], currency),
        "Allocations": [_show_allocation(org, item, currency) for item in doc["allocations"]],
        "Payments": [
            {
                "PaymentID": refund["id"],
                "Date": day_stamp(refund["date"]),
                "Amount": amount(refund["amount"], currency),
                "Reference": refund["reference"],
            }
            for refund in doc["payments"]
        ],
        "HasAttachments": False,
        "Contact": show_contact_of(org, doc, full=full_contact),
        "DateString": day_text(doc["date"]),
        "Date": day_stamp(doc["date"]),
        "Status": doc["status"],
        "LineAmountTypes": doc["amount_types"],
        "LineItems": show_lines(doc["lines"], currency, unit_places) if lines else [],
        "SubTotal": amount(doc["subtotal"], currency),
        "TotalTax": amount(doc["tax"], currency),
        "Total": amount(doc["total"], currency),
        "UpdatedDateUTC": stamp(doc["updated"]),
        "UpdatedDateUTCString": stamp_text(doc["updated"]),
        "CurrencyCode": currency,
        "CurrencyRate": number(doc["rate"], 10),
    }
    if sort is CREDIT_NOTES:
        shown.update(CreditNoteNumber=doc["number"], BrandingThemeID=doc["theme"], SentToContact=doc["sent"])
        if doc.get("fully_paid_on"):
            shown["FullyPaidOnDate"] = day_stamp(doc["fully_paid_on"])
    return shown


def _show_allocation(org: Organisation, item: Document, currency: str) -> dict[str, Any]:
    invoice = org.get(INVOICE, item["invoice"])
    return {
        "AllocationID": item["id"],
        "Amount": amount(item["amount"], currency),
        "Date": day_stamp(item["date"]),
        "Invoice": {
            "InvoiceID": item["invoice"],
            "InvoiceNumber": invoice["number"] if invoice else "",
            "LineItems": [],
        },
    }


def save_credit_notes(call: Call, credit_id: str = "") -> dict[str, Any]:
    """PUT and POST /CreditNotes, POST /CreditNotes/{id}."""
    org = call.org

    def write(sent: dict[str, Any]) -> Document:
        known = credit_id or str(sent.get("CreditNoteID") or "")
        return _change_credit_note(org, find_credit(org, CREDIT_NOTES, known), sent) if known else _create(org, sent)

    return {
        "CreditNotes": call.each(
            call.elements("CreditNotes"),
            write,
            lambda doc: show_credit(org, CREDIT_NOTES, doc, lines=True, full_contact=True),
        )
    }


def _create(org: Organisation, sent: dict[str, Any]) -> Document:
    if sent.get("Type") not in ("ACCRECCREDIT", "ACCPAYCREDIT"):
        raise Refused("Credit note type must be ACCRECCREDIT or ACCPAYCREDIT")
    currency = currency_of(org, sent)
    amount_types = AMOUNT_TYPES.get(str(sent.get("LineAmountTypes", "Exclusive")), "Exclusive")
    if not sent.get("LineItems"):
        raise Refused("One or more line items must be specified")
    lines = read_lines(sent["LineItems"], currency, amount_types, org.profile["tax_rates"])
    date = read_day(sent["Date"], "Date") if sent.get("Date") else org.today()
    refuse_locked(org, date)
    doc = new_credit(
        org,
        CREDIT_NOTES,
        type_=sent["Type"],
        contact=contact_for(org, sent.get("Contact"))["id"],
        currency=currency,
        date=date,
        lines=lines,
        amount_types=amount_types,
        reference=str(sent.get("Reference") or ""),
        rate=rate_of(org, currency, sent),
        status="AUTHORISED" if sent.get("Status") == "AUTHORISED" else "DRAFT",
    )
    doc["number"] = str(sent.get("CreditNoteNumber") or org.next_number(CREDIT_NOTE, "CN-"))
    return org.save(CREDIT_NOTE, doc)


def _change_credit_note(org: Organisation, doc: Document, sent: dict[str, Any]) -> Document:
    wanted = str(sent.get("Status") or doc["status"])
    allowed = {"DRAFT": ("DRAFT", "AUTHORISED", "DELETED"), "AUTHORISED": ("AUTHORISED", "VOIDED"), "PAID": ("PAID",)}
    if wanted not in allowed.get(doc["status"], ()):
        raise Refused("Credit note not of valid status for modification")
    if wanted == "VOIDED" and (doc["allocations"] or doc["payments"]):
        raise Refused("This credit note cannot be voided as it is allocated or refunded")
    refuse_locked(org, doc["date"])
    if "Reference" in sent:
        doc["reference"] = str(sent["Reference"] or "")
    doc["status"] = wanted
    if wanted in ("VOIDED", "DELETED"):
        doc["remaining"] = 0
    return org.save(CREDIT_NOTE, doc)


def new_credit(
    org: Organisation,
    sort: Sort,
    *,
    type_: str,
    contact: str,
    currency: str,
    date: str,
    lines: list[Document],
    amount_types: str,
    reference: str,
    rate: str,
    status: str = "AUTHORISED",
) -> Document:
    """An unsaved credit of any sort, all of it still in hand."""
    totals = add_up(lines, amount_types)
    doc: Document = {
        "id": new_id(),
        "kind": sort.kind,
        "type": type_,
        "contact": contact,
        "currency": currency,
        "rate": rate,
        "date": date,
        "status": status,
        "amount_types": amount_types,
        "lines": lines,
        "reference": reference,
        "subtotal": totals.subtotal,
        "tax": totals.tax,
        "total": totals.total,
        "remaining": totals.total,
        "allocations": [],
        "payments": [],
    }
    if sort is CREDIT_NOTES:
        doc.update(number="", theme=default_theme(org), sent=False)
    return doc


def settle_credit(doc: Document) -> None:
    """What is still in hand; AUTHORISED becomes PAID when nothing is, and back."""
    used = sum(item["amount"] for item in (*doc["allocations"], *doc["payments"]))
    doc["remaining"] = doc["total"] - used
    if doc["status"] in ("AUTHORISED", "PAID"):
        doc["status"] = "AUTHORISED" if doc["remaining"] else "PAID"
    if doc["status"] == "PAID":
        doc["fully_paid_on"] = max(item["date"] for item in (*doc["allocations"], *doc["payments"]))
    else:
        doc.pop("fully_paid_on", None)


def allocate_credit(call: Call, sort: Sort, credit_id: str) -> dict[str, Any]:
    """PUT …/{id}/Allocations: lowers the invoice's AmountDue without a Payment."""
    org = call.org
    find_credit(org, sort, credit_id)

    def write(sent: dict[str, Any]) -> Document:
        return put_against(org, sort, credit_id, sent)

    def show(item: Document) -> dict[str, Any]:
        doc = find_credit(org, sort, credit_id)
        return {**_show_allocation(org, item, doc["currency"]), "IsDeleted": False, "ValidationErrors": []}

    return {"Allocations": call.each(call.elements("Allocations"), write, show)}


def put_against(org: Organisation, sort: Sort, credit_id: str, sent: dict[str, Any]) -> Document:
    """Put part of a credit against an invoice. Raises Refused."""
    doc = find_credit(org, sort, credit_id)
    reference = sent.get("Invoice") if isinstance(sent.get("Invoice"), dict) else {}
    invoice = org.get(INVOICE, str((reference or {}).get("InvoiceID") or ""))
    if invoice is None:
        raise Refused("Invoice could not be found")
    minor = read_amount(sent.get("Amount"), "Amount", doc["currency"])
    date = read_day(sent["Date"], "Date") if sent.get("Date") else org.today()
    if doc["status"] != "AUTHORISED" or invoice["status"] != "AUTHORISED":
        raise Refused("Credits can only be allocated to Authorised documents")
    if invoice["contact"] != doc["contact"]:
        raise Refused("The contact of the credit and of the invoice must be the same")
    if invoice["currency"] != doc["currency"]:
        raise Refused("The currency of the credit and of the invoice must be the same")
    if minor <= 0:
        raise Refused("The allocation amount must be greater than zero")
    if minor > doc["remaining"]:
        raise Refused("The allocation amount exceeds the remaining credit")
    if minor > invoice["amount_due"]:
        raise Refused("The allocation amount exceeds the amount outstanding on this document")
    refuse_locked(org, date)
    item = {"id": new_id(), "invoice": invoice["id"], "amount": minor, "date": date}
    doc["allocations"].append(item)
    settle_credit(doc)
    org.save(sort.kind, doc)
    applied = {**item, "kind": sort.kind, "source": doc["id"], "number": doc.get("number", "")}
    on_invoice(org, invoice["id"], lambda changed: changed["allocations"].append(applied))
    org.note(INVOICE, invoice["id"], "Credit Applied", f"{amount(minor, doc['currency'])} {doc['currency']}")
    return item


def take_back(call: Call, sort: Sort, credit_id: str, allocation_id: str) -> dict[str, Any]:
    """DELETE …/{id}/Allocations/{id}: the invoice owes the amount again."""
    org, doc = call.org, find_credit(call.org, sort, credit_id)
    item = next((held for held in doc["allocations"] if held["id"] == allocation_id.lower()), None)
    if item is None:
        raise NotThere
    doc["allocations"].remove(item)
    settle_credit(doc)
    org.save(sort.kind, doc)

    def undo(invoice: Document) -> None:
        invoice["allocations"] = [held for held in invoice["allocations"] if held["id"] != item["id"]]

    on_invoice(org, item["invoice"], undo)
    return {**_show_allocation(org, item, doc["currency"]), "IsDeleted": True}
