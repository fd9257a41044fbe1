"""Sales forms: invoices, credit memos, estimates, refund receipts; created, edited, voided, deleted."""

from __future__ import annotations

from datetime import date, timedelta

from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.amounts import converted, minor, number
from integrations.systems.quickbooks.simulator.books import HOME_CURRENCY, Change, Document
from integrations.systems.quickbooks.simulator.fields import words
from integrations.systems.quickbooks.simulator.links import release
from integrations.systems.quickbooks.simulator.sale_lines import Totals, add_up, emptied
from integrations.systems.quickbooks.simulator.standing import (
    adjust_customer,
    check_open,
    currency_of,
    currency_reference,
    present,
    rate_of,
    set_balance,
    voided_note,
)

FIRST_NUMBER = {"Invoice": "invoice-number", "CreditMemo": "credit-number", "Estimate": "estimate-number"}

# How a form's total moves the customer's balance.
_SIGN = {"Invoice": 1, "CreditMemo": -1}

_COMPUTED = words(
    "Id SyncToken MetaData domain sparse TotalAmt HomeTotalAmt Balance HomeBalance RemainingCredit LinkedTxn "
    "InvoiceLink DeliveryInfo RecurDataRef CustomField time"
)
_KEPT_BY_FULL_UPDATE = frozenset({"DocNumber", "TxnDate", "CurrencyRef", "ExchangeRate", "TxnTaxDetail"})
_ALLOWED_STATUS = frozenset({"Pending", "Accepted", "Closed", "Rejected", "Converted"})


def create(change: Change, entity: str, request: Document, *, allow_duplicate: bool = False) -> Document:
    """A new form; the customer's balance moves with it."""
    doc = build(change, entity, request, allow_duplicate=allow_duplicate)
    made = change.create(entity, doc)
    currency = made["CurrencyRef"]["value"]
    sign = _SIGN.get(entity, 0)
    total = minor("TotalAmt", made["TotalAmt"], currency)
    adjust_customer(change, made["CustomerRef"]["value"], sign * total, currency)
    return made


def build(change: Change, entity: str, request: Document, *, allow_duplicate: bool = False) -> Document:
    """A complete form from what was sent, not stored yet."""
    if not request.get("CustomerRef"):
        raise fault.missing("CustomerRef")
    customer = change.referred("Customer", request["CustomerRef"])
    if not customer["Active"]:
        raise fault.not_found()
    if entity == "RefundReceipt" and not request.get("DepositToAccountRef"):
        raise fault.missing("DepositToAccountRef")
    asked = request if request.get("CurrencyRef") else {**request, "CurrencyRef": customer["CurrencyRef"]}
    currency = currency_of(change, asked, customer)
    day = str(request.get("TxnDate") or change.books.today().isoformat())
    check_open(change, day)
    totals = add_up(change, request, currency, bool(customer.get("Taxable")))
    doc: Document = {key: value for key, value in request.items() if key not in _COMPUTED and value not in (None, "")}
    doc["TxnDate"] = day
    doc["CurrencyRef"] = currency_reference(currency)
    doc["CustomerRef"] = {"value": customer["Id"], "name": customer["DisplayName"]}
    doc["DocNumber"] = _number(change, entity, request, "", allow_duplicate=allow_duplicate)
    doc["LinkedTxn"] = []
    for key in ("BillAddr", "ShipAddr"):
        if key not in doc and key in customer:
            doc[key] = customer[key]
    if "BillEmail" not in doc and "PrimaryEmailAddr" in customer:
        doc["BillEmail"] = customer["PrimaryEmailAddr"]
    if currency != HOME_CURRENCY:
        doc["ExchangeRate"] = rate_of(request, currency)
    doc.setdefault("PrintStatus", "NeedToPrint")
    doc.setdefault("EmailStatus", "NotSet")
    doc["ApplyTaxAfterDiscount"] = False
    _total_up(entity, doc, totals, currency, applied=0)
    if entity == "Invoice":
        for name in ("IPNPayment", "OnlinePayment", "OnlineCreditCardPayment", "OnlineACHPayment"):
            doc.setdefault(f"Allow{name}", False)
        doc.setdefault("DueDate", (date.fromisoformat(day) + timedelta(days=30)).isoformat())
    if entity == "Estimate":
        doc.setdefault("TxnStatus", "Pending")
    return doc


def update(change: Change, entity: str, request: Document) -> Document:
    """A sparse or full edit; Fault 5010 for an old SyncToken."""
    doc = present(change, entity, request)
    currency = doc["CurrencyRef"]["value"]
    check_open(change, doc["TxnDate"], str(request.get("TxnDate") or doc["TxnDate"]))
    _check_edit(change, entity, request, doc)
    sparse = request.get("sparse") is True
    if not sparse:
        for name in ("CustomerRef", "Line"):
            if not request.get(name):
                raise fault.missing(name)
    edited = dict(doc) if sparse else {k: v for k, v in doc.items() if k in _COMPUTED | _KEPT_BY_FULL_UPDATE}
    for key, value in request.items():
        if key in _COMPUTED:
            continue
        if value in (None, ""):
            edited.pop(key, None)
        else:
            edited[key] = value
    number_before = doc.get("DocNumber", "")
    if request.get("DocNumber", number_before) != number_before:
        edited["DocNumber"] = _number(change, entity, request, doc["Id"])
    edited["CustomerRef"] = doc["CustomerRef"]
    edited["CurrencyRef"] = doc["CurrencyRef"]
    before = minor("TotalAmt", doc["TotalAmt"], currency)
    if "Line" in request or "TxnTaxDetail" in request:
        customer = change.get("Customer", doc["CustomerRef"]["value"])
        applied = before - open_amount(entity, doc)
        tax = {"TxnTaxDetail": request.get("TxnTaxDetail")}
        totals = add_up(change, {**edited, **tax}, currency, bool(customer.get("Taxable")))
        if totals.total < applied:
            raise fault.business("The amount is less than what has already been paid.")
        _total_up(entity, edited, totals, currency, applied)
    after = minor("TotalAmt", edited["TotalAmt"], currency)
    edited["sparse"] = False
    done = change.update(entity, edited)
    adjust_customer(change, doc["CustomerRef"]["value"], _SIGN.get(entity, 0) * (after - before), currency)
    return done


