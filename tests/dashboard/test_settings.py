"""Brand and payment settings: previewed, checked, stored; the checklist knows."""

from __future__ import annotations

import io

import pytest

from tests.dashboard.firm import Firm, open_product, sign_up

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def brand(**change: str) -> dict[str, str]:
    """A brand's form."""
    form = {"name": "Bäckerei", "colour": "#14532d", "help_email": "brot@b.example", "help_phone": "+49 1"}
    return form | change


def test_the_checklist_follows_what_is_done(firm: Firm) -> None:
    page = firm.get("/").text
    assert "4 steps to your first payment" in page
    firm.settle_in()
    assert "2 steps to your first payment" in firm.get("/").text
    connection = firm.connection(state="pending")
    assert f"/connections/{connection}/review" in firm.get("/").text
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.connections.change(connection, state="active")
    assert "1 step to your first payment" in firm.get("/").text
    firm.imported(connection)
    firm.customer(connection)
    invoice = firm.invoice(connection)
    assert "not live yet" in firm.get("/invoices").text
    assert firm.post(f"/invoices/{invoice}/link").status_code == 303
    assert "Setup mode" not in firm.get("/").text
    assert "/portal/muller-gmbh" in firm.get("/invoices").text


def test_a_brand_is_stored_and_shown_to_customers(firm: Firm) -> None:
    assert firm.post("/settings/brand", **brand(), logo=(io.BytesIO(PNG), "logo.png")).status_code == 303
    page = firm.get("/settings/brand").text
    assert 'value="Bäckerei"' in page and "Your brand is saved" in page
    slug = "muller-gmbh"
    assert firm.get(f"/brand/{slug}/logo").data == PNG
    assert "#14532d" in firm.get(f"/brand/{slug}.css").text
    assert firm.post("/settings/brand", **brand(name="Neu")).status_code == 303
    assert firm.get(f"/brand/{slug}/logo").status_code == 200, "a brand saved without a new logo keeps the old one"


def test_a_preview_stores_nothing(small_firm: Firm) -> None:
    answer = small_firm.post("/settings/brand", **brand(colour="#AA0000"), do="preview")
    assert answer.status_code == 200
    assert "Nothing is saved yet" in answer.text and "preview.css?colour=%23aa0000" in answer.text
    assert "aa0000" not in small_firm.get("/settings/brand").text
    sheet = small_firm.get("/settings/brand/preview.css?colour=%23aa0000")
    assert sheet.mimetype == "text/css" and ".preview{--brand:#aa0000" in sheet.text
    assert ":root" not in sheet.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "#0b5cad"),
        ({"colour": "#12345"}, "#0b5cad"),
        ({"colour": "#fff;}body{display:none"}, "#0b5cad"),
        ({"colour": "＃１２３４５６"}, "#0b5cad"),
        ({"name": "  "}, "name customers know you by"),
        ({"help_email": "nowhere"}, "address customers may write to"),
    ],
)
def test_a_brand_that_cannot_be_is_refused_at_its_field(small_firm: Firm, change: dict[str, str], words: str) -> None:
    answer = small_firm.post("/settings/brand", **brand(**change))
    assert answer.status_code == 400
    assert words in answer.text and 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize("colour", ["", "red", "%23fff", "%23aa0000%3B%7Dbody%7B"])
def test_only_colours_reach_the_preview_stylesheet(small_firm: Firm, colour: str) -> None:
    assert small_firm.get(f"/settings/brand/preview.css?colour={colour}").status_code == 400


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"<svg onload=alert(1)>", "PNG, JPEG or WebP picture"), (PNG + b"\0" * 200_000, "larger than 200 kB")],
)
def test_a_logo_that_is_no_picture_or_too_large_is_refused(small_firm: Firm, content: bytes, words: str) -> None:
    answer = small_firm.post("/settings/brand", **brand(), logo=(io.BytesIO(content), "logo.png"))
    assert answer.status_code == 400 and words in answer.text
    assert small_firm.get("/brand/muller-gmbh/logo").status_code == 404


def test_payment_settings_are_stored(firm: Firm) -> None:
    assert firm.post("/settings/payments", gateway="sandbox").status_code == 303
    page = firm.get("/settings/payments").text
    assert 'value="sandbox" required checked' in page and 'name="allow_partial" value="1" checked' not in page
    assert firm.post("/settings/payments", gateway="sandbox", allow_partial="on").status_code == 303
    assert 'name="allow_partial" value="1" checked' in firm.get("/settings/payments").text
    assert firm.count("SELECT count(*) FROM audit_log WHERE action = 'settings.payments'") == 2


@pytest.mark.parametrize("gateway", ["", "stripe", "../x", "sandbox "])
def test_a_gateway_that_is_not_offered_is_refused(small_firm: Firm, gateway: str) -> None:
    answer = small_firm.post("/settings/payments", gateway=gateway)
    assert answer.status_code == 400
    assert "Choose one of the listed payment providers" in answer.text


def test_an_installation_without_a_gateway_says_so(sqlite_schema_url: str) -> None:
    product = open_product(sqlite_schema_url, {})
    firm = sign_up(product)
    assert "No payment provider is set up" in firm.get("/settings/payments").text
    product.wiring.database.engine.dispose()
