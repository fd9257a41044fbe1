"""Settings over the API: the organisation, accounts, currencies, branding themes, payment services; and history."""

from __future__ import annotations

from typing import Any

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import ACCOUNT, HISTORY, PAYMENT_SERVICE, THEME, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.listing import moment, select
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import day_stamp, stamp

_CLASSES = {"BANK": "ASSET", "CURRENT": "ASSET", "CURRLIAB": "LIABILITY", "EXPENSE": "EXPENSE", "REVENUE": "REVENUE"}


def read_organisation(call: Call) -> dict[str, Any]:
    """GET /Organisation."""
    profile = call.org.profile
    shown: dict[str, Any] = {
        "OrganisationID": call.org.tenant,
        "Name": profile["name"],
        "LegalName": profile["name"],
        "PaysTax": True,
        "Version": profile["version"],
        "OrganisationType": "COMPANY",
        "BaseCurrency": profile["base_currency"],
        "CountryCode": profile["country"],
        "IsDemoCompany": False,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 12,
        "SalesTaxBasis": "ACCRUAL",
        "SalesTaxPeriod": "QUARTERLY1",
        "DefaultSalesTax": "Tax Exclusive",
        "DefaultPurchasesTax": "Tax Exclusive",
        "CreatedDateUTC": stamp(profile["created"]),
        "OrganisationEntityType": "COMPANY",
        "Timezone": profile["timezone"],
        "ShortCode": profile["short_code"],
        "Class": "STANDARD",
        "Edition": "BUSINESS",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }
    for wire, held in (("PeriodLockDate", "period_lock"), ("EndOfYearLockDate", "year_lock")):
        if profile.get(held):
            shown[wire] = day_stamp(profile[held])
    return {"Organisations": [shown]}


def _account_row(doc: Document) -> Row:
    return {
        "AccountID": Guid(doc["id"]),
        "Code": doc.get("code") or None,
        "Name": doc["name"],
        "Type": doc["type"],
        "Status": doc["status"],
        "EnablePaymentsToAccount": bool(doc["payments_enabled"]),
        "UpdatedDateUTC": moment(doc["updated"]),
    }


def list_accounts(call: Call) -> dict[str, Any]:
    """GET /Accounts, never paged."""
    found = select(call, call.org.all(ACCOUNT), "Account", _account_row)
    return {"Accounts": [_show_account(doc) for doc in found.documents]}


def read_account(call: Call, account_id: str) -> dict[str, Any]:
    """GET /Accounts/{id}."""
    return {"Accounts": [_show_account(call.org.require(ACCOUNT, account_id))]}


def _show_account(doc: Document) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "AccountID": doc["id"],
        "Name": doc["name"],
        "Status": doc["status"],
        "Type": doc["type"],
        "TaxType": "NONE",
        "Class": _CLASSES[doc["type"]],
        "EnablePaymentsToAccount": doc["payments_enabled"],
        "ShowInExpenseClaims": False,
        "HasAttachments": False,
        "AddToWatchlist": False,
        "UpdatedDateUTC": stamp(doc["updated"]),
    }
    if doc.get("code"):
        shown["Code"] = doc["code"]
    if doc["type"] == "BANK":
        shown.update(BankAccountNumber=doc["number"], BankAccountType="BANK", CurrencyCode=doc["currency"])
    return shown


def list_currencies(call: Call) -> dict[str, Any]:
    """GET /Currencies: those the organisation is subscribed to."""
    return {"Currencies": [{"Code": code, "Description": code} for code in sorted(call.org.profile["currencies"])]}


def list_themes(call: Call) -> dict[str, Any]:
    """GET /BrandingThemes. Which payment service a theme carries is not among its fields."""
    themes = sorted(call.org.all(THEME), key=lambda doc: int(doc["sort"]))
    return {"BrandingThemes": [_show_theme(doc) for doc in themes]}


def read_theme(call: Call, theme_id: str) -> dict[str, Any]:
    """GET /BrandingThemes/{id}."""
    return {"BrandingThemes": [_show_theme(call.org.require(THEME, theme_id))]}


def _show_theme(doc: Document) -> dict[str, Any]:
    return {
        "BrandingThemeID": doc["id"],
        "Name": doc["name"],
        "Type": "INVOICE",
        "SortOrder": doc["sort"],
        "CreatedDateUTC": stamp(doc["created"]),
    }


