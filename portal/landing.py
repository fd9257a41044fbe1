"""Where a template's link lands (Xero's custom payment URL). It shows an amount only to whoever knew it already, and
nothing else of the invoice to anybody without a code from the billing contact's mail."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from connector.domain.money import minor_to_text
from connector.domain.payments import Choice
from connector.errors import Conflict, Invalid, Unavailable
from connector.journeys import landing, proof
from connector.reading.portal_doors import brand_of_merchant
from connector.web import limits
from connector.web.context import wiring
from connector.web.present import money
from portal import pay
from portal.form_keys import form_keys_of

_QUERY = ("invoiceNo", "currency", "amount", "shortCode")
_LONGEST = 255


def _carried(values: Mapping[str, str]) -> dict[str, str]:
    """What the template's address said, nothing else, and never much of it."""
    return {name: values.get(name, "")[:_LONGEST] for name in _QUERY}


def show(install_key: str) -> Response:
    """Amount and Pay for whoever knew the amount; otherwise the offer of a code, the same for strangers."""
    limits.hold_caller("landing", limit=60, period=60)
    return _page(install_key, _carried(request.args))


def _page(install_key: str, query: dict[str, str], *, message: str = "", status: int = 200) -> Response:
    view = landing.look(wiring(), install_key, query)
    address = brand_of_merchant(wiring(), view.merchant_id)
    page = current_app.jinja_env.get_template("portal/landing.html").render(
        brand=address.brand,
        payable=view.payable,
        amount=money(view.amount, view.currency) if view.payable else "",
        minor=view.amount if view.payable else 0,
        query=query,
        path=f"/x/{install_key}",
        form_key=form_keys_of(wiring().settings.secret_key).give(_visitor(install_key, query)),
        message=message,
    )
    return Response(page, status=status, mimetype="text/html")


def start(install_key: str) -> AnyResponse:
    """Pay the present due. The address is looked up again, and the amount must still be the one that was shown."""
    query = _carried(request.form)
    try:
        form_key = form_keys_of(wiring().settings.secret_key).take(
            _visitor(install_key, query), request.form.get("form_key", "")
        )
        view = landing.look(wiring(), install_key, query)
        if view.scope is None or view.invoice_id is None or request.form.get("minor") != str(view.amount):
            raise Conflict("What is due has changed since this page was shown. Nothing was charged; please check.")
        choice = Choice(view.invoice_id, minor_to_text(view.amount, view.currency))
        return pay.begin(view.scope, [choice], form_key)
    except (Conflict, Invalid, Unavailable) as fault:
        return _page(install_key, query, message=fault.message, status=fault.status)


def send_code(install_key: str) -> AnyResponse:
    """Mail a code to the billing contact, if there is such an invoice; the same answer in any case."""
    limits.hold_caller("landing-code", limit=10, period=600)
    query = _carried(request.form)
    view = landing.look(wiring(), install_key, query)
    limits.hold("landing-code-for", f"{view.connection_id}:{query['invoiceNo']}", limit=5, period=900)
    code_id = proof.ask_for_invoice(wiring(), view.merchant_id, view.connection_id, view.invoice)
    slug = brand_of_merchant(wiring(), view.merchant_id).brand.slug
    return redirect(f"/portal/{slug}/code/{code_id}?for=invoice", 303)


def _visitor(install_key: str, query: Mapping[str, str]) -> str:
    return "\0".join((install_key, *(query[name] for name in _QUERY)))
