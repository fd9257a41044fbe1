"""The seeded company as Xero would hold it, and a second, empty organisation of the same person."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from connector.domain.money import allocate
from integrations.simulator import company as small
from integrations.simulator.store import Document
from integrations.systems.xero.simulator import books as kinds
from integrations.systems.xero.simulator.books import ORGANISATIONS, Books
from integrations.systems.xero.simulator.invoice_changes import settle

_STATUS = {"draft": "DRAFT", "void": "VOIDED"}
_QUOTE_STATUS = {"pending": "SENT", "accepted": "ACCEPTED", "declined": "DECLINED"}
_TAX_RATES = {"NONE": "0", "OUTPUT": "8.25", "EXEMPTOUTPUT": "0"}
_CURRENCIES = {"USD": "1", "EUR": "0.92", "GBP": "0.79", "JPY": "150", "AUD": "1.53", "NZD": "1.67"}
THEMES = ("Standard", "Projects", "Japan")


def steady_id(name: str) -> str:
    """The same GUID for the same thing in every seed, so that two simulators agree."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated-xero/{name}"))


def seed(books: Books, *, invoices: int = 300) -> None:
    """Fill an empty store; a store that holds an organisation already is left as it is."""
    if books.organisations():
        return
    today = books.clock.now().date()
    company = small.make_company(today, invoices=invoices)
    with books.transaction():
        first = _organisation(books, company.name, "!nW1d5", (company.street, f"{company.city} {company.postal_code}"))
        _settings(books, first)
        _fill(books, first, company, today)
        second = _organisation(books, "Harbour Street Studio", "!hS7tQ", ("9 Harbour Street", "Portland 97201"))
        _settings(books, second)
        _small_studio(books, second, today)


def _put(books: Books, tenant: str, kind: str, doc: Document, moment: int) -> Document:
    """Today's noon may still be to come; the latest has happened a minute ago."""
    moment = min(moment, int(books.clock.time() * 1000) - 60_000)
    doc.setdefault("created", moment)
    doc["updated"] = moment
    books.put(f"{kind}:{tenant}", doc["id"], doc)
    return doc


def _organisation(books: Books, name: str, short_code: str, address: tuple[str, ...]) -> str:
    tenant = steady_id(f"organisation/{name}")
    profile: Document = {
        "id": tenant,
        "name": name,
        "short_code": short_code,
        "base_currency": "USD",
        "country": "US",
        "version": "US",
        "timezone": "PACIFICSTANDARDTIME",
        "address": list(address),
        "tax_rates": _TAX_RATES,
        "currencies": _CURRENCIES,
        "period_lock": None,
        "year_lock": f"{books.clock.now().year - 2}-12-31",
        "created": _noon(date(books.clock.now().year - 4, 1, 15)),
    }
    books.put(ORGANISATIONS, tenant, profile)
    return tenant


def _settings(books: Books, tenant: str) -> None:
    start = _noon(date(books.clock.now().year - 4, 1, 15))
    accounts = (
        ("Business Checking", "090", "BANK", "USD", True, "ACTIVE"),
        ("Online Payments Clearing", "095", "BANK", "USD", True, "ACTIVE"),
        ("Euro Account", "096", "BANK", "EUR", True, "ACTIVE"),
        ("Old Savings", "097", "BANK", "USD", False, "ARCHIVED"),
        ("Sales", "200", "REVENUE", "", False, "ACTIVE"),
        ("Merchant Fees", "404", "EXPENSE", "", False, "ACTIVE"),
        ("Undeposited Funds", "", "CURRENT", "", True, "ACTIVE"),
        ("Owner Funds", "880", "CURRLIAB", "", True, "ACTIVE"),
    )
    for name, code, type_, currency, enabled, status in accounts:
        doc: Document = {
            "id": steady_id(f"{tenant}/account/{name}"),
            "name": name,
            "code": code,
            "type": type_,
            "payments_enabled": enabled and type_ != "BANK",
            "status": status,
        }
        if type_ == "BANK":
            doc.update(currency=currency, number=f"0209087654{code}")
        _put(books, tenant, kinds.ACCOUNT, doc, start)
    for position, name in enumerate(THEMES):
        theme: Document = {"id": steady_id(f"{tenant}/theme/{name}"), "name": name, "sort": position, "service": None}
        _put(books, tenant, kinds.THEME, theme, start)


def _fill(books: Books, tenant: str, company: small.Company, today: date) -> None:
    for customer in company.customers:
        _contact(books, tenant, customer, today)
    repeating = {template.name: steady_id(f"{tenant}/repeating/{template.name}") for template in company.recurring}
    for position, invoice in enumerate(company.invoices):
        _invoice(books, tenant, invoice, position, repeating.get(invoice.recurring))
    for note in company.credit_notes:
        _credit_note(books, tenant, note)
    for estimate in company.estimates:
        _quote(books, tenant, estimate)
    for template in company.recurring:
        _repeating(books, tenant, template, today)
    _overpayment(books, tenant, company.customers[0], today)