def void(change: Change, entity: str, request: Document) -> Document:
    """The form stays and is worth nothing; payments that stood on it become credit of the customer."""
    doc = present(change, entity, request)
    check_open(change, doc["TxnDate"])
    currency = doc["CurrencyRef"]["value"]
    total = minor("TotalAmt", doc["TotalAmt"], currency)
    release(change, entity, doc)
    doc["PrivateNote"] = voided_note(doc.get("PrivateNote"))
    doc["LinkedTxn"] = []
    doc["Line"] = emptied(doc["Line"])
    doc["TxnTaxDetail"] = {"TotalTax": 0}
    doc["TotalAmt"] = 0
    if currency != HOME_CURRENCY:
        doc["HomeTotalAmt"] = 0
    set_open(entity, doc, 0, currency)
    done = change.update(entity, doc, "Void")
    adjust_customer(change, doc["CustomerRef"]["value"], -_SIGN.get(entity, 0) * total, currency)
    return done


def delete(change: Change, entity: str, request: Document) -> Document:
    """The form goes; only a stub stays for change data capture."""
    doc = present(change, entity, request)
    check_open(change, doc["TxnDate"])
    currency = doc["CurrencyRef"]["value"]
    total = minor("TotalAmt", doc["TotalAmt"], currency)
    release(change, entity, doc)
    stub = change.delete(entity, doc)
    adjust_customer(change, doc["CustomerRef"]["value"], -_SIGN.get(entity, 0) * total, currency)
    return stub


def send(change: Change, entity: str, id: str, address: str) -> Document:
    """Mark a form as e-mailed; Fault 6000 when there is no address to send to."""
    doc = change.get(entity, id)
    if address:
        doc["BillEmail"] = {"Address": address}
    if not doc.get("BillEmail", {}).get("Address"):
        raise fault.business("An e-mail address is needed to send this form.")
    doc["EmailStatus"] = "EmailSent"
    doc["DeliveryInfo"] = {"DeliveryType": "Email", "DeliveryTime": change.books.stamp()}
    return change.update(entity, doc, "Emailed")


def open_amount(entity: str, doc: Document) -> int:
    """What is still due on an invoice or left on a credit memo, in minor units; nothing for other forms."""
    currency = doc["CurrencyRef"]["value"]
    name = {"Invoice": "Balance", "CreditMemo": "RemainingCredit"}.get(entity)
    return minor(name, doc.get(name, 0), currency) if name else minor("TotalAmt", doc["TotalAmt"], currency)


def set_open(entity: str, doc: Document, amount: int, currency: str) -> None:
    """Write what is still due or left."""
    if entity in ("Invoice", "CreditMemo"):
        set_balance(doc, amount, currency)
    if entity == "CreditMemo":
        doc["RemainingCredit"] = number(amount, currency)


def _total_up(entity: str, doc: Document, totals: Totals, currency: str, applied: int) -> None:
    doc["Line"] = totals.lines
    doc["TxnTaxDetail"] = totals.tax_detail
    doc["TotalAmt"] = number(totals.total, currency)
    if currency != HOME_CURRENCY:
        home = converted(totals.total, currency, rate_of(doc, currency), HOME_CURRENCY)
        doc["HomeTotalAmt"] = number(home, HOME_CURRENCY)
    set_open(entity, doc, totals.total - applied, currency)


def _check_edit(change: Change, entity: str, request: Document, doc: Document) -> None:
    customer = request.get("CustomerRef")
    if customer and str(customer.get("value")) != doc["CustomerRef"]["value"]:
        change.referred("Customer", customer)
        raise fault.business("The customer of a form cannot be changed here.")
    currency = request.get("CurrencyRef")
    if currency and currency.get("value") != doc["CurrencyRef"]["value"]:
        raise fault.business("The currency of a form cannot be changed.")
    status = request.get("TxnStatus")
    if entity == "Estimate" and status is not None and status not in _ALLOWED_STATUS:
        raise fault.business(f"{status} is no status of an estimate.")
    if request.get("EmailStatus") == "NeedToSend" and not (request.get("BillEmail") or doc.get("BillEmail")):
        raise fault.business("BillEmail is needed when EmailStatus is NeedToSend.")


def _number(change: Change, entity: str, request: Document, own_id: str, *, allow_duplicate: bool = False) -> str:
    """The number sent, if free; the next one when none was sent."""
    sent = request.get("DocNumber")
    if sent:
        if not allow_duplicate:
            for row in change.books.rows(entity):
                if row.doc.get("DocNumber") == sent and row.doc["Id"] != own_id:
                    raise fault.duplicate_number(sent, entity, row.doc["Id"])
        return str(sent)
    taken = {row.doc.get("DocNumber") for row in change.books.rows(entity)}
    while True:
        number_text = str(1000 + change.next_number(FIRST_NUMBER.get(entity, "number")))
        if number_text not in taken:
            return number_text
