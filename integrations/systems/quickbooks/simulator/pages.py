"""Pages for a person: the start page, the books, and a form as its customer gets it."""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from integrations.systems.quickbooks.simulator.books import Books
from integrations.systems.quickbooks.simulator.customer_view import money, pdf_of, shown
from integrations.systems.quickbooks.simulator.upstream import upstream

blueprint = Blueprint("pages", __name__)


def chosen_books() -> Books:
    """The company named by `?realm=`, else the first; 404 for an unknown one."""
    parts = upstream()
    realm = request.values.get("realm", "") or parts.settings.companies[0].realm
    if realm not in parts.books:
        abort(404)
    return parts.books[realm]


@blueprint.get("/")
def start() -> BaseResponse:
    """The books are what a person comes for."""
    return redirect(url_for("pages.books"))


@blueprint.get("/books")
def books() -> str:
    """Invoices with what is due, and payments; read only."""
    company = chosen_books()
    invoices = sorted((row.doc for row in company.rows("Invoice")), key=lambda doc: int(doc["Id"]), reverse=True)
    payments = sorted((row.doc for row in company.rows("Payment")), key=lambda doc: int(doc["Id"]), reverse=True)
    return render_template(
        "books.html",
        company=company.company,
        companies=upstream().settings.companies,
        invoices=invoices,
        payments=payments,
        today=company.today().isoformat(),
        money=money,
    )


@blueprint.get("/sent/<id>")
def sent(id: str) -> str:
    """An invoice as its customer gets it by e-mail."""
    company = chosen_books()
    doc = company.find("Invoice", id)
    if doc is None:
        abort(404)
    return render_template("sent.html", view=shown(company, "Invoice", doc), id=id, realm=company.realm)


@blueprint.get("/sent/<id>.pdf")
def sent_pdf(id: str) -> Response:
    """The same as the attached PDF."""
    company = chosen_books()
    doc = company.find("Invoice", id)
    if doc is None:
        abort(404)
    return Response(pdf_of(company, "Invoice", doc), content_type="application/pdf")
