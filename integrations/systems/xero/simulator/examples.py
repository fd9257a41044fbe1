"""Loads the vendor's own example answers (its OpenAPI document) as a further organisation, to be read back.

The examples contradict each other in places, so they are kept as they are: amounts are taken over, not worked out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connector.domain.money import decimal_to_minor
from integrations.simulator.store import Document, from_json, to_json
from integrations.systems.xero.simulator import books as kinds
from integrations.systems.xero.simulator.books import ORGANISATIONS, Books
from integrations.systems.xero.simulator.seed import steady_id

_DATE = re.compile(r"/Date\((-?\d+)", re.ASCII)
NAME = "Vendor's examples (NZ)"
_CURRENCIES = {"NZD": "1", "AUD": "0.93", "USD": "0.6", "GBP": "0.5", "EUR": "0.55"}


def examples_tenant() -> str:
    """The organisation the examples go into."""
    return steady_id(f"organisation/{NAME}")


def load_examples(books: Books, spec: dict[str, Any]) -> dict[str, int]:
    """Take over the list examples of an OpenAPI document; returns how many documents of each kind were loaded.

    Loading twice changes nothing. Raises ValueError when the document holds no examples.
    """
    exact = from_json(to_json(spec))
    loaded: dict[str, int] = {}
    with books.transaction():
        tenant = _organisation(books)
        for path, name, kind, read in _READERS:
            for example in _examples(exact, path, name):
                doc = read(example)
                doc.setdefault("updated", _moment(example.get("UpdatedDateUTC")))
                doc.setdefault("created", doc["updated"])
                books.put(f"{kind}:{tenant}", doc["id"], doc)
                loaded[kind] = loaded.get(kind, 0) + 1
                _put_contact(books, tenant, example.get("Contact"))
        if not loaded:
            raise ValueError("no examples were found; send the vendor's OpenAPI document as JSON")
    return loaded


def _examples(spec: dict[str, Any], path: str, name: str) -> Iterator[dict[str, Any]]:
    operation = spec.get("paths", {}).get(path, {}).get("get", {})
    content = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
    found = content.get("example", {})
    yield from (item for item in found.get(name, []) if isinstance(item, dict))


def _organisation(books: Books) -> str:
    tenant = examples_tenant()
    if books.store.get(ORGANISATIONS, tenant) is None:
        profile: Document = {
            "id": tenant,
            "name": NAME,
            "short_code": "!eX4mP",
            "base_currency": "NZD",
            "country": "NZ",
            "version": "NZ",
            "timezone": "NEWZEALANDSTANDARDTIME",
            "address": [],
            "tax_rates": {"NONE": "0", "OUTPUT2": "15", "INPUT2": "15"},
            "currencies": _CURRENCIES,
            "period_lock": None,
            "year_lock": None,
            "created": _moment(None),
        }
        books.put(ORGANISATIONS, tenant, profile)
        theme: Document = {"id": steady_id(f"{tenant}/theme"), "name": "Standard", "sort": 9, "service": None}
        books.put(f"{kinds.THEME}:{tenant}", theme["id"], {**theme, "created": _moment(None), "updated": _moment(None)})
    return tenant


def _put_contact(books: Books, tenant: str, sent: Any) -> None:
    place = f"{kinds.CONTACT}:{tenant}"
    if isinstance(sent, dict) and sent.get("ContactID") and books.store.get(place, sent["ContactID"]) is None:
        doc = _contact(sent)
        books.put(place, doc["id"], {**doc, "updated": _moment(None), "created": _moment(None)})


def _contact(sent: dict[str, Any]) -> Document:
    address: dict[str, Any] = next(
        (item for item in sent.get("Addresses", []) if item.get("AddressType") == "POBOX"), {}
    )
    phone: dict[str, Any] = next((item for item in sent.get("Phones", []) if item.get("PhoneType") == "DEFAULT"), {})
    return {
        "id": sent["ContactID"],
        "name": sent.get("Name", ""),
        "first_name": sent.get("FirstName", ""),
        "last_name": sent.get("LastName", ""),
        "email": sent.get("EmailAddress", ""),
        "number": sent.get("ContactNumber", ""),
        "company_number": sent.get("CompanyNumber", ""),
        "status": sent.get("ContactStatus", "ACTIVE"),
        "phone": phone.get("PhoneNumber", ""),
        "persons": [],
        "address": {
            "line1": address.get("AddressLine1", ""),
            "city": address.get("City", ""),
            "region": address.get("Region", ""),
            "postal_code": address.get("PostalCode", ""),
            "country": address.get("Country", ""),
        },
    }


def _named(items: list[dict[str, Any]], field: str, value: str) -> dict[str, Any]:
    return next((item for item in items if item.get(field) == value), {})


def _invoice(sent: dict[str, Any]) -> Document:
    currency = sent["CurrencyCode"]
    return {
        **_document(sent, "InvoiceID"),
        "number": sent["InvoiceNumber"],
        "due": _day(sent["DueDate"]) if sent.get("DueDate") else None,
        "sent": sent.get("SentToContact", False),
        "payments": [_held_payment(payment, currency) for payment in sent.get("Payments", [])],
        "allocations": [],
        "amount_due": _minor(sent["AmountDue"], currency),
        "amount_paid": _minor(sent["AmountPaid"], currency),
        "amount_credited": _minor(sent.get("AmountCredited", 0), currency),
        "repeating": sent.get("RepeatingInvoiceID"),
        "fully_paid_on": _day(sent["FullyPaidOnDate"]) if sent.get("FullyPaidOnDate") else None,
    }


def _credit(kind: str, id_name: str) -> Callable[[dict[str, Any]], Document]:
    def read(sent: dict[str, Any]) -> Document:
        currency = sent["CurrencyCode"]
        return {
            **_document(sent, id_name),
            "kind": kind,
            "number": sent.get("CreditNoteNumber", ""),
            "sent": False,
            "remaining": _minor(sent["RemainingCredit"], currency),
            "allocations": [],
            "payments": [_held_payment(payment, currency) for payment in sent.get("Payments", [])],
        }

    return read


def _document(sent: dict[str, Any], id_name: str) -> Document:
    """What invoices and credits share."""
    currency = sent["CurrencyCode"]
    return {
        "id": sent[id_name],
        "type": sent["Type"],
        "contact": sent["Contact"]["ContactID"],
        "date": _day(sent["Date"]),
        "status": sent["Status"],
        "amount_types": sent["LineAmountTypes"],
        "reference": sent.get("Reference", ""),
        "theme": steady_id(f"{examples_tenant()}/theme"),
        "currency": currency,
        "rate": str(sent.get("CurrencyRate", 1)),
        "lines": [],
        "subtotal": _minor(sent["SubTotal"], currency),
        "tax": _minor(sent["TotalTax"], currency),
        "total": _minor(sent["Total"], currency),
    }


def _held_payment(sent: dict[str, Any], currency: str) -> Document:
    return {
        "id": sent["PaymentID"],
        "date": _day(sent["Date"]),
        "amount": _minor(sent["Amount"], currency),
        "reference": sent.get("Reference", ""),
        "rate": str(sent.get("CurrencyRate", 1)),
    }


def _payment(sent: dict[str, Any]) -> Document:
    target, currency = sent["Invoice"], sent["Invoice"]["CurrencyCode"]
    return {
        "id": sent["PaymentID"],
        "target_kind": kinds.INVOICE if target["Type"] == "ACCREC" else kinds.CREDIT_NOTE,
        "target": target["InvoiceID"],
        "target_number": target["InvoiceNumber"],
        "contact": target["Contact"]["ContactID"],
        "account": sent["Account"]["AccountID"],
        "date": _day(sent["Date"]),
        "amount": _minor(sent["Amount"], currency),
        "currency": currency,
        "rate": str(sent["CurrencyRate"]),
        "bank_currency": currency,
        "bank_amount": _minor(sent["BankAmount"], currency),
        "reference": sent.get("Reference", ""),
        "status": sent["Status"],
        "type": sent["PaymentType"],
        "reconciled": sent["IsReconciled"],
        "batch": sent.get("BatchPaymentID"),
    }


def _theme(sent: dict[str, Any]) -> Document:
    return {"id": sent["BrandingThemeID"], "name": sent["Name"], "sort": sent["SortOrder"], "service": None}


def _account(sent: dict[str, Any]) -> Document:
    return {
        "id": sent["AccountID"],
        "name": sent["Name"],
        "code": sent.get("Code", ""),
        "type": sent["Type"],
        "payments_enabled": sent["EnablePaymentsToAccount"],
        "status": sent.get("Status", "ACTIVE"),
        "currency": sent.get("CurrencyCode", "NZD"),
        "number": sent.get("BankAccountNumber", ""),
    }


def _minor(value: object, currency: str) -> int:
    return decimal_to_minor(Decimal(str(value)), currency)


def _moment(value: Any) -> int:
    found = _DATE.match(value) if isinstance(value, str) else None
    return int(found[1]) if found else int(datetime(2019, 1, 1, tzinfo=UTC).timestamp() * 1000)


def _day(value: Any) -> str:
    return datetime.fromtimestamp(_moment(value) / 1000, UTC).date().isoformat()


_READERS: tuple[tuple[str, str, str, Callable[[dict[str, Any]], Document]], ...] = (
    ("/Contacts", "Contacts", kinds.CONTACT, _contact),
    ("/Accounts", "Accounts", kinds.ACCOUNT, _account),
    ("/BrandingThemes", "BrandingThemes", kinds.THEME, _theme),
    ("/Invoices", "Invoices", kinds.INVOICE, _invoice),
    ("/CreditNotes", "CreditNotes", kinds.CREDIT_NOTE, _credit(kinds.CREDIT_NOTE, "CreditNoteID")),
    ("/Overpayments", "Overpayments", kinds.OVERPAYMENT, _credit(kinds.OVERPAYMENT, "OverpaymentID")),
    ("/Prepayments", "Prepayments", kinds.PREPAYMENT, _credit(kinds.PREPAYMENT, "PrepaymentID")),
    ("/Payments", "Payments", kinds.PAYMENT, _payment),
)