def _contact(books: Books, tenant: str, customer: small.Customer, today: date) -> None:
    doc: Document = {
        "id": steady_id(f"{tenant}/contact/{customer.key}"),
        "name": customer.name,
        "first_name": customer.given_name,
        "last_name": customer.family_name,
        "email": customer.email or "",
        "number": customer.key,
        "status": "ACTIVE" if customer.active else "ARCHIVED",
        "phone": customer.phone,
        "currency": customer.currency,
        "persons": [],
        "address": {
            "line1": customer.street,
            "city": customer.city,
            "postal_code": customer.postal_code,
            "country": customer.country,
        },
    }
    if customer.email and customer.key.endswith("0"):
        local, _, domain = customer.email.partition("@")
        doc["persons"] = [
            {"first_name": "Accounts", "last_name": "Payable", "email": f"ap-{local}@{domain}", "include": True}
        ]
    _put(books, tenant, kinds.CONTACT, doc, _noon(date(today.year - 1, 1, 10)))


def _invoice(books: Books, tenant: str, invoice: small.Invoice, position: int, repeating: str | None) -> None:
    theme = "Japan" if invoice.currency == "JPY" else THEMES[position % 7 == 3]
    doc: Document = {
        "id": steady_id(f"{tenant}/invoice/{invoice.number}"),
        "number": f"INV-{invoice.number}",
        "type": "ACCREC",
        "contact": steady_id(f"{tenant}/contact/{invoice.customer.key}"),
        "date": invoice.issued.isoformat(),
        "due": invoice.due.isoformat(),
        "status": _STATUS.get(invoice.state, "AUTHORISED"),
        "amount_types": "Exclusive",
        "reference": invoice.memo[:255],
        "theme": steady_id(f"{tenant}/theme/{theme}"),
        "currency": invoice.currency,
        "rate": _CURRENCIES[invoice.currency],
        "sent": invoice.emailed,
        "lines": _lines(f"{tenant}/invoice/{invoice.number}", invoice.lines, invoice.tax, invoice.currency),
        "payments": [],
        "allocations": [],
        "repeating": repeating,
    }
    moment = _noon(invoice.issued) + position
    for index, paid in enumerate(invoice.payments):
        payment = _payment(books, tenant, doc, paid, index)
        doc["payments"].append({key: payment[key] for key in ("id", "date", "amount", "reference", "rate")})
        moment = max(moment, payment["updated"])
    settle(doc)
    if (doc["subtotal"], doc["tax"], doc["total"]) != (invoice.subtotal, invoice.tax, invoice.total):
        raise ValueError(f"invoice {invoice.number} does not add up to its lines")
    _put(books, tenant, kinds.INVOICE, doc, moment)


def _payment(books: Books, tenant: str, invoice: Document, paid: small.Payment, index: int) -> Document:
    rate = Decimal(invoice["rate"])
    base = int((Decimal(small.to_decimal(paid.amount, invoice["currency"])) / rate * 100).to_integral_value())
    doc: Document = {
        "id": steady_id(f"{invoice['id']}/payment/{index}"),
        "target_kind": kinds.INVOICE,
        "target": invoice["id"],
        "target_number": invoice["number"],
        "contact": invoice["contact"],
        "account": steady_id(f"{tenant}/account/Business Checking"),
        "date": paid.on.isoformat(),
        "amount": paid.amount,
        "currency": invoice["currency"],
        "rate": invoice["rate"],
        "bank_currency": "USD",
        "bank_amount": paid.amount if invoice["currency"] == "USD" else base,
        "reference": paid.reference,
        "status": "AUTHORISED",
        "type": "ACCRECPAYMENT",
        "reconciled": index == 0 and invoice["number"].endswith("5"),
    }
    return _put(books, tenant, kinds.PAYMENT, doc, _noon(paid.on))


def _lines(name: str, lines: Iterable[small.Line], tax: int, currency: str) -> list[Document]:
    """Lines whose taxes sum to the document's tax exactly, shared out by largest remainder."""
    rows = list(lines)
    weights = [line.amount if line.taxable else 0 for line in rows]
    shares = allocate(tax, weights) if tax else [0] * len(rows)
    return [
        {
            "id": steady_id(f"{name}/line/{index}"),
            "description": line.description,
            "quantity": str(line.quantity),
            "unit": str(small.to_decimal(line.unit_price, currency)),
            "account": "200",
            "item": line.item.key,
            "tax_type": "OUTPUT" if share else "NONE",
            "tax": share,
            "amount": line.amount,
        }
        for index, (line, share) in enumerate(zip(rows, shares, strict=True))
    ]


def _totals(doc: Document) -> None:
    net, tax = sum(line["amount"] for line in doc["lines"]), sum(line["tax"] for line in doc["lines"])
    doc.update(subtotal=net, tax=tax, total=net + tax)


