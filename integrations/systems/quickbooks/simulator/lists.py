"""Customers, accounts, recurring profiles, preferences and company data: what is not a transaction."""

from __future__ import annotations

from integrations.systems.quickbooks.simulator import fault, sales
from integrations.systems.quickbooks.simulator.books import HOME_CURRENCY, Change, Document
from integrations.systems.quickbooks.simulator.standing import currency_reference, present

_COMPUTED = {
    "Customer": frozenset({"Balance", "BalanceWithJobs", "FullyQualifiedName", "Level", "Job", "CurrencyRef"}),
    "Account": frozenset({"CurrentBalance", "CurrentBalanceWithSubAccounts", "FullyQualifiedName", "CurrencyRef"}),
}
_ALWAYS_COMPUTED = frozenset({"Id", "SyncToken", "MetaData", "domain", "sparse", "time"})
_CLASSIFICATION = {
    "Bank": "Asset",
    "Other Current Asset": "Asset",
    "Accounts Receivable": "Asset",
    "Accounts Payable": "Liability",
    "Credit Card": "Liability",
    "Income": "Revenue",
    "Expense": "Expense",
}
_TEMPLATES = ("Invoice", "Estimate", "CreditMemo")


def create_customer(change: Change, request: Document) -> Document:
    """A new customer; Fault 6240 when the name is taken."""
    name = request.get("DisplayName") or " ".join(
        str(request[key]) for key in ("GivenName", "FamilyName") if request.get(key)
    )
    if not name:
        raise fault.missing("DisplayName")
    _check_name(change, "Customer", "DisplayName", str(name), "")
    parent = change.referred("Customer", request["ParentRef"]) if request.get("ParentRef") else None
    currency = str((request.get("CurrencyRef") or {"value": HOME_CURRENCY})["value"])
    doc: Document = {
        "Taxable": True,
        "Job": parent is not None,
        "BillWithParent": False,
        "Balance": 0,
        "BalanceWithJobs": 0,
        "CurrencyRef": currency_reference(currency),
        "PreferredDeliveryMethod": "Print",
        **_sent("Customer", request),
        "DisplayName": name,
        "FullyQualifiedName": f"{parent['FullyQualifiedName']}:{name}" if parent else name,
        "PrintOnCheckName": request.get("PrintOnCheckName") or name,
        "Active": True,
    }
    if parent is not None:
        doc["ParentRef"] = {"value": parent["Id"]}
        doc["Level"] = int(parent.get("Level", 0)) + 1
    return change.create("Customer", doc)


def create_account(change: Change, request: Document) -> Document:
    """A new account of the chart."""
    if not request.get("Name"):
        raise fault.missing("Name")
    if request.get("AccountType") not in _CLASSIFICATION:
        raise fault.missing("AccountType")
    _check_name(change, "Account", "Name", str(request["Name"]), "")
    doc: Document = {
        "SubAccount": False,
        "Classification": _CLASSIFICATION[request["AccountType"]],
        "CurrentBalance": 0,
        "CurrentBalanceWithSubAccounts": 0,
        **_sent("Account", request),
        "CurrencyRef": currency_reference(str((request.get("CurrencyRef") or {"value": HOME_CURRENCY})["value"])),
        "FullyQualifiedName": request["Name"],
        "Active": True,
    }
    return change.create("Account", doc)


def update(change: Change, entity: str, request: Document) -> Document:
    """A sparse or full edit of a customer or account."""
    doc = present(change, entity, request)
    key = "DisplayName" if entity == "Customer" else "Name"
    computed = _ALWAYS_COMPUTED | _COMPUTED[entity]
    sparse = request.get("sparse") is True
    if not sparse and not request.get(key):
        raise fault.missing(key)
    edited = dict(doc) if sparse else {name: value for name, value in doc.items() if name in computed | {"Active"}}
    for name, value in request.items():
        if name in computed:
            continue
        if value in (None, ""):
            edited.pop(name, None)
        else:
            edited[name] = value
    if edited[key] != doc[key]:
        _check_name(change, entity, key, str(edited[key]), doc["Id"])
        prefix = str(doc["FullyQualifiedName"]).rpartition(":")[0]
        edited["FullyQualifiedName"] = f"{prefix}:{edited[key]}" if prefix else edited[key]
    if entity == "Customer":
        edited.setdefault("PrintOnCheckName", edited[key])
        if edited.get("Active") is False and doc.get("Balance"):
            raise fault.business("A customer with an open balance cannot be made inactive.")
    edited["sparse"] = False
    return change.update(entity, edited)


def update_settings(change: Change, entity: str, request: Document) -> Document:
    """An edit of Preferences or CompanyInfo: groups are merged one level deep."""
    doc = present(change, entity, request)
    for name, value in request.items():
        if name in _ALWAYS_COMPUTED:
            continue
        before = doc.get(name)
        doc[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return change.update(entity, doc)


def create_recurring(change: Change, request: Document) -> Document:
    """A new recurring profile: one sales form with RecurringInfo, never counted into a balance."""
    template, form = inner(request)
    if template not in _TEMPLATES:
        raise fault.business(f"Recurring profiles of {template} are not kept here.")
    if not (form.get("RecurringInfo") or {}).get("Name"):
        raise fault.missing("RecurringInfo.Name")
    built = sales.build(change, template, form, allow_duplicate=True)
    for name in ("DocNumber", "TxnDate", "DueDate", "Balance", "HomeBalance"):
        built.pop(name, None)
    now = change.books.stamp()
    built["RecurringInfo"] = {"RecurType": "Automated", "Active": True, **form["RecurringInfo"]}
    built["Id"] = change.next_id("Invoice")
    built["SyncToken"] = "0"
    built["MetaData"] = {"CreateTime": now, "LastUpdatedTime": now}
    wrapped = {template: {"domain": "QBO", "sparse": False, **built}}
    change.put_wrapped("RecurringTransaction", built["Id"], wrapped, "Create")
    return wrapped


def edit_recurring(change: Change, request: Document, *, delete: bool) -> Document:
    """Edit (sparse) or delete a recurring profile; the SyncToken of the form inside is checked."""
    template, form = inner(request)
    stored = change.get("RecurringTransaction", str(form.get("Id", "")))
    if template not in stored:
        raise fault.not_found()
    kept = stored[template]
    if str(form.get("SyncToken")) != kept["SyncToken"]:
        raise fault.stale()
    if delete:
        return {template: change.delete("RecurringTransaction", kept)}
    for name, value in form.items():
        if name not in _ALWAYS_COMPUTED:
            kept[name] = {**kept[name], **value} if name == "RecurringInfo" else value
    kept["SyncToken"] = str(int(kept["SyncToken"]) + 1)
    kept["MetaData"] = {**kept["MetaData"], "LastUpdatedTime": change.books.stamp()}
    change.put_wrapped("RecurringTransaction", kept["Id"], {template: kept}, "Update")
    return {template: kept}


def inner(request: Document) -> tuple[str, Document]:
    """The kind and the form inside a recurring profile; Fault 2020 when there is none."""
    for name, value in request.items():
        if name in _TEMPLATES and isinstance(value, dict):
            return name, value
    raise fault.missing("Invoice")


def _sent(entity: str, request: Document) -> Document:
    computed = _ALWAYS_COMPUTED | _COMPUTED[entity]
    return {name: value for name, value in request.items() if name not in computed and value not in (None, "")}


def _check_name(change: Change, entity: str, key: str, name: str, own_id: str) -> None:
    for row in change.books.rows(entity):
        if row.doc["Id"] != own_id and str(row.doc.get(key, "")).casefold() == name.casefold():
            raise fault.duplicate_name()
