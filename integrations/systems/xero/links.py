"""Where a pay link stands in Xero: on branding themes, never on one invoice.

By hand (every merchant): the address below is pasted once as a custom payment URL and chosen for each theme; Xero
fills in the four placeholders it has. By API (apps Xero has made payment-service partners): the same, written by us.
Sources: help.xero.com/us/PaymentServices_CustomSetup, developer.xero.com …/payment-services-integration-with-xero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connector.contract import Guide, Refused, Theme, Unclear
from integrations.systems.xero.client import Client, idempotency_key
from integrations.systems.xero.refusals import refused_element

SERVICE_NAME = "Pay online"
PAY_NOW = "Pay now"
_PLACEHOLDERS = "invoiceNo=[INVOICENUMBER]&currency=[CURRENCY]&amount=[AMOUNTDUE]&shortCode=[SHORTCODE]"


def payment_url(install_url: str) -> str:
    """The custom payment URL of an installation, `install_url` being {public}/x/{install_key}."""
    return f"{install_url}?{_PLACEHOLDERS}"


def guide(install_url: str) -> Guide:
    """What the merchant pastes, and where."""
    return Guide(
        text=payment_url(install_url),
        steps=(
            "In Xero, open the organisation menu, choose Settings and then Online payments.",
            "Choose Add payment service, then Custom payment URL.",
            f"Name it {SERVICE_NAME}, paste the address shown here into Custom payment URL without changing it, "
            f"enter {PAY_NOW} as the button text and save.",
            "Choose Manage themes (or Invoice settings) and pick the new service for each theme you send invoices in.",
            "Come back here, confirm each theme, and open one invoice as your customer sees it to try the button.",
        ),
    )


def by_theme() -> Refused:
    """The answer where a link on one invoice is asked for."""
    return Refused(
        "Xero shows the pay button by branding theme, not by invoice: set it up once under Links.", "by_theme"
    )


def themes(client: Client, install_url: str, *, partner: bool) -> tuple[Theme, ...]:
    """The branding themes in Xero's order, the default first. Links can be read with the partner scope only."""
    plain = _plain_themes(client)
    if not partner:
        return plain
    return tuple(replace(theme, link=_our_link(client.theme_services(theme.ref), install_url)) for theme in plain)


def place(client: Client, theme_id: str, install_url: str) -> Theme:
    """Make our payment service stand on one theme and read it back. Repeatable: nothing is created twice."""
    theme = next((theme for theme in _plain_themes(client) if theme.ref == theme_id), None)
    if theme is None:
        raise Refused("Xero no longer has this branding theme.", "theme")
    link = _our_link(client.theme_services(theme_id), install_url)
    if not link:
        service = _our_service(client, install_url)
        client.add_theme_service(theme_id, service, idempotency_key(client.tenant, "theme", theme_id, service))
        link = _our_link(client.theme_services(theme_id), install_url)
    if not link:
        raise Unclear("Xero took the payment service but does not show it on the theme yet; look again.")
    return replace(theme, link=link)


def _plain_themes(client: Client) -> tuple[Theme, ...]:
    rows = sorted(client.branding_themes(), key=_order)
    return tuple(
        Theme(ref=str(row["BrandingThemeID"]), name=str(row.get("Name") or ""), default=place == 0, link=None)
        for place, row in enumerate(rows)
        if row.get("BrandingThemeID")
    )


def _our_service(client: Client, install_url: str) -> str:
    for service in client.payment_services():
        if _is_ours(service, install_url):
            return str(service["PaymentServiceID"])
    created = client.create_payment_service(
        {"PaymentServiceName": SERVICE_NAME, "PaymentServiceUrl": payment_url(install_url), "PayNowText": PAY_NOW},
        idempotency_key(client.tenant, "service", install_url),
    )
    if refusal := refused_element(created):
        raise refusal
    return str(created["PaymentServiceID"])


def _our_link(services: list[Mapping[str, Any]], install_url: str) -> str:
    return next((str(one["PaymentServiceUrl"]) for one in services if _is_ours(one, install_url)), "")


def _is_ours(service: Mapping[str, Any], install_url: str) -> bool:
    return str(service.get("PaymentServiceUrl") or "").split("?", 1)[0] == install_url


def _order(row: Mapping[str, Any]) -> tuple[int, str]:
    order = row.get("SortOrder")
    return (order if isinstance(order, int) else 1_000_000, str(row.get("Name") or ""))