def _credit_note(books: Books, tenant: str, note: small.CreditNote) -> None:
    doc: Document = {
        "id": steady_id(f"{tenant}/credit/{note.number}"),
        "kind": kinds.CREDIT_NOTE,
        "number": note.number,
        "type": "ACCRECCREDIT",
        "contact": steady_id(f"{tenant}/contact/{note.customer.key}"),
        "currency": note.currency,
        "rate": _CURRENCIES[note.currency],
        "date": note.issued.isoformat(),
        "status": "AUTHORISED",
        "amount_types": "NoTax",
        "lines": _lines(f"{tenant}/credit/{note.number}", [note.line], 0, note.currency),
        "reference": note.memo,
        "theme": steady_id(f"{tenant}/theme/Standard"),
        "sent": False,
        "allocations": [],
        "payments": [],
    }
    _totals(doc)
    doc["remaining"] = doc["total"]
    _put(books, tenant, kinds.CREDIT_NOTE, doc, _noon(note.issued))


def _overpayment(books: Books, tenant: str, customer: small.Customer, today: date) -> None:
    line: Document = {
        "id": steady_id(f"{tenant}/overpayment/1/line"),
        "description": "Paid twice by mistake",
        "quantity": "1",
        "unit": "40.00",
        "account": "800",
        "tax_type": "NONE",
        "tax": 0,
        "amount": 4000,
    }
    day = today.replace(day=1)
    for kind, type_ in ((kinds.OVERPAYMENT, "RECEIVE-OVERPAYMENT"), (kinds.PREPAYMENT, "RECEIVE-PREPAYMENT")):
        doc: Document = {
            "id": steady_id(f"{tenant}/{kind}/1"),
            "kind": kind,
            "type": type_,
            "contact": steady_id(f"{tenant}/contact/{customer.key}"),
            "currency": "USD",
            "rate": "1",
            "date": day.isoformat(),
            "status": "AUTHORISED",
            "amount_types": "NoTax",
            "lines": [{**line, "description": "Deposit for the next project"} if kind == kinds.PREPAYMENT else line],
            "reference": "",
            "remaining": 4000,
            "allocations": [],
            "payments": [],
        }
        _totals(doc)
        _put(books, tenant, kind, doc, _noon(day))


def _quote(books: Books, tenant: str, estimate: small.Estimate) -> None:
    doc: Document = {
        "id": steady_id(f"{tenant}/quote/{estimate.number}"),
        "number": estimate.number.replace("E-", "QU-"),
        "reference": "",
        "contact": steady_id(f"{tenant}/contact/{estimate.customer.key}"),
        "date": estimate.issued.isoformat(),
        "expires": estimate.expires.isoformat(),
        "status": _QUOTE_STATUS[estimate.status],
        "currency": estimate.currency,
        "rate": _CURRENCIES[estimate.currency],
        "amount_types": "Exclusive",
        "lines": _lines(f"{tenant}/quote/{estimate.number}", estimate.lines, 0, estimate.currency),
        "theme": steady_id(f"{tenant}/theme/Standard"),
    }
    _totals(doc)
    _put(books, tenant, kinds.QUOTE, doc, _noon(estimate.issued))


def _repeating(books: Books, tenant: str, template: small.Recurring, today: date) -> None:
    doc: Document = {
        "id": steady_id(f"{tenant}/repeating/{template.name}"),
        "reference": template.name,
        "contact": steady_id(f"{tenant}/contact/{template.customer.key}"),
        "status": "AUTHORISED",
        "currency": template.currency,
        "amount_types": "NoTax",
        "lines": _lines(f"{tenant}/repeating/{template.name}", template.lines, 0, template.currency),
        "theme": steady_id(f"{tenant}/theme/Standard"),
        "starts": date(today.year - 1, 1, 1).isoformat(),
        "next": template.next_on.isoformat(),
    }
    _totals(doc)
    _put(books, tenant, kinds.REPEATING, doc, _noon(date(today.year - 1, 1, 1)))


def _small_studio(books: Books, tenant: str, today: date) -> None:
    """A second organisation with one customer and one open invoice, so that tenants can be mixed up if one tries."""
    customer = small.make_company(today, invoices=1).customers[0]
    _contact(books, tenant, customer, today)
    line: Document = {
        "id": steady_id(f"{tenant}/invoice/1/line"),
        "description": "Logo design",
        "quantity": "1",
        "unit": "950.00",
        "account": "200",
        "tax_type": "NONE",
        "tax": 0,
        "amount": 95_000,
    }
    doc: Document = {
        "id": steady_id(f"{tenant}/invoice/1"),
        "number": "INV-1001",
        "type": "ACCREC",
        "contact": steady_id(f"{tenant}/contact/{customer.key}"),
        "date": today.replace(day=1).isoformat(),
        "due": today.isoformat(),
        "status": "AUTHORISED",
        "amount_types": "Exclusive",
        "reference": "Logo",
        "theme": steady_id(f"{tenant}/theme/Standard"),
        "currency": "USD",
        "rate": "1",
        "sent": True,
        "lines": [line],
        "payments": [],
        "allocations": [],
        "repeating": None,
    }
    settle(doc)
    _put(books, tenant, kinds.INVOICE, doc, _noon(today.replace(day=1)))


def _noon(day: date) -> int:
    """Milliseconds of a day's noon in UTC."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
