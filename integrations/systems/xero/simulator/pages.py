"""Pages for a person: the invoice as its customer receives it, the books, and the merchant's own settings.

The settings are plain forms a script can post too:
  POST /settings/payment-services            tenant, name, url, pay_now_text     adds a Custom payment URL
  POST /settings/payment-services/remove     tenant, service                     removes one, from its themes as well
  POST /settings/themes                      tenant, theme_<BrandingThemeID>=<PaymentServiceID or nothing> for each
  POST /settings/connected-apps              connection                          disconnects an app from inside Xero
`tenant` may be left out for the first organisation. Each answers 303 back to its page, or 400 with the page and why.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from connector.domain.money import minor_to_text
from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import (
    CONTACT,
    INVOICE,
    PAYMENT,
    PAYMENT_SERVICE,
    THEME,
    Books,
    Organisation,
)
from integrations.systems.xero.simulator.paper import print_out
from integrations.systems.xero.simulator.pdf import pdf_response
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.settings_api import add_service
from integrations.systems.xero.simulator.tokens import CONNECTION, Tokens

PLACEHOLDERS = ("[INVOICENUMBER]", "[CURRENCY]", "[AMOUNTDUE]", "[SHORTCODE]")
_SHOWN = 400


def pages_blueprint(books: Books, tokens: Tokens, public_url: str) -> Blueprint:
    """Routes /, /sent, /books and /settings."""
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def index() -> str:
        return render_template("xero/index.html", organisations=books.organisations())

    @pages.get("/sent/<invoice_id>")
    def sent(invoice_id: str) -> str:
        org, doc = find_anywhere(books, invoice_id)
        return render_template("xero/sent.html", paper=print_out(org, INVOICE, doc), invoice_id=doc["id"])

    @pages.get("/sent/<invoice_id>/pdf")
    def sent_pdf(invoice_id: str) -> Response:
        org, doc = find_anywhere(books, invoice_id)
        return pdf_response(org, INVOICE, doc, public_url)

    @pages.get("/books")
    def the_books() -> str:
        org = chosen(books)
        contacts = {doc["id"]: doc["name"] for doc in org.all(CONTACT)}
        invoices = sorted(org.all(INVOICE), key=lambda doc: (doc["date"], doc["number"]), reverse=True)[:_SHOWN]
        payments = sorted(org.all(PAYMENT), key=lambda doc: int(doc["updated"]), reverse=True)[:_SHOWN]
        return render_template(
            "xero/books.html",
            org=org,
            organisations=books.organisations(),
            contacts=contacts,
            invoices=invoices,
            payments=payments,
            money=minor_to_text,
        )

    @pages.get("/settings/payment-services")
    def services() -> str:
        return services_page("")

    def services_page(problem: str) -> str:
        return render_template(
            "xero/payment_services.html",
            org=chosen(books),
            organisations=books.organisations(),
            services=chosen(books).all(PAYMENT_SERVICE),
            placeholders=PLACEHOLDERS,
            problem=problem,
            form=request.form,
        )

    @pages.post("/settings/payment-services")
    def add_payment_service() -> AnyResponse | tuple[str, int]:
        org, form = chosen(books), request.form
        try:
            with books.transaction():
                add_service(org, form.get("name", ""), form.get("url", "").strip(), form.get("pay_now_text", ""))
        except Refused as refusal:
            return services_page(str(refusal)), 400
        return redirect(url_for("pages.services", tenant=org.tenant), 303)

    @pages.post("/settings/payment-services/remove")
    def remove_payment_service() -> AnyResponse:
        org, service = chosen(books), request.form.get("service", "")
        with books.transaction():
            for theme in org.all(THEME):
                if theme.get("service") == service:
                    org.save(THEME, {**theme, "service": None})
            books.delete(org.place(PAYMENT_SERVICE), service)
        return redirect(url_for("pages.services", tenant=org.tenant), 303)

    @pages.get("/settings/themes")
    def themes() -> str:
        return themes_page("")

    def themes_page(problem: str) -> str:
        org = chosen(books)
        return render_template(
            "xero/themes.html",
            org=org,
            organisations=books.organisations(),
            themes=sorted(org.all(THEME), key=lambda doc: int(doc["sort"])),
            services=org.all(PAYMENT_SERVICE),
            problem=problem,
        )

    @pages.post("/settings/themes")
    def choose_services() -> AnyResponse | tuple[str, int]:
        org = chosen(books)
        wanted = {
            name.removeprefix("theme_"): value for name, value in request.form.items() if name.startswith("theme_")
        }
        known = {doc["id"] for doc in org.all(PAYMENT_SERVICE)}
        if any(
            org.get(THEME, theme) is None or (service and service not in known) for theme, service in wanted.items()
        ):
            return themes_page("That branding theme or payment service does not exist."), 400
        with books.transaction():
            for theme_id, service in wanted.items():
                org.save(THEME, {**org.require(THEME, theme_id), "service": service or None})
        return redirect(url_for("pages.themes", tenant=org.tenant), 303)

    @pages.get("/settings/connected-apps")
    def connected_apps() -> str:
        names = {doc["id"]: doc["name"] for doc in books.organisations()}
        return render_template(
            "xero/connected_apps.html", connections=books.all(CONNECTION), names=names, config=books.config
        )

    @pages.post("/settings/connected-apps")
    def disconnect() -> AnyResponse:
        if not tokens.disconnect(None, request.form.get("connection", "")):
            abort(404)
        return redirect(url_for("pages.connected_apps"), 303)

    return pages


def chosen(books: Books) -> Organisation:
    """The organisation a page or form is about: the one named by `tenant`, else the first."""
    tenant = request.values.get("tenant", "")
    known = [doc["id"] for doc in books.organisations()]
    if tenant and tenant not in known:
        abort(404)
    return Organisation(books, tenant or known[0], "settings")


def find_anywhere(books: Books, invoice_id: str) -> tuple[Organisation, Document]:
    """An invoice of whatever organisation; 404 when there is none."""
    for organisation in books.organisations():
        org = Organisation(books, organisation["id"], "control")
        doc = org.get(INVOICE, invoice_id)
        if doc is not None:
            return org, doc
    abort(404)
