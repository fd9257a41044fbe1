"""Fills a company's books from the seeded company, in the documents' wire form."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from integrations.simulator import company as seeds
from integrations.simulator.company import to_decimal
from integrations.systems.quickbooks.simulator.amounts import converted, number
from integrations.systems.quickbooks.simulator.books import HOME_CURRENCY, Books, Change, Document
from integrations.systems.quickbooks.simulator.sale_lines import TAX_RATE_ID, TAX_RATE_PERCENT
from integrations.systems.quickbooks.simulator.seed_lists import seed_lists
from integrations.systems.quickbooks.simulator.standing import (
    EXCHANGE_RATES,
    adjust_customer,
    currency_reference,
    set_balance,
)

_ESTIMATE_STATUS = {"pending": "Pending", "accepted": "Accepted", "declined": "Rejected"}


def seed(books: Books) -> None:
    """Fill empty books; books that hold anything are left as they are."""
    if books.count("CompanyInfo"):
        return
    company = seeds.make_company(books.today(), invoices=books.company.invoices)
    with books.change("seed") as change:
        customers = seed_lists(change, company, books.company.name)
        sower = _Sower(change, customers)
        for invoice in company.invoices:
            sower.invoice(invoice)
        for note in company.credit_notes:
            sower.credit_memo(note)
        for estimate in company.estimates:
            sower.estimate(estimate)
        for profile in company.recurring:
            sower.recurring(profile)
        sower.balances()
        change.events.clear()
        change.committed.clear()
        change.raise_number("invoice-number", len(company.invoices))


class _Sower:
    def __init__(self, change: Change, customers: dict[str, Document]) -> None:
        self._change = change
        self._customers = customers
        self._owed: dict[str, int] = {}
        self._recurring = {f"Monthly care {position}": str(position) for position in range(1, 4)}

    def invoice(self, invoice: seeds.Invoice) -> None:
        """One invoice with the payments it received."""
        void = invoice.state == "void"
        currency = invoice.currency
        doc: Document = {
            "AllowIPNPayment": False,
            "AllowOnlinePayment": False,
            "AllowOnlineCreditCardPayment": False,
            "AllowOnlineACHPayment": False,
            **self._head(invoice.customer, invoice.number, invoice.issued, currency),
            "LinkedTxn": [],
            **self._lines(invoice.lines, 0 if void else invoice.tax, currency, void=void),
            "DueDate": invoice.due.isoformat(),
            "SalesTermRef": {"value": "3" if (invoice.due - invoice.issued).days == 30 else "2"},
            "TotalAmt": 0 if void else number(invoice.total, currency),
            "ApplyTaxAfterDiscount": False,
            "PrintStatus": "NeedToPrint",
            "EmailStatus": "EmailSent" if invoice.emailed else "NotSet",
        }
        if invoice.emailed:
            sent = self._moment(invoice.issued, 11)
            doc["DeliveryInfo"] = {"DeliveryType": "Email", "DeliveryTime": sent}
        if invoice.memo:
            doc["CustomerMemo"] = {"value": invoice.memo}
        if void:
            doc["PrivateNote"] = "Voided"
        if invoice.recurring:
            doc["RecurDataRef"] = {"value": self._recurring[invoice.recurring]}
        stored = self._store("Invoice", doc, invoice.issued, invoice.issued)
        self._home_total(stored, 0 if void else invoice.total, currency)
        set_balance(stored, invoice.balance, currency)
        for payment in invoice.payments:
            link = self._payment(payment, stored, currency)
            stored["LinkedTxn"].append(link)
            stored["MetaData"]["LastUpdatedTime"] = self._moment(payment.on, 15)
        self._change.seed("Invoice", stored)
        self._owe(stored, invoice.balance)

    def credit_memo(self, note: seeds.CreditNote) -> None:
        """A credit memo nobody used yet."""
        currency = note.currency
        doc: Document = {
            **self._head(note.customer, note.number, note.issued, currency),
            "LinkedTxn": [],
            **self._lines((note.line,), 0, currency),
            "CustomerMemo": {"value": note.memo},
            "TotalAmt": number(note.total, currency),
            "RemainingCredit": number(note.total, currency),
            "ApplyTaxAfterDiscount": False,
            "PrintStatus": "NeedToPrint",
            "EmailStatus": "NotSet",
        }
        stored = self._store("CreditMemo", doc, note.issued, note.issued)
        self._home_total(stored, note.total, currency)
        set_balance(stored, note.total, currency)
        self._change.seed("CreditMemo", stored)
        self._owe(stored, -note.total)

    def estimate(self, estimate: seeds.Estimate) -> None:
        """An offer."""
        currency = estimate.currency
        doc: Document = {
            **self._head(estimate.customer, estimate.number, estimate.issued, currency),
            "LinkedTxn": [],
            **self._lines(estimate.lines, 0, currency),
            "TxnStatus": _ESTIMATE_STATUS[estimate.status],
            "ExpirationDate": estimate.expires.isoformat(),
            "TotalAmt": number(estimate.total, currency),
            "ApplyTaxAfterDiscount": False,
            "PrintStatus": "NeedToPrint",
            "EmailStatus": "NotSet",
        }
        if estimate.status == "accepted":
            doc["AcceptedBy"] = f"{estimate.customer.given_name} {estimate.customer.family_name}"
            doc["AcceptedDate"] = (estimate.issued + timedelta(days=1)).isoformat()
        stored = self._store("Estimate", doc, estimate.issued, estimate.issued)
        self._home_total(stored, estimate.total, currency)
        self._change.seed("Estimate", stored)

    def recurring(self, profile: seeds.Recurring) -> None:
        """A profile an invoice is made from every month."""
        currency = profile.currency
        issued = profile.next_on - timedelta(days=240)
        head = self._head(profile.customer, "", issued, currency)
        del head["TxnDate"]
        doc: Document = {
            "RecurringInfo": {
                "Name": profile.name,
                "RecurType": "Automated",
                "Active": True,
                "ScheduleInfo": {
                    "IntervalType": "Monthly",
                    "NumInterval": 1,
                    "DayOfMonth": min(profile.next_on.day, 28),
                    "NextDate": profile.next_on.isoformat(),
                    "StartDate": issued.isoformat(),
                },
            },
            **head,
            **self._lines(profile.lines, 0, currency),
            "TotalAmt": number(profile.total, currency),
            "EmailStatus": "NeedToSend",
        }
        id = self._recurring[profile.name]
        stamp = self._moment(issued, 9)
        stored = {**doc, "Id": id, "SyncToken": "0", "MetaData": {"CreateTime": stamp, "LastUpdatedTime": stamp}}
        self._home_total(stored, profile.total, currency)
        self._change.seed("RecurringTransaction", {"Invoice": stored}, id)

    def balances(self) -> None:
        """Write what every customer owes, jobs included."""
        for id, amount in self._owed.items():
            customer = self._change.get("Customer", id)
            before = dict(customer["MetaData"])
            adjust_customer(self._change, id, amount, customer["CurrencyRef"]["value"])
            customer = self._change.get("Customer", id)
            customer["MetaData"] = before
            self._change.seed("Customer", customer)

    def _payment(self, payment: seeds.Payment, invoice: Document, currency: str) -> Document:
        amount = number(payment.amount, currency)
        doc: Document = {
            "CustomerRef": invoice["CustomerRef"],
            "DepositToAccountRef": {"value": "4"},
            "PaymentMethodRef": {"value": "2" if payment.reference.startswith("CHK") else "5"},
            "PaymentRefNum": payment.reference,
            "TotalAmt": amount,
            "UnappliedAmt": 0,
            "ProcessPayment": False,
            "TxnDate": payment.on.isoformat(),
            "CurrencyRef": invoice["CurrencyRef"],
            "LinkedTxn": [],
            "Line": [{"Amount": amount, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}],
        }
        if currency != HOME_CURRENCY:
            doc["ExchangeRate"] = EXCHANGE_RATES[currency]
        stored = self._store("Payment", doc, payment.on, payment.on)
        self._change.seed("Payment", stored)
        return {"TxnId": stored["Id"], "TxnType": "Payment"}

    def _head(self, customer: seeds.Customer, doc_number: str, issued: date, currency: str) -> Document:
        stored = self._customers[customer.key]
        head: Document = {"TxnDate": issued.isoformat(), "CurrencyRef": currency_reference(currency)}
        if doc_number:
            head["DocNumber"] = doc_number
        if currency != HOME_CURRENCY:
            head["ExchangeRate"] = EXCHANGE_RATES[currency]
        head["CustomerRef"] = {"value": stored["Id"], "name": stored["DisplayName"]}
        head["BillAddr"] = stored["BillAddr"]
        if customer.email is not None:
            head["BillEmail"] = {"Address": customer.email}
        return head

    def _lines(self, lines: tuple[seeds.Line, ...], tax: int, currency: str, *, void: bool = False) -> Document:
        done: list[Document] = []
        for position, line in enumerate(lines, 1):
            detail = {
                "ItemRef": {"value": str(int(line.item.key[1:])), "name": line.item.name},
                "UnitPrice": to_decimal(line.unit_price, currency),
                "Qty": 0 if void else line.quantity,
                "TaxCodeRef": {"value": "TAX" if line.taxable else "NON"},
            }
            done.append(
                {
                    "Id": str(position),
                    "LineNum": position,
                    "Description": line.description,
                    "Amount": 0 if void else number(line.amount, currency),
                    "DetailType": "SalesItemLineDetail",
                    "SalesItemLineDetail": detail,
                }
            )
        subtotal = 0 if void else sum(line.amount for line in lines)
        done.append(
            {"Amount": number(subtotal, currency), "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}
        )
        return {"Line": done, "TxnTaxDetail": _tax_detail(lines, tax, currency)}

    def _store(self, entity: str, doc: Document, created: date, updated: date) -> Document:
        meta = {"CreateTime": self._moment(created, 9), "LastUpdatedTime": self._moment(updated, 10)}
        return {
            "domain": "QBO",
            "sparse": False,
            "Id": self._change.next_id(entity),
            "SyncToken": "0",
            "MetaData": meta,
            **doc,
        }

    def _home_total(self, doc: Document, total: int, currency: str) -> None:
        if currency != HOME_CURRENCY:
            home = converted(total, currency, EXCHANGE_RATES[currency], HOME_CURRENCY)
            doc["HomeTotalAmt"] = number(home, HOME_CURRENCY)

    def _owe(self, doc: Document, amount: int) -> None:
        id = doc["CustomerRef"]["value"]
        self._owed[id] = self._owed.get(id, 0) + amount

    def _moment(self, day: date, hour: int) -> str:
        """A working hour of a day, never later than now."""
        at = datetime.combine(day, time(hour), tzinfo=self._change.books.now().tzinfo)
        return min(at, self._change.books.now()).isoformat(timespec="seconds")


def _tax_detail(lines: tuple[seeds.Line, ...], tax: int, currency: str) -> Document:
    if not tax:
        return {"TotalTax": 0}
    taxed = sum(line.amount for line in lines if line.taxable)
    detail = {
        "TaxRateRef": {"value": TAX_RATE_ID},
        "PercentBased": True,
        "TaxPercent": Decimal(TAX_RATE_PERCENT),
        "NetAmountTaxable": number(taxed, currency),
    }
    line = {"Amount": number(tax, currency), "DetailType": "TaxLineDetail", "TaxLineDetail": detail}
    return {"TxnTaxCodeRef": {"value": "2"}, "TotalTax": number(tax, currency), "TaxLine": [line]}
