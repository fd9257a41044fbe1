"""Every call of the accounting API: method, path, the operation's name, the scope it needs, who answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from integrations.systems.xero.simulator import (
    bank_transactions,
    batch_payments,
    books,
    contacts,
    credits,
    invoice_changes,
    invoices,
    payments,
    quotes,
    settings_api,
)
from integrations.systems.xero.simulator.tokens import PARTNER_SCOPE

Handler = Callable[..., dict[str, Any] | Response]


@dataclass(frozen=True)
class Endpoint:
    """One call; `partner_only` ones exist for signed payment-service partners, `bare` answers have no envelope."""

    operation: str
    scope: str
    handler: Handler
    partner_only: bool = False
    bare: bool = False


_INVOICES, _PAYMENTS, _CONTACTS = "accounting.invoices", "accounting.payments", "accounting.contacts"
_SETTINGS, _BANK = "accounting.settings", "accounting.banktransactions"
_RULES: list[Rule] = []


def _add(method: str, path: str, operation: str, scope: str, handler: Handler, **options: bool) -> None:
    endpoint = Endpoint(operation, scope, handler, **options)
    _RULES.append(Rule(f"/{path}", methods=[method], endpoint=endpoint, strict_slashes=False))


def _collection(name: str, operation: str, scope: str, id: str, list_: Handler, read: Handler) -> None:
    _add("GET", name, f"{operation}.list", scope, list_)
    _add("GET", f"{name}/<{id}>", f"{operation}.read", scope, read)


def _history(name: str, kind: str, scope: str) -> None:
    path = f"{name}/<document_id>/History"
    _add("GET", path, "history.list", scope, _for_kind(settings_api.read_history, kind))
    _add("PUT", path, "history.create", scope, _for_kind(settings_api.add_history, kind))


def _for_kind(handler: Handler, kind: str) -> Handler:
    return lambda call, document_id: handler(call, kind, document_id)


def _for_sort(handler: Handler, sort: credits.Sort) -> Handler:
    return lambda call, **ids: handler(call, sort, **ids)


_collection("Invoices", "invoice", _INVOICES, "invoice_id", invoices.list_invoices, invoices.read_invoice)
_add("PUT", "Invoices", "invoice.create", _INVOICES, invoice_changes.save_invoices)
_add("POST", "Invoices", "invoice.update", _INVOICES, invoice_changes.save_invoices)
_add("POST", "Invoices/<invoice_id>", "invoice.update", _INVOICES, invoice_changes.save_invoices)
_add("GET", "Invoices/<invoice_id>/pdf", "invoice.pdf", _INVOICES, invoices.read_invoice_pdf)
_add("GET", "Invoices/<invoice_id>/OnlineInvoice", "invoice.online", _INVOICES, invoices.online_invoice)
_add("POST", "Invoices/<invoice_id>/Email", "invoice.email", _INVOICES, invoices.email_invoice)

_collection("Contacts", "contact", _CONTACTS, "contact_id", contacts.list_contacts, contacts.read_contact)
_add("PUT", "Contacts", "contact.create", _CONTACTS, contacts.save_contacts)
_add("POST", "Contacts", "contact.update", _CONTACTS, contacts.save_contacts)
_add("POST", "Contacts/<contact_id>", "contact.update", _CONTACTS, contacts.save_contacts)

for _sort, _operation, _scope in (
    (credits.CREDIT_NOTES, "credit_note", _INVOICES),
    (credits.OVERPAYMENTS, "overpayment", _PAYMENTS),
    (credits.PREPAYMENTS, "prepayment", _PAYMENTS),
):
    _collection(
        _sort.plural,
        _operation,
        _scope,
        "credit_id",
        _for_sort(credits.list_credits, _sort),
        _for_sort(credits.read_credit, _sort),
    )
    _allocations = f"{_sort.plural}/<credit_id>/Allocations"
    _add("PUT", _allocations, f"{_operation}.allocate", _scope, _for_sort(credits.allocate_credit, _sort))
    _undo = _for_sort(credits.take_back, _sort)
    _add("DELETE", f"{_allocations}/<allocation_id>", f"{_operation}.unallocate", _scope, _undo, bare=True)
_add("PUT", "CreditNotes", "credit_note.create", _INVOICES, credits.save_credit_notes)
_add("POST", "CreditNotes", "credit_note.update", _INVOICES, credits.save_credit_notes)
_add("POST", "CreditNotes/<credit_id>", "credit_note.update", _INVOICES, credits.save_credit_notes)

_collection("Payments", "payment", _PAYMENTS, "payment_id", payments.list_payments, payments.read_payment)
_add("PUT", "Payments", "payment.create", _PAYMENTS, payments.create_payments)
_add("POST", "Payments", "payment.create", _PAYMENTS, payments.create_payments)
_add("POST", "Payments/<payment_id>", "payment.delete", _PAYMENTS, payments.delete_payment)

_collection(
    "BatchPayments", "batch_payment", _PAYMENTS, "batch_id", batch_payments.list_batches, batch_payments.read_batch
)
_add("PUT", "BatchPayments", "batch_payment.create", _PAYMENTS, batch_payments.create_batches)
_add("POST", "BatchPayments", "batch_payment.save", _PAYMENTS, batch_payments.save_batches)
_add("POST", "BatchPayments/<batch_id>", "batch_payment.delete", _PAYMENTS, batch_payments.delete_batch)

_collection(
    "BankTransactions",
    "bank_transaction",
    _BANK,
    "transaction_id",
    bank_transactions.list_transactions,
    bank_transactions.read_transaction,
)
_add("PUT", "BankTransactions", "bank_transaction.create", _BANK, bank_transactions.create_transactions)
_add("POST", "BankTransactions", "bank_transaction.create", _BANK, bank_transactions.create_transactions)

_collection("Quotes", "quote", _INVOICES, "quote_id", quotes.list_quotes, quotes.read_quote)
_add("PUT", "Quotes", "quote.create", _INVOICES, quotes.save_quotes)
_add("POST", "Quotes", "quote.update", _INVOICES, quotes.save_quotes)
_add("POST", "Quotes/<quote_id>", "quote.update", _INVOICES, quotes.save_quotes)

_collection(
    "RepeatingInvoices", "repeating_invoice", _INVOICES, "repeating_id", quotes.list_repeating, quotes.read_repeating
)
_add("PUT", "RepeatingInvoices", "repeating_invoice.create", _INVOICES, quotes.save_repeating)
_add("POST", "RepeatingInvoices", "repeating_invoice.update", _INVOICES, quotes.save_repeating)
_add("POST", "RepeatingInvoices/<repeating_id>", "repeating_invoice.update", _INVOICES, quotes.save_repeating)

_add("GET", "Organisation", "organisation.read", _SETTINGS, settings_api.read_organisation)
_collection("Accounts", "account", _SETTINGS, "account_id", settings_api.list_accounts, settings_api.read_account)
_add("GET", "Currencies", "currency.list", _SETTINGS, settings_api.list_currencies)
_collection("BrandingThemes", "theme", _SETTINGS, "theme_id", settings_api.list_themes, settings_api.read_theme)
_partner = partial(_add, scope=PARTNER_SCOPE, partner_only=True)
_partner("GET", "PaymentServices", "payment_service.list", handler=settings_api.list_services)
_partner("PUT", "PaymentServices", "payment_service.create", handler=settings_api.create_services)
_services = "BrandingThemes/<theme_id>/PaymentServices"
_partner("GET", _services, "theme.payment_services", handler=settings_api.theme_services)
_partner("POST", _services, "theme.set_payment_service", handler=settings_api.put_service_on_theme)

for _name, _kind, _scope in (
    ("Invoices", books.INVOICE, _INVOICES),
    ("CreditNotes", books.CREDIT_NOTE, _INVOICES),
    ("Quotes", books.QUOTE, _INVOICES),
    ("RepeatingInvoices", books.REPEATING, _INVOICES),
    ("Payments", books.PAYMENT, _PAYMENTS),
    ("BatchPayments", books.BATCH_PAYMENT, _PAYMENTS),
    ("Overpayments", books.OVERPAYMENT, _PAYMENTS),
    ("Prepayments", books.PREPAYMENT, _PAYMENTS),
    ("Contacts", books.CONTACT, _CONTACTS),
):
    _history(_name, _kind, _scope)

_MAP = Map(_RULES)


def find(method: str, path: str) -> tuple[Endpoint, dict[str, str]] | int:
    """The endpoint of a path below /api.xro/2.0, with its ids; or the status it is refused with (404, 405)."""
    try:
        endpoint, ids = _MAP.bind("").match(f"/{path.strip('/')}", method=method)
    except HTTPException as problem:
        return problem.code or 404
    return endpoint, {name: str(value) for name, value in ids.items()}
