"""/Invoices as they are written: creating, changing, approving, voiding, and what money does to them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from connector.domain.money import NotMoney, exponent
from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import INVOICE, THEME, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.contacts import contact_for
from integrations.systems.xero.simulator.invoices import find_invoice, part_paid, show_invoice
from integrations.systems.xero.simulator.lines import AMOUNT_TYPES, add_up, read_lines
from integrations.systems.xero.simulator.problems import NotThere, Refused
from integrations.systems.xero.simulator.wire import read_day, read_number

_NEXT_STATUS = {
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
    "PAID": ("PAID", "AUTHORISED"),
}
_ALWAYS_EDITABLE = {"Reference", "DueDate", "InvoiceNumber", "BrandingThemeID", "Url", "SentToContact"}
_ALWAYS_EDITABLE |= {"ExpectedPaymentDate", "Status", "InvoiceID", "Type", "HasAttachments", "HasErrors", "Contact"}
_SILENT = {"DueDate", "SentToContact", "InvoiceID", "HasAttachments", "HasErrors"}


def save_invoices(call: Call, invoice_id: str = "") -> dict[str, Any]:
    """PUT and POST /Invoices, POST /Invoices/{id}."""
    org = call.org
    if invoice_id:
        find_invoice(org, invoice_id)

    def write(sent: dict[str, Any]) -> Document:
        known = invoice_id or str(sent.get("InvoiceID") or "")
        if not known:
            return create_invoice(org, sent, by_app=True)
        try:
            existing = find_invoice(org, known)
        except NotThere:
            raise Refused("Invoice could not be found") from None
        return change_invoice(org, existing, sent)

    def show(doc: Document) -> dict[str, Any]:
        return show_invoice(org, doc, lines=True, full_contact=True, unit_places=call.unit_places)

    return {"Invoices": call.each(call.elements("Invoices"), write, show)}


def create_invoice(org: Organisation, sent: dict[str, Any], *, by_app: bool = False) -> Document:
    """A new invoice. Raises Refused."""
    if sent.get("Type") not in ("ACCREC", "ACCPAY"):
        raise Refused("Invoice type must be ACCREC or ACCPAY")
    if sent.get("Status", "DRAFT") not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
        raise Refused("Invoice not of valid status for creation")
    doc: Document = {
        "id": new_id(),
        "number": "",
        "type": sent["Type"],
        "contact": "",
        "date": org.today(),
        "due": None,
        "status": sent.get("Status", "DRAFT"),
        "amount_types": AMOUNT_TYPES.get(str(sent.get("LineAmountTypes", "Exclusive")), "Exclusive"),
        "reference": "",
        "theme": default_theme(org),
        "currency": currency_of(org, sent),
        "rate": "1",
        "sent": False,
        "lines": [],
        "payments": [],
        "allocations": [],
        "by_app": by_app,
    }
    doc["rate"] = rate_of(org, doc["currency"], sent)
    if not sent.get("LineItems"):
        raise Refused("One or more line items must be specified")
    _apply(org, doc, sent)
    doc["number"] = doc["number"] or org.next_number(INVOICE, "INV-")
    _check_number(org, doc)
    refuse_locked(org, doc["date"])
    if doc["status"] == "AUTHORISED" and not doc["due"]:
        raise Refused("Due date must be specified")
    doc["contact"] = contact_for(org, sent.get("Contact"))["id"]
    settle(doc)
    org.save(INVOICE, doc)
    org.note(INVOICE, doc["id"], "Created", f"Received through the Xero API from {org.books.config.app_name}")
    return doc


def change_invoice(org: Organisation, doc: Document, sent: dict[str, Any]) -> Document:
    """Edit, approve, void or delete. Raises Refused."""
    wanted = str(sent.get("Status") or doc["status"])
    if wanted not in _NEXT_STATUS.get(doc["status"], ()):
        raise Refused("Invoice not of valid status for modification")
    content = {key for key in sent if key not in _ALWAYS_EDITABLE and sent[key] not in ([], {}, None)}
    if part_paid(doc) and content:
        raise Refused("This document cannot be edited as it has a payment or credit note allocated to it.")
    if wanted == "VOIDED" and part_paid(doc):
        raise Refused("This document cannot be voided as it has a payment or credit note allocated to it.")
    if content or wanted != doc["status"]:
        refuse_locked(org, doc["date"])
    silent = part_paid(doc) and {key for key in sent if sent[key] not in ([], {}, None)} <= _SILENT
    before = doc["status"]
    _apply(org, doc, sent)
    _check_number(org, doc)
    if doc["status"] != "PAID":
        doc["status"] = wanted
    if doc["status"] == "AUTHORISED" and not doc["due"]:
        raise Refused("Due date must be specified")
    if sent.get("Contact"):
        doc["contact"] = contact_for(org, {"ContactID": doc["contact"], **sent["Contact"]})["id"]
    settle(doc)
    org.save(INVOICE, doc, touch=not silent)
    change = {"VOIDED": "Voided", "DELETED": "Deleted", "AUTHORISED": "Approved"}.get(wanted, "Edited")
    org.note(INVOICE, doc["id"], change if wanted != before else "Edited", f"Invoice {doc['number']}")
    return doc


def _apply(org: Organisation, doc: Document, sent: dict[str, Any]) -> None:
    """Take over the fields a request carries; nothing is written yet."""
    if sent.get("InvoiceNumber"):
        doc["number"] = str(sent["InvoiceNumber"])[:255]
    if "Reference" in sent:
        doc["reference"] = str(sent["Reference"] or "")
    for wire, held in (("Date", "date"), ("DueDate", "due"), ("ExpectedPaymentDate", "expected_payment")):
        if sent.get(wire):
            doc[held] = read_day(sent[wire], wire)
    if sent.get("BrandingThemeID"):
        theme = org.get(THEME, str(sent["BrandingThemeID"]))
        if theme is None:
            raise Refused("The branding theme could not be found")
        doc["theme"] = theme["id"]
    if sent.get("Url"):
        url = str(sent["Url"])
        if not url.startswith(("https://", "http://")) or "xero" in url.lower():
            raise Refused("Url must be a valid absolute URL and must not contain the word xero")
        doc["url"] = url
    if sent.get("SentToContact") is not None:
        if sent["SentToContact"] is True and doc["status"] not in ("AUTHORISED", "PAID"):
            raise Refused("SentToContact can be set on approved invoices only")
        doc["sent"] = sent["SentToContact"] is True
    if sent.get("LineAmountTypes") in AMOUNT_TYPES:
        doc["amount_types"] = sent["LineAmountTypes"]
    if sent.get("LineItems"):
        rates = org.profile["tax_rates"]
        doc["lines"] = read_lines(sent["LineItems"], doc["currency"], doc["amount_types"], rates, doc["lines"])
        if add_up(doc["lines"], doc["amount_types"]).total < 0:
            raise Refused("The document total must not be negative")


def _check_number(org: Organisation, doc: Document) -> None:
    if doc["type"] != "ACCREC":
        return
    for other in org.all(INVOICE):
        if (
            other["number"] == doc["number"]
            and other["id"] != doc["id"]
            and other["status"] not in ("DELETED", "VOIDED")
        ):
            raise Refused("Invoice # must be unique.")


def settle(doc: Document) -> None:
    """Work out what an invoice comes to and what is due; AUTHORISED becomes PAID at nothing due, and back."""
    if doc["lines"]:
        totals = add_up(doc["lines"], doc["amount_types"])
        doc.update(subtotal=totals.subtotal, tax=totals.tax, total=totals.total)
    doc["amount_paid"] = sum(payment["amount"] for payment in doc["payments"])
    doc["amount_credited"] = sum(item["amount"] for item in doc["allocations"])
    doc["amount_due"] = doc["total"] - doc["amount_paid"] - doc["amount_credited"]
    if doc["status"] in ("VOIDED", "DELETED"):
        doc["amount_due"] = 0
    elif doc["status"] == "AUTHORISED" and doc["amount_due"] == 0:
        doc["status"] = "PAID"
        dates = [item["date"] for item in (*doc["payments"], *doc["allocations"])]
        doc["fully_paid_on"] = max(dates, default=doc["date"])
    elif doc["status"] == "PAID" and doc["amount_due"] > 0:
        doc["status"] = "AUTHORISED"
        doc.pop("fully_paid_on", None)


def refuse_locked(org: Organisation, date: str) -> None:
    """Refused when the date lies in a closed period."""
    profile = org.profile
    for name, words in (("period_lock", "period lock date"), ("year_lock", "end of year lock date")):
        if profile.get(name) and date <= profile[name]:
            raise Refused(f"The document date cannot be before the {words} of {profile[name]}")


def default_theme(org: Organisation) -> str:
    """The theme documents get when none is named: the first in the organisation's order."""
    return str(min(org.all(THEME), key=lambda theme: int(theme["sort"]))["id"])


def currency_of(org: Organisation, sent: dict[str, Any]) -> str:
    """The currency a request names, or the base currency. Raises Refused for an unknown one."""
    code = str(sent.get("CurrencyCode") or org.base_currency)
    try:
        exponent(code)
    except NotMoney:
        raise Refused(f"The currency code {code} is not valid") from None
    if code not in org.profile["currencies"]:
        raise Refused(f"Organisation is not subscribed to currency {code}")
    return code


def rate_of(org: Organisation, currency: str, sent: dict[str, Any]) -> str:
    """Units of `currency` for one unit of the base currency: as sent, or the day's rate."""
    if currency == org.base_currency:
        return "1"
    if sent.get("CurrencyRate") is not None:
        rate = read_number(sent["CurrencyRate"], "CurrencyRate")
        if rate <= 0:
            raise Refused("CurrencyRate must be greater than zero")
        return str(rate)
    return str(Decimal(org.profile["currencies"][currency]))


def on_invoice(org: Organisation, invoice_id: str, change: Callable[[Document], None]) -> Document:
    """Change what is paid or credited on an invoice, settle and save it."""
    doc = org.require(INVOICE, invoice_id)
    change(doc)
    settle(doc)
    return org.save(INVOICE, doc)
