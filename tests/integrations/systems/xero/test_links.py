"""Links on branding themes: by hand for everybody, by API for payment-service partners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from connector.contract import LinkSpot, Refused, Unclear
from integrations.systems.xero.links import payment_url
from tests.integrations.systems.xero.connected import Connected, simulated

INSTALL = "https://pay.example.com/x/Kq3fV0"
SPOT = LinkSpot("002b3c80-7369-5a91-b6bb-3f60610d39de", "https://pay.example.com/i/a", "Pay online: …", "Pay online: ")


@pytest.fixture
def partner() -> Iterator[Connected]:
    with simulated(partner=True, options={"payment_services": "1"}) as found:
        found.connect()
        yield found


def services(upstream: Connected) -> int:
    return int(upstream.state()["payment_services"])


def test_the_guide_holds_the_address_to_paste_with_xeros_four_placeholders(upstream: Connected) -> None:
    guide = upstream.xero.guide(INSTALL)
    assert guide is not None
    assert guide.text == (
        "https://pay.example.com/x/Kq3fV0"
        "?invoiceNo=[INVOICENUMBER]&currency=[CURRENCY]&amount=[AMOUNTDUE]&shortCode=[SHORTCODE]"
    )
    assert set(parse_qs(urlsplit(guide.text).query)) == {"invoiceNo", "currency", "amount", "shortCode"}
    assert len(guide.steps) >= 4 and all(step.endswith(".") for step in guide.steps)
    assert any("theme" in step for step in guide.steps)


def test_each_theme_is_a_row_to_confirm_whose_link_cannot_be_read(upstream: Connected) -> None:
    themes = upstream.xero.themes(upstream.access(), INSTALL)
    assert [theme.name for theme in themes] == ["Standard", "Projects", "Japan"]
    assert [theme.default for theme in themes] == [True, False, False]
    assert {theme.link for theme in themes} == {None}


def test_without_the_partner_scope_only_the_merchant_can_place(upstream: Connected) -> None:
    theme = upstream.xero.themes(upstream.access(), INSTALL)[0]
    with pytest.raises(Refused) as refused:
        upstream.xero.place_on_theme(upstream.access(), theme.ref, INSTALL)
    assert refused.value.code == "by_hand"
    assert services(upstream) == 0


def test_a_link_on_one_invoice_is_told_to_stand_on_themes(upstream: Connected) -> None:
    for ask in (upstream.xero.place_link, upstream.xero.verify_link):
        with pytest.raises(Refused) as refused:
            ask(upstream.access(), SPOT)
        assert refused.value.code == "by_theme"
    assert upstream.xero.withdraw_link(upstream.access(), SPOT).changed is False


def test_a_partner_places_on_each_theme_with_one_service_and_reads_back(partner: Connected) -> None:
    access = partner.access()
    themes = partner.xero.themes(access, INSTALL)
    assert {theme.link for theme in themes} == {""}
    for theme in themes:
        assert partner.xero.place_on_theme(access, theme.ref, INSTALL).link == payment_url(INSTALL)
    assert {theme.link for theme in partner.xero.themes(access, INSTALL)} == {payment_url(INSTALL)}
    assert services(partner) == 1


def test_placing_again_creates_nothing(partner: Connected) -> None:
    access = partner.access()
    theme = partner.xero.themes(access, INSTALL)[0]
    first = partner.xero.place_on_theme(access, theme.ref, INSTALL)
    before = partner.requests_to("payment_service.create")
    assert partner.xero.place_on_theme(access, theme.ref, INSTALL) == first
    assert partner.requests_to("payment_service.create") == before
    assert services(partner) == 1


def test_the_customer_sees_the_button_leading_to_the_right_invoice(partner: Connected) -> None:
    access = partner.access()
    for theme in partner.xero.themes(access, INSTALL):
        partner.xero.place_on_theme(access, theme.ref, INSTALL)
    page = requests.get(f"{partner.url}/sent/{SPOT.remote_id}", timeout=10).text
    assert f"{INSTALL}?invoiceNo=INV-1022" in page


def test_anothers_service_on_the_theme_is_not_ours(partner: Connected) -> None:
    access = partner.access()
    theme = partner.xero.themes(access, INSTALL)[0]
    partner.xero.place_on_theme(access, theme.ref, "https://pay.example.com/x/other")
    assert partner.xero.themes(access, INSTALL)[0].link == ""
    assert partner.xero.themes(access, "https://pay.example.com/x/other")[0].link


def test_a_theme_that_is_gone_is_refused(partner: Connected) -> None:
    with pytest.raises(Refused, match="no longer has this branding theme"):
        partner.xero.place_on_theme(partner.access(), "00000000-0000-4000-8000-000000000000", INSTALL)
    assert services(partner) == 0


def test_a_lost_answer_is_unclear_and_placing_again_makes_one_service(partner: Connected) -> None:
    access = partner.access()
    theme = partner.xero.themes(access, INSTALL)[0]
    partner.control("faults", kind="drop_after_commit", operation="payment_service.create", times=1)
    with pytest.raises(Unclear):
        partner.xero.place_on_theme(access, theme.ref, INSTALL)
    assert partner.xero.place_on_theme(access, theme.ref, INSTALL).link
    assert services(partner) == 1


def test_what_xero_does_not_show_is_not_claimed(partner: Connected) -> None:
    access = partner.access()
    theme = partner.xero.themes(access, INSTALL)[0]
    api = f"{partner.url}/api.xro/2.0"
    service: dict[str, Any] = {"PaymentServiceID": "s1", "PaymentServiceUrl": payment_url(INSTALL)}
    with responses.RequestsMock() as mock:
        mock.get(f"{api}/BrandingThemes", json={"BrandingThemes": [{"BrandingThemeID": theme.ref, "Name": "Standard"}]})
        mock.get(f"{api}/BrandingThemes/{theme.ref}/PaymentServices", json={"PaymentServices": []})
        mock.get(f"{api}/PaymentServices", json={"PaymentServices": [service]})
        mock.post(f"{api}/BrandingThemes/{theme.ref}/PaymentServices", json={"PaymentServices": [service]})
        with pytest.raises(Unclear, match="does not show it"):
            partner.xero.place_on_theme(access, theme.ref, INSTALL)
