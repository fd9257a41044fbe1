"""Links: one line, placed again and again, replaced, read back and taken away; the merchant's text is theirs."""

from __future__ import annotations

import pytest

from connector.contract import Gone, LinkSpot, Refused, SeenText
from connector.domain.links import OWNED_PREFIX, link_line, link_url, mint_token
from tests.contract.rigs import SystemRig, Taken, manifest_of

PUBLIC = "https://pay.northwind.example"
TEXTS = [
    "",
    "Thank you!",
    " spaces  around ",
    "one\n\n\ntwo\n",
    "\n\n",
    "ご利用ありがとうございます 🌻",
    "Pay online: by bank transfer, please",
    "Pay online: https://elsewhere.example/i/x is not ours",
    'tab\there, and a \\ backslash, "quotes", <b>tags</b> & ampersands',
]


@pytest.fixture
def links(rig: SystemRig) -> SystemRig:
    """A system whose links are placed on each invoice by API."""
    capabilities = manifest_of(rig).capabilities
    if not (capabilities.link == "field" and capabilities.link_by_api):
        pytest.skip(f"{manifest_of(rig).title} carries no link on an invoice by API (link={capabilities.link!r}).")
    return rig


def spot(remote_id: str, *, instead_of: str | None = None) -> LinkSpot:
    """A link of ours for an invoice."""
    url = link_url(PUBLIC, mint_token())
    return LinkSpot(remote_id, url, link_line(url), f"{OWNED_PREFIX}{PUBLIC}/i/", instead_of)


def lines(text: str) -> list[str]:
    """Our lines in a text."""
    return [line for line in text.split("\n") if f"{PUBLIC}/i/" in line]


@pytest.mark.parametrize("text", TEXTS)
def test_a_line_is_placed_once_and_taken_away_without_a_trace(links: SystemRig, taken: Taken, text: str) -> None:
    (invoice,) = taken.invoices()
    links.write_text(invoice.remote_id, text)
    text = links.text(invoice.remote_id)
    here = spot(invoice.remote_id)
    first = links.system.place_link(links.access, here)
    assert first.changed and first.before == text
    placed = links.text(invoice.remote_id)
    assert lines(placed) == [here.line] and placed.startswith(text)
    again = links.system.place_link(links.access, here)
    assert not again.changed and again.before == text and links.text(invoice.remote_id) == placed
    state = links.system.verify_link(links.access, here)
    assert state.present and state.right and state.where
    gone = links.system.withdraw_link(links.access, here)
    assert gone.changed and links.text(invoice.remote_id) == text
    assert not links.system.withdraw_link(links.access, here).changed
    assert not links.system.verify_link(links.access, here).present


def test_a_new_link_takes_the_old_ones_place(links: SystemRig, taken: Taken) -> None:
    (invoice,) = taken.invoices()
    links.write_text(invoice.remote_id, "Before.\nAfter.")
    old = spot(invoice.remote_id)
    links.system.place_link(links.access, old)
    new = spot(invoice.remote_id, instead_of=old.url)
    state = links.system.verify_link(links.access, new)
    assert state.present and not state.right, "a link of ours stands there, and it is the wrong one"
    placed = links.system.place_link(links.access, new)
    assert placed.changed and placed.before == "Before.\nAfter."
    assert lines(links.text(invoice.remote_id)) == [new.line]
    assert links.system.verify_link(links.access, new).right


def test_a_link_left_behind_by_an_older_connection_is_replaced_too(links: SystemRig, taken: Taken) -> None:
    """Nobody remembers its address; it is known by its beginning."""
    (invoice,) = taken.invoices()
    links.system.place_link(links.access, spot(invoice.remote_id))
    here = spot(invoice.remote_id)
    links.system.place_link(links.access, here)
    assert lines(links.text(invoice.remote_id)) == [here.line]


