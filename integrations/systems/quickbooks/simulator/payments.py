"""Customer payments: applied to invoices and credit memos, edited as a whole, voided, deleted."""

from __future__ import annotations

from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.amounts import minor, number
from integrations.systems.quickbooks.simulator.books import HOME_CURRENCY, Change, Document
from integrations.systems.quickbooks.simulator.links import lay, lift
from integrations.systems.quickbooks.simulator.standing import (
    adjust_customer,
    check_open,
    currency_of,
    currency_reference,
    present,
    rate_of,
    voided_note,
)

UNDEPOSITED_FUNDS = "4"
_DEPOSITABLE = ("Bank", "Other Current Asset")
_COMPUTED = frozenset({"Id", "SyncToken", "MetaData", "domain", "sparse", "UnappliedAmt", "LinkedTxn", "time"})


def create(change: Change, request: Document) -> Document:
    """A new payment; the invoices it names owe less, the rest is the customer's credit."""
    for name in ("CustomerRef", "TotalAmt"):
        if request.get(name) is None:
            raise fault.missing(name)
    customer = change.referred("Customer", request["CustomerRef"])
    currency = currency_of(change, request, customer)
    doc: Document = {key: value for key, value in request.items() if key not in _COMPUTED and value not in (None, "")}
    doc["CustomerRef"] = {"value": customer["Id"], "name": customer["DisplayName"]}
    doc["CurrencyRef"] = currency_reference(currency)
    doc["TxnDate"] = str(request.get("TxnDate") or change.books.today().isoformat())
    check_open(change, doc["TxnDate"])
    if currency != HOME_CURRENCY:
        doc["ExchangeRate"] = rate_of(request, currency)
    doc["DepositToAccountRef"] = _deposit_account(change, request, currency)
    if request.get("PaymentMethodRef"):
        method = change.referred("PaymentMethod", request["PaymentMethodRef"])
        doc["PaymentMethodRef"] = {"value": method["Id"]}
    doc["ProcessPayment"] = False
    doc["LinkedTxn"] = []
    doc["TotalAmt"] = number(_total(request, currency), currency)
    doc["UnappliedAmt"] = doc["TotalAmt"]
    doc["Line"] = request.get("Line") or []
    made = change.create("Payment", doc)
    return _apply(change, made, currency)


def update(change: Change, request: Document) -> Document:
    """A sparse or full edit; lines are replaced as a whole, a full edit without lines unapplies everything."""
    doc = present(change, "Payment", request)
    currency = doc["CurrencyRef"]["value"]
    check_open(change, doc["TxnDate"], str(request.get("TxnDate") or doc["TxnDate"]))
    customer = request.get("CustomerRef")
    if customer and str(customer.get("value")) != doc["CustomerRef"]["value"]:
        raise fault.business("The customer of a payment cannot be changed here.")
    sparse = request.get("sparse") is True
    if not sparse and request.get("TotalAmt") is None:
        raise fault.missing("TotalAmt")
    before = minor("TotalAmt", doc["TotalAmt"], currency)
    lift(change, doc)
    kept = _COMPUTED | {"CurrencyRef", "CustomerRef", "TxnDate", "DepositToAccountRef", "ProcessPayment"}
    edited = dict(doc) if sparse else {key: value for key, value in doc.items() if key in kept}
    for key, value in request.items():
        if key not in _COMPUTED and key not in ("CurrencyRef", "CustomerRef"):
            edited[key] = value
    if "DepositToAccountRef" in request:
        edited["DepositToAccountRef"] = _deposit_account(change, request, currency)
    edited["TotalAmt"] = number(_total(edited, currency), currency)
    edited["Line"] = edited.get("Line") or []
    adjust_customer(change, doc["CustomerRef"]["value"], before, currency)
    edited["sparse"] = False
    return _apply(change, change.update("Payment", edited), currency)


def void(change: Change, request: Document) -> Document:
    """The payment stays, worth nothing; its invoices are due again. Fault 6000 while it sits in a bank deposit."""
    doc = present(change, "Payment", request)
    _take_back(change, doc)
    doc["PrivateNote"] = voided_note(doc.get("PrivateNote"))
    doc["Line"] = []
    doc["TotalAmt"] = doc["UnappliedAmt"] = 0
    return change.update("Payment", doc, "Void")


def delete(change: Change, request: Document) -> Document:
    """The payment goes; its invoices are due again. Fault 6000 while it sits in a bank deposit."""
    doc = present(change, "Payment", request)
    _take_back(change, doc)
    return change.delete("Payment", doc)


def deposit(change: Change, payment_id: str) -> Document:
    """Put a payment into a bank deposit, as a bookkeeper does on the bank's day; it cannot be undone by API then."""
    payment = change.get("Payment", payment_id)
    if any(link["TxnType"] == "Deposit" for link in payment["LinkedTxn"]):
        raise fault.business("The payment is deposited already.")
    link = {"TxnId": payment_id, "TxnType": "Payment"}
    account = change.referred("Account", {"value": "35"})
    made = change.create(
        "Deposit",
        {
            "DepositToAccountRef": {"value": account["Id"], "name": account["Name"]},
            "TxnDate": change.books.today().isoformat(),
            "CurrencyRef": payment["CurrencyRef"],
            "TotalAmt": payment["TotalAmt"],
            "Line": [
                {
                    "Id": "1",
                    "Amount": payment["TotalAmt"],
                    "LinkedTxn": [link],
                    "DetailType": "DepositLineDetail",
                    "DepositLineDetail": {},
                }
            ],
        },
    )
    payment["LinkedTxn"] = [*payment["LinkedTxn"], {"TxnId": made["Id"], "TxnType": "Deposit"}]
    change.touch("Payment", payment, "Update")
    return made


def _take_back(change: Change, doc: Document) -> None:
    check_open(change, doc["TxnDate"])
    if any(link.get("TxnType") == "Deposit" for link in doc.get("LinkedTxn", [])):
        raise fault.business("This payment has been deposited. Delete the deposit first.")
    currency = doc["CurrencyRef"]["value"]
    lift(change, doc)
    adjust_customer(change, doc["CustomerRef"]["value"], minor("TotalAmt", doc["TotalAmt"], currency), currency)


def _apply(change: Change, doc: Document, currency: str) -> Document:
    total = minor("TotalAmt", doc["TotalAmt"], currency)
    unapplied = total - lay(change, doc)
    if unapplied < 0:
        raise fault.business("The total of the lines is more than the amount of the payment.")
    doc["Line"] = [
        {**line, "Amount": number(minor("Amount", line["Amount"], currency), currency)} for line in doc["Line"]
    ]
    doc["UnappliedAmt"] = number(unapplied, currency)
    change.seed("Payment", doc)
    adjust_customer(change, doc["CustomerRef"]["value"], -total, currency)
    return doc


def _total(request: Document, currency: str) -> int:
    total = minor("TotalAmt", request["TotalAmt"], currency)
    if total < 0:
        raise fault.bad_number("TotalAmt", request["TotalAmt"])
    return total


def _deposit_account(change: Change, request: Document, currency: str) -> Document:
    reference = request.get("DepositToAccountRef") or {"value": UNDEPOSITED_FUNDS}
    account = change.referred("Account", reference)
    if not account["Active"]:
        raise fault.not_found()
    if account["AccountType"] not in _DEPOSITABLE:
        raise fault.business("You must choose a bank or other current asset account to deposit to.")
    if account["CurrencyRef"]["value"] not in (currency, HOME_CURRENCY):
        raise fault.business("The currency of the transaction is invalid for customer / vendor / account.")
    return {"value": account["Id"]}
