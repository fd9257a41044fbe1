"""Links between payments and the forms they pay: laid, taken away, and kept in step on both sides."""

from __future__ import annotations

from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.amounts import minor, number
from integrations.systems.quickbooks.simulator.books import Change, Document
from integrations.systems.quickbooks.simulator.standing import set_balance

LINKABLE = ("Invoice", "CreditMemo")


def lay(change: Change, payment: Document) -> int:
    """Let a payment's lines lower what is due; returns the money used up, in minor units.

    Fault 6000 when a form does not exist, belongs to another customer or currency, or has less open than the line says.
    """
    currency = payment["CurrencyRef"]["value"]
    used = 0
    for line, entity, id in _lines(payment):
        amount = minor("Amount", line.get("Amount", 0), currency)
        if amount <= 0:
            raise fault.business("The amount of a line must be more than zero.")
        form = change.find(entity, id)
        if form is None:
            raise fault.business(f"The entity {entity} {id} that you are trying to link does not exist. {entity} {id}")
        if form["CustomerRef"]["value"] != payment["CustomerRef"]["value"]:
            raise fault.business(f"The {entity} {id} you are trying to link belongs to a different customer.")
        if form["CurrencyRef"]["value"] != currency:
            raise fault.business("The currency of the transaction is invalid for customer / vendor / account.")
        left = _open(form, entity, currency) - amount
        if left < 0:
            raise fault.business(f"The amount applied is more than the open balance of {entity} {id}.")
        _write(change, form, entity, left, currency)
        links = [link for link in form.get("LinkedTxn", []) if link["TxnId"] != payment["Id"]]
        form["LinkedTxn"] = [*links, {"TxnId": payment["Id"], "TxnType": "Payment"}]
        change.touch(entity, form, "Update")
        used += amount if entity == "Invoice" else -amount
    return used


def lift(change: Change, payment: Document) -> None:
    """Undo `lay`: everything the payment paid is due again."""
    currency = payment["CurrencyRef"]["value"]
    for line, entity, id in _lines(payment):
        form = change.find(entity, id)
        if form is None:
            continue
        left = _open(form, entity, currency) + minor("Amount", line["Amount"], currency)
        _write(change, form, entity, left, currency)
        form["LinkedTxn"] = [link for link in form.get("LinkedTxn", []) if link["TxnId"] != payment["Id"]]
        change.touch(entity, form, "Update")


def release(change: Change, entity: str, form: Document) -> None:
    """Take a form out of every payment: what had paid it becomes unapplied money of the same payment."""
    currency = form["CurrencyRef"]["value"]
    for link in form.get("LinkedTxn", []):
        payment = change.find("Payment", link["TxnId"]) if link.get("TxnType") == "Payment" else None
        if payment is None:
            continue
        unapplied = minor("UnappliedAmt", payment.get("UnappliedAmt", 0), currency)
        kept = []
        for line, linked, id in _lines(payment):
            if (linked, id) == (entity, form["Id"]):
                amount = minor("Amount", line["Amount"], currency)
                unapplied += amount if entity == "Invoice" else -amount
            else:
                kept.append(line)
        payment["Line"] = kept
        payment["UnappliedAmt"] = number(unapplied, currency)
        change.touch("Payment", payment, "Update")


def _lines(payment: Document) -> list[tuple[Document, str, str]]:
    found = []
    for line in payment.get("Line", []):
        links = line.get("LinkedTxn") or []
        if len(links) != 1:
            raise fault.business("A line of a payment is linked to exactly one transaction.")
        entity = str(links[0].get("TxnType", ""))
        if entity not in LINKABLE:
            raise fault.business(f"A payment cannot be linked to {entity or 'a transaction without TxnType'}.")
        found.append((line, entity, str(links[0].get("TxnId", ""))))
    return found


def _open(form: Document, entity: str, currency: str) -> int:
    name = "Balance" if entity == "Invoice" else "RemainingCredit"
    return minor(name, form.get(name, 0), currency)


def _write(change: Change, form: Document, entity: str, left: int, currency: str) -> None:
    set_balance(form, left, currency)
    if entity == "CreditMemo":
        form["RemainingCredit"] = number(left, currency)