def list_services(call: Call) -> dict[str, Any]:
    """GET /PaymentServices (partners only)."""
    return {"PaymentServices": [show_service(doc) for doc in call.org.all(PAYMENT_SERVICE)]}


def create_services(call: Call) -> dict[str, Any]:
    """PUT /PaymentServices (partners only)."""

    def write(sent: dict[str, Any]) -> Document:
        return add_service(
            call.org,
            str(sent.get("PaymentServiceName") or ""),
            str(sent.get("PaymentServiceUrl") or ""),
            str(sent.get("PayNowText") or ""),
        )

    return {"PaymentServices": call.each(call.elements("PaymentServices"), write, show_service)}


def show_service(doc: Document) -> dict[str, Any]:
    """A payment service as answers carry it."""
    return {
        "PaymentServiceID": doc["id"],
        "PaymentServiceName": doc["name"],
        "PaymentServiceUrl": doc["url"],
        "PaymentServiceType": "Custom",
        "PayNowText": doc["pay_now_text"],
    }


def add_service(org: Organisation, name: str, url: str, pay_now_text: str) -> Document:
    """A Custom payment URL, made by the API or by a person in the settings. Raises Refused."""
    if not name.strip() or len(name) > 50:
        raise Refused("Give the payment service a name of at most 50 characters")
    if not url.startswith(("https://", "http://")) or len(url) > 2000:
        raise Refused("The payment URL must start with https:// and be at most 2,000 characters long")
    if any(existing["name"] == name.strip() for existing in org.all(PAYMENT_SERVICE)):
        raise Refused("A payment service with this name already exists")
    text = pay_now_text.strip() or "Pay now"
    return org.save(PAYMENT_SERVICE, {"id": new_id(), "name": name.strip(), "url": url, "pay_now_text": text})


def theme_services(call: Call, theme_id: str) -> dict[str, Any]:
    """GET /BrandingThemes/{id}/PaymentServices (partners only)."""
    theme = call.org.require(THEME, theme_id)
    service = call.org.get(PAYMENT_SERVICE, theme.get("service") or "")
    return {"PaymentServices": [show_service(service)] if service else []}


def put_service_on_theme(call: Call, theme_id: str) -> dict[str, Any]:
    """POST /BrandingThemes/{id}/PaymentServices (partners only)."""
    theme = call.org.require(THEME, theme_id)

    def write(sent: dict[str, Any]) -> Document:
        service = call.org.get(PAYMENT_SERVICE, str(sent.get("PaymentServiceID") or ""))
        if service is None:
            raise Refused("Payment service could not be found")
        theme["service"] = service["id"]
        call.org.save(THEME, theme)
        return service

    return {"PaymentServices": call.each(call.elements("PaymentServices"), write, show_service)}


def read_history(call: Call, kind: str, document_id: str) -> dict[str, Any]:
    """GET …/{id}/History, newest first."""
    call.org.require(kind, document_id)
    entries = [entry for entry in call.org.all(HISTORY) if entry["of"] == document_id.lower()]
    return {"HistoryRecords": [_show_entry(entry) for entry in reversed(entries)]}


def add_history(call: Call, kind: str, document_id: str) -> dict[str, Any]:
    """PUT …/{id}/History: a note of at most 2,500 characters that stays for good."""
    doc = call.org.require(kind, document_id)

    def write(sent: dict[str, Any]) -> Document:
        details = str(sent.get("Details") or "")
        if not details or len(details) > 2500:
            raise Refused("Details must be between 1 and 2500 characters")
        call.org.note(kind, doc["id"], "Note", details, user=call.config.app_name)
        return call.org.all(HISTORY)[-1]

    return {"HistoryRecords": call.each(call.elements("HistoryRecords"), write, _show_entry)}


def _show_entry(entry: Document) -> dict[str, Any]:
    return {
        "Changes": entry["changes"],
        "DateUTCString": moment(entry["at"]).strftime("%Y-%m-%dT%H:%M:%S"),
        "DateUTC": stamp(entry["at"]),
        "User": entry["user"],
        "Details": entry["details"],
    }
