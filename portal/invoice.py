"""One invoice: its lines, what is due of it, its payments, its PDF."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, current_app

from connector.domain.records import InvoiceState, PaymentState
from connector.errors import NotFound
from connector.journeys import documents
from connector.reading import portal_invoices, portal_payments
from connector.reading.portal_invoices import Document
from connector.reading.portal_payments import PaymentOfInvoice
from connector.web import limits
from connector.web.context import wiring
from connector.web.present import invoice_words, payment_words, plain_amount
from portal.doors import Door, Knock
from portal.form_keys import form_keys_of
from portal.references import references_of

_UNKNOWN = "There is no such invoice here. It may have been withdrawn."
_MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """What an invoice's page is made of."""

    document: Document
    payments: list[PaymentOfInvoice]


def read(door: Door, reference: str | None) -> Seen:
    """An invoice of this door's scope; without a reference, the one it is for. Raises NotFound."""
    number = None
    if reference is not None:
        number = references_of(wiring().settings.secret_key).find(reference)
        if number is None:
            raise NotFound(_UNKNOWN)
    elif door.portal.scope.invoice is None:
        raise NotFound(_UNKNOWN)
    document = portal_invoices.document(door.visit.reader, door.portal.scope, number)
    if document is None:
        raise NotFound(_UNKNOWN)
    return Seen(document, portal_payments.payments_of(door.visit.reader, document.id))


def show(knock: Knock, reference: str) -> Response:
    """The page of one invoice of an account."""
    with knock.open() as door:
        seen = read(door, reference)
    return page(knock, door, seen)


def page(
    knock: Knock,
    door: Door,
    seen: Seen,
    *,
    amount: str | None = None,
    error: str = "",
    message: str = "",
    status: int = 200,
) -> Response:
    """The page, with what was typed and what was wrong with it."""
    document = seen.document
    processing = document.paying == PaymentState.PROCESSING
    due = document.state == InvoiceState.OPEN and document.balance > 0 and not processing
    (reference,) = references_of(wiring().settings.secret_key).name([document.id])
    system = wiring().systems.get(door.portal.system)
    rendered = current_app.jinja_env.get_template("portal/invoice.html").render(
        brand=door.portal.brand,
        door=door,
        document=document,
        lines=document.lines[:_MOST_LINES],
        lines_left_out=max(0, len(document.lines) - _MOST_LINES),
        net=document.total - document.tax,
        paid=document.total - document.balance,
        words=invoice_words(
            state=document.state,
            balance=document.balance,
            total=document.total,
            due=document.due_date,
            today=wiring().clock().date(),
            paying=processing,
        ),
        due=due,
        started=document.paying is not None and not processing,
        processing=processing,
        can_pay=due and door.portal.payable and not door.preview,
        address=f"{door.path}/invoice/{reference}",
        payments=[(payment, payment_words(payment.state)) for payment in seen.payments],
        returned=any(payment.state == PaymentState.RETURNED for payment in seen.payments[:1]) and due,
        has_pdf=system is not None and system.manifest.capabilities.pdf,
        system=system.manifest.title if system else "the accounting system",
        amount=plain_amount(document.balance, document.currency) if amount is None else amount,
        error=error,
        message=message,
        form_key=form_keys_of(wiring().settings.secret_key).give(knock.visitor),
    )
    return Response(rendered, status=status, mimetype="text/html")


def pdf(knock: Knock, reference: str) -> Response:
    """The invoice as the accounting system prints it."""
    with knock.open() as door:
        document = read(door, reference).document
    scope = door.portal.scope
    limits.hold("invoice-pdf", f"{scope.connection_id}:{scope.customer}", limit=20, period=60)
    content = documents.invoice_pdf(wiring(), scope.merchant_id, scope.connection_id, document.remote_id)
    response = Response(content, mimetype="application/pdf")
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in document.number) or "invoice"
    response.headers["Content-Disposition"] = f'inline; filename="{name[:60]}.pdf"'
    return response
