"""The customers' wing: which address leads to which page."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from connector.errors import NotFound
from connector.journeys import fresh_link
from connector.reading.portal_doors import brand_of, logo_of
from connector.web import assets, brand, foundation, limits
from connector.web.context import wiring
from portal import account, history, invoice, landing, pay, receipts, sign_in
from portal.doors import EndedLink, LinkKnock, SessionKnock, SignInNeeded

blueprint = Blueprint(
    "portal", __name__, template_folder="templates", static_folder="static/portal", static_url_path="/static/portal"
)
_LOGOS = frozenset({"image/png", "image/jpeg", "image/webp"})
_FOR_GOOD = "public, max-age=31536000, immutable"


def install(app: Flask) -> None:
    """Add the customers' pages. Forms behind a link carry a key bound to the link, so no cookie is needed there."""
    assets.serve_static("portal", __file__)
    app.register_blueprint(blueprint)
    app.register_blueprint(sign_in.blueprint)
    foundation.exempt(app, blueprint)


@blueprint.get("/i/<token>")
def link_home(token: str) -> Response:
    """What a billing link opens."""
    return account.home(LinkKnock(token))


@blueprint.get("/i/<token>/history")
def link_history(token: str) -> Response:
    """All invoices of the link's customer."""
    return history.show(LinkKnock(token))


@blueprint.get("/i/<token>/invoice/<reference>")
def link_invoice(token: str, reference: str) -> Response:
    """One invoice."""
    return invoice.show(LinkKnock(token), reference)


@blueprint.get("/i/<token>/invoice/<reference>/pdf")
def link_pdf(token: str, reference: str) -> Response:
    """One invoice as PDF."""
    return invoice.pdf(LinkKnock(token), reference)


@blueprint.post("/i/<token>/pay")
def link_pay(token: str) -> AnyResponse:
    """Pay what was chosen."""
    return pay.start(LinkKnock(token))


@blueprint.post("/i/<token>/invoice/<reference>/pay")
def link_pay_one(token: str, reference: str) -> AnyResponse:
    """Pay one invoice."""
    return pay.start_one(LinkKnock(token), reference)


@blueprint.post("/i/<token>/fresh")
def ask_fresh(token: str) -> Response:
    """Mail the fresh link to an address on file; the same answer whether or not it is one."""
    limits.hold_caller("fresh-link", limit=10, period=600)
    try:
        with LinkKnock(token).open():
            pass
    except EndedLink as ended:
        limits.hold("fresh-link-for", token, limit=5, period=900)
        fresh_link.ask(wiring(), ended.link, request.form.get("email", "")[:254])
        return _ended_page(ended, asked=True)
    return account.home(LinkKnock(token))


@blueprint.get("/portal/<slug>/account")
def session_home(slug: str) -> Response:
    """The signed-in customer's account."""
    return account.home(SessionKnock(slug))


@blueprint.get("/portal/<slug>/account/history")
def session_history(slug: str) -> Response:
    """All invoices of the signed-in customer."""
    return history.show(SessionKnock(slug))


@blueprint.get("/portal/<slug>/account/invoice/<reference>")
def session_invoice(slug: str, reference: str) -> Response:
    """One invoice."""
    return invoice.show(SessionKnock(slug), reference)


@blueprint.get("/portal/<slug>/account/invoice/<reference>/pdf")
def session_pdf(slug: str, reference: str) -> Response:
    """One invoice as PDF."""
    return invoice.pdf(SessionKnock(slug), reference)


@blueprint.post("/portal/<slug>/account/pay")
def session_pay(slug: str) -> AnyResponse:
    """Pay what was chosen."""
    return pay.start(SessionKnock(slug))


@blueprint.post("/portal/<slug>/account/invoice/<reference>/pay")
def session_pay_one(slug: str, reference: str) -> AnyResponse:
    """Pay one invoice."""
    return pay.start_one(SessionKnock(slug), reference)


@blueprint.get("/r/<token>")
def receipt(token: str) -> Response:
    """How a payment stands, and its receipt."""
    return receipts.show(token)


@blueprint.get("/x/<install_key>")
def land(install_key: str) -> Response:
    """A template's link."""
    return landing.show(install_key)


@blueprint.post("/x/<install_key>/pay")
def land_pay(install_key: str) -> AnyResponse:
    """Pay what a template's link showed."""
    return landing.start(install_key)


@blueprint.post("/x/<install_key>/code")
def land_code(install_key: str) -> AnyResponse:
    """Ask for a code to see the invoice."""
    return landing.send_code(install_key)


@blueprint.get("/brand/<slug>.css")
def brand_stylesheet(slug: str) -> Response:
    """A merchant's colours."""
    address = brand_of(wiring(), slug)
    response = Response(brand.stylesheet(address.colour), mimetype="text/css")
    return _keep(response, address.brand.version)


@blueprint.get("/brand/<slug>/logo")
def brand_logo(slug: str) -> Response:
    """A merchant's logo."""
    content, media_type = logo_of(wiring(), slug)
    if media_type not in _LOGOS:
        raise NotFound("There is no logo.")
    return _keep(Response(content, mimetype=media_type), request.args.get("v", ""))


def _keep(response: Response, version: str) -> Response:
    asked = request.args.get("v")
    response.headers["Cache-Control"] = _FOR_GOOD if asked and asked == version else "public, max-age=300"
    return response


@blueprint.errorhandler(EndedLink)
def ended(error: EndedLink) -> Response:
    """410: whom to ask, and a form that mails the fresh link."""
    return _ended_page(error)


def _ended_page(error: EndedLink, *, asked: bool = False) -> Response:
    page = current_app.jinja_env.get_template("portal/ended.html").render(
        brand=error.brand, path=f"/i/{error.token}/fresh", asked=asked
    )
    return Response(page, status=200 if asked else 410, mimetype="text/html")


@blueprint.errorhandler(SignInNeeded)
def sign_in_first(error: SignInNeeded) -> AnyResponse:
    """To the portal's front page."""
    return redirect(f"/portal/{error.slug}", 303)
