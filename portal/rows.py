"""The account's table rows. They are written here and not in the template because a page has a hundred of them and
they are most of its cost; every text that came from outside goes through `escape`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from markupsafe import Markup, escape

from connector.domain.records import PaymentState
from connector.reading.portal_invoices import LineItem, ListedInvoice, OpenInvoice
from connector.web.present import Words, day, due_words, money, plain_amount, shorten

_LONGEST_NUMBER = 24
_LONGEST_DESCRIPTION = 80
_LONGEST_AMOUNT = 20
_PAYING = Words("Payment processing", "info")
_STARTED = Words("Payment not finished", "info")


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of one page are written. `path` and `suffix` are ours; `payable` and `partial` say which cells
    there are."""

    path: str
    suffix: str
    payable: bool
    partial: bool
    today: date
    _numbers: dict[str, Markup] = field(default_factory=dict)

    def open_invoice(
        self, one: OpenInvoice, reference: str, *, ticked: bool = False, typed: str | None = None, error: str = ""
    ) -> str:
        """An open invoice, to be chosen and paid in whole or in part unless the bank is processing a payment of it."""
        number = self._number(one.number)
        words = self._due(one)
        free = one.paying != PaymentState.PROCESSING
        box = amount = ""
        if self.payable:
            box = '<td class="pick"></td>'
            if free:
                tick = " checked" if ticked else ""
                box = (
                    f'<td class="pick"><input type="checkbox" name="pay" value="{reference}"'
                    f' aria-label="Pay invoice {number}"{tick}></td>'
                )
        if self.payable and self.partial:
            amount = '<td data-l="You pay" class="r"></td>'
            if free:
                value = plain_amount(one.balance, one.currency) if typed is None else escape(typed[:_LONGEST_AMOUNT])
                fault = f' aria-invalid="true" aria-describedby="e-{reference}"' if error else ""
                amount = (
                    f'<td data-l="You pay" class="r"><input class="money" name="amount-{reference}" value="{value}"'
                    f' inputmode="decimal" aria-label="Amount for invoice {number}"{fault}></td>'
                )
        row = (
            f"<tr>{box}{self._head(number, reference)}"
            f'<td data-l="Due"><span class="badge {words.tone}">{words.label}</span></td>'
            f'<td data-l="Balance" class="r num">{money(one.balance, one.currency)}</td>{amount}</tr>'
        )
        if error:
            row += (
                f'<tr class="fault"><td class="lead" colspan="5"><p class="error" id="e-{reference}">'
                f"Invoice {number}: {escape(error)}</p></td></tr>"
            )
        return row

    def paid_invoice(self, one: ListedInvoice, reference: str) -> str:
        """An invoice paid lately."""
        return (
            f"<tr>{self._head(self._number(one.number), reference)}"
            f'<td data-l="Issued">{day(one.issue_date)}</td>'
            f'<td data-l="Total" class="r num">{money(one.total, one.currency)}</td></tr>'
        )

    def line_item(self, item: LineItem) -> str:
        """One line of a recent invoice."""
        tax = money(item.tax, item.currency) if item.tax else ""
        return (
            f'<tr><td data-l="Date">{day(item.issue_date)}</td>'
            f'<td data-l="Invoice">{self._number(item.number)}</td>'
            f'<td data-l="For">{escape(shorten(item.description, _LONGEST_DESCRIPTION))}</td>'
            f'<td data-l="Tax" class="r num">{tax}</td>'
            f'<td data-l="Amount" class="r num">{money(item.amount, item.currency)}</td></tr>'
        )

    def _head(self, number: Markup, reference: str) -> str:
        return f'<th scope="row"><a href="{self.path}/invoice/{reference}{self.suffix}">{number}</a></th>'

    def _due(self, one: OpenInvoice) -> Words:
        if one.paying is None:
            return due_words(one.due_date, self.today)
        return _PAYING if one.paying == PaymentState.PROCESSING else _STARTED

    def _number(self, number: str) -> Markup:
        known = self._numbers.get(number)
        if known is None:
            known = self._numbers[number] = escape(shorten(number, _LONGEST_NUMBER) or "No number")
        return known


def join(rows: Iterable[str]) -> Markup:
    """Rows as markup for a template."""
    return Markup("\n".join(rows))  # noqa: S704 - escaped where they were written