def test_text_the_merchant_adds_around_our_line_is_kept(links: SystemRig, taken: Taken) -> None:
    (invoice,) = taken.invoices()
    here = spot(invoice.remote_id)
    links.write_text(invoice.remote_id, "Hello")
    links.system.place_link(links.access, here)
    links.write_text(invoice.remote_id, f"First\n{links.text(invoice.remote_id)}\nLast")
    links.system.place_link(links.access, here)
    assert lines(links.text(invoice.remote_id)) == [here.line]
    links.system.withdraw_link(links.access, here)
    left = links.text(invoice.remote_id)
    assert "First" in left and "Hello" in left and left.endswith("Last") and not lines(left)


def test_what_does_not_fit_is_refused_and_nothing_is_cut(links: SystemRig, taken: Taken) -> None:
    limit = manifest_of(links).capabilities.link_limit
    assert limit > 0, "a system whose links stand in a field says how long it may be"
    (invoice,) = taken.invoices()
    here = spot(invoice.remote_id)
    room = limit - len(here.line)
    for length in (limit, limit - 1, room, room - 1):
        text = "m" * length
        links.write_text(invoice.remote_id, text)
        if length + 1 + len(here.line) > limit:
            with pytest.raises(Refused) as told:
                links.system.place_link(links.access, here)
            assert str(limit) in f"{told.value.why.replace(',', '')}" and links.text(invoice.remote_id) == text
        else:
            links.system.place_link(links.access, here)
            assert links.text(invoice.remote_id).startswith(text) and len(links.text(invoice.remote_id)) <= limit


def test_an_old_reading_of_the_text_never_wins_over_the_merchants_new_one(links: SystemRig, taken: Taken) -> None:
    (invoice,) = taken.invoices()
    for old in ("what the sync had read", "n" * 995):
        seen = SeenText(links.system.invoice(links.access, invoice.remote_id).version, old)
        links.write_text(invoice.remote_id, f"written since: {len(old)}")
        here = spot(invoice.remote_id)
        placed = links.system.place_link(
            links.access, LinkSpot(here.remote_id, here.url, here.line, here.owned, None, seen)
        )
        assert placed.before == f"written since: {len(old)}"
        assert links.text(invoice.remote_id).startswith(f"written since: {len(old)}")
        links.system.withdraw_link(links.access, here)


def test_nothing_else_on_the_invoice_changes(links: SystemRig, taken: Taken) -> None:
    (invoice,) = taken.invoices()
    here = spot(invoice.remote_id)
    before = links.system.invoice(links.access, invoice.remote_id)
    links.system.place_link(links.access, here)
    links.system.withdraw_link(links.access, here)
    after = links.system.invoice(links.access, invoice.remote_id)
    assert after._replace(version="", updated_at=None) == before._replace(version="", updated_at=None)


def test_an_invoice_with_nothing_to_pay_takes_no_link(links: SystemRig, taken: Taken) -> None:
    (voided,) = taken.invoices()
    links.void(voided.remote_id)
    with pytest.raises(Refused):
        links.system.place_link(links.access, spot(voided.remote_id))
    with pytest.raises(Gone):
        links.system.place_link(links.access, spot("999999999"))


def test_links_on_templates_are_guided_and_never_written_on_invoices(rig: SystemRig, taken: Taken) -> None:
    manifest = manifest_of(rig)
    address = f"{PUBLIC}/x/K3y"
    if manifest.capabilities.link != "template":
        assert rig.system.guide(address) is None and not rig.system.themes(rig.access, address)
        pytest.skip(f"{manifest.title} carries links on no template (link={manifest.capabilities.link!r}).")
    guide = rig.system.guide(address)
    assert (
        guide is not None and guide.text.startswith(f"{address}?") and all(step.endswith(".") for step in guide.steps)
    )
    themes = rig.system.themes(rig.access, address)
    assert themes and sum(theme.default for theme in themes) == 1
    (invoice,) = taken.invoices()
    for ask in (rig.system.place_link, rig.system.verify_link):
        with pytest.raises(Refused) as told:
            ask(rig.access, spot(invoice.remote_id))
        assert told.value.code == "by_theme"
    assert not rig.system.withdraw_link(rig.access, spot(invoice.remote_id)).changed
    if not manifest.capabilities.link_by_api:
        with pytest.raises(Refused):
            rig.system.place_on_theme(rig.access, themes[0].ref, address)
