"""Links upstream through everything that ends or replaces them; the merchant's own text comes back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

import pytest
import requests

from connector.contract import Access, Disconnected, LinkSpot, PlacedLink
from connector.domain.links import LONGEST_LINK, OWNED_PREFIX, Scope
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.errors import Conflict, Invalid, Unavailable
from connector.journeys import connect, inject
from integrations.systems.quickbooks.adapter import QuickBooks
from integrations.systems.quickbooks.simulator import upstream
from integrations.systems.xero.simulator import XeroConfig
from integrations.systems.xero.simulator.books import THEME, new_id
from tests.walks.standing import Place, new_form
from tests.walks.world import World, world

# What merchants write: blank lines, spaces at either end, other alphabets, emoji, an address of their own.
TEXTS = (
    "",
    "Thank you for your business!",
    "  two spaces before and behind  ",
    "Danke sehr.\n\n\nIhr Team 🌻\n",
    "ご利用ありがとうございます。\n振込先: みずほ銀行",
    "Pay online: ask us how\nhttps://northwind.example/pay",
    "\n\n",
    "tab\there",
    "x" * 900,
)


@pytest.fixture
def fresh_place(sqlite_schema_url: str) -> Iterator[Place]:
    """QuickBooks connected in a world of its own, its invoices bearing all sorts of texts; links are not placed yet."""
    with world(sqlite_schema_url, invoices=45) as here:
        place = Place(here, {})
        for number, row in enumerate(row for row in here.books("quickbooks")["invoices"] if row["open"]):
            place.control("quickbooks", f"invoices/{row['id']}/memo", memo=TEXTS[number % len(TEXTS)])
        place.connections = {"quickbooks": here.connect("quickbooks")}
        yield place


def memos(here: World) -> dict[str, str]:
    """The customer's message of every invoice, as QuickBooks keeps it."""
    (books,) = upstream(here.upstreams.apps["quickbooks"]).books.values()
    return {row.doc["Id"]: row.doc.get("CustomerMemo", {}).get("value", "") for row in books.rows("Invoice")}


def ours(memo: str) -> list[str]:
    """Our addresses in a text."""
    return [line.strip().removeprefix(OWNED_PREFIX) for line in memo.split("\n") if "/i/" in line]


def state(place: Place, connection_id: int) -> str:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        return view.connections.get(connection_id).state


def placements(place: Place, connection_id: int, *states: str) -> Mapping[str, Any]:
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        return {row.target: row for row in view.links.placements(connection_id, states, 1000)}


def open_ids(here: World) -> set[str]:
    return {row["id"] for row in here.books("quickbooks")["invoices"] if row["open"]}


def end(place: Place, connection_id: int, *, withdraw: bool) -> None:
    connect.disconnect(place.here.wiring, place.here.merchant_id, connection_id, withdraw_links=withdraw, user_id=1)


def reconnected(place: Place, connection_id: int) -> None:
    """The merchant consents again, for the connection that was ended."""
    assert place.here._consent("quickbooks", connection_id) == connection_id
    place.here.work()


def test_every_open_invoice_carries_one_link_that_leads_to_it(fresh_place: Place) -> None:
    before = memos(fresh_place.here)
    fresh_place.here.work()
    after = memos(fresh_place.here)
    urls = []
    for remote_id, memo in after.items():
        if remote_id not in open_ids(fresh_place.here):
            assert memo == before[remote_id]
            continue
        (url,) = ours(memo)
        assert memo.startswith(before[remote_id]) and memo.endswith(f"{OWNED_PREFIX}{url}")
        assert len(url) <= LONGEST_LINK and len(memo) <= 1000
        urls.append(url)
        assert requests.get(url, timeout=10).status_code == 200
    assert len(set(urls)) == len(urls) > len(TEXTS)


def test_a_regenerated_link_replaces_the_old_one_here_and_upstream(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    before = memos(here)
    here.work()
    target = sorted(open_ids(here))[0]
    (old,) = ours(memos(here)[target])
    new = inject.regenerate(here.wiring, here.merchant_id, connection_id, Scope.INVOICE, target, 1)
    gone = requests.get(old, timeout=10)
    assert new != old and gone.status_code == 410 and "alex@northwind.example" in gone.text, "whom to ask"
    here.work()
    memo = memos(here)[target]
    assert ours(memo) == [new] and memo.startswith(before[target])
    assert requests.get(new, timeout=10).status_code == 200
    inject.check(here.wiring, here.merchant_id, connection_id, target)
    assert placements(fresh_place, connection_id, "placed")[target]


def test_a_link_regenerated_while_the_old_one_was_being_placed_is_the_one_that_stands(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    made: dict[str, str] = {}
    place_link = QuickBooks.place_link

    def meanwhile(self: QuickBooks, access: Access, spot: LinkSpot) -> PlacedLink:
        placed = place_link(self, access, spot)
        if not made:
            made[spot.remote_id] = inject.regenerate(
                here.wiring, here.merchant_id, connection_id, Scope.INVOICE, spot.remote_id, 1
            )
        return placed

    with patch.object(QuickBooks, "place_link", meanwhile):
        here.work()
    ((target, url),) = made.items()
    assert ours(memos(here)[target]) == [url]
    assert requests.get(url, timeout=10).status_code == 200


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "drop_before_commit", "truncated_json"])
def test_a_placement_whose_answer_was_lost_stands_once(fresh_place: Place, fault: str) -> None:
    here = fresh_place.here
    here.fault("quickbooks", fault, "invoice.update", times=3)
    for _ in range(4):
        here.work()
        here.advance(40)
    memo_of = memos(here)
    assert all(len(ours(memo_of[remote_id])) == 1 for remote_id in open_ids(here))


def test_a_text_that_leaves_no_room_is_never_cut_and_the_merchant_is_told(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    target = sorted(open_ids(here))[0]
    fresh_place.control("quickbooks", f"invoices/{target}/memo", memo="y" * 990)
    here.work()
    assert memos(here)[target] == "y" * 990
    refused = placements(fresh_place, connection_id, "refused")
    assert set(refused) == {target}
    fresh_place.control("quickbooks", f"invoices/{target}/memo", memo="y" * 400)
    inject.place_again(here.wiring, here.merchant_id, connection_id, target)
    here.work()
    assert len(ours(memos(here)[target])) == 1 and memos(here)[target].startswith("y" * 400)


def test_disconnecting_with_links_withdrawn_leaves_every_text_as_it_was(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    before = memos(here)
    here.work()
    standing = [url for memo in memos(here).values() for url in ours(memo)]
    tokens = here.wiring.token_store.read(str(connection_id))
    end(fresh_place, connection_id, withdraw=True)
    assert state(fresh_place, connection_id) == "disconnecting"
    here.work()
    assert memos(here) == before, "byte for byte"
    assert state(fresh_place, connection_id) == "disconnected"
    assert {requests.get(url, timeout=10).status_code for url in standing} == {410}
    with pytest.raises(Disconnected):
        here.wiring.token_store.read(str(connection_id))
    with pytest.raises(Disconnected):
        here.wiring.system("quickbooks").refresh(tokens)


def test_disconnecting_twice_still_withdraws_before_the_access_ends(fresh_place: Place) -> None:
    before = memos(fresh_place.here)
    connection_id = fresh_place.connections["quickbooks"]
    fresh_place.here.work()
    for _ in range(3):
        end(fresh_place, connection_id, withdraw=True)
    fresh_place.here.work()
    assert memos(fresh_place.here) == before and state(fresh_place, connection_id) == "disconnected"
    end(fresh_place, connection_id, withdraw=True)
    fresh_place.here.work()
    assert state(fresh_place, connection_id) == "disconnected"


def test_a_link_placed_in_the_moment_of_disconnecting_is_withdrawn_too(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    before = memos(here)
    asked: list[str] = []
    place_link = QuickBooks.place_link

    def meanwhile(self: QuickBooks, access: Access, spot: LinkSpot) -> PlacedLink:
        if not asked:
            asked.append(spot.remote_id)
            end(fresh_place, connection_id, withdraw=True)
        return place_link(self, access, spot)

    with patch.object(QuickBooks, "place_link", meanwhile):
        here.work()
    here.work()
    assert asked and memos(here) == before and state(fresh_place, connection_id) == "disconnected"


def test_a_withdrawal_whose_answers_are_lost_is_finished_all_the_same(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    before = memos(here)
    here.work()
    here.fault("quickbooks", "drop_after_commit", "invoice.update", times=2)
    here.fault("quickbooks", "error_before_commit", "invoice.update", times=2)
    end(fresh_place, connection_id, withdraw=True)
    for _ in range(6):
        here.work()
        here.advance(40)
    assert memos(here) == before and state(fresh_place, connection_id) == "disconnected"


@pytest.mark.parametrize("withdraw", [True, False])
def test_connecting_again_places_links_that_work(fresh_place: Place, withdraw: bool) -> None:
    """Links left standing were ended with the connection: whoever opens one must not stay before a closed door."""
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    before = memos(here)
    here.work()
    end(fresh_place, connection_id, withdraw=withdraw)
    here.work()
    if not withdraw:
        assert {len(ours(memos(here)[remote_id])) for remote_id in open_ids(here)} == {1}
    reconnected(fresh_place, connection_id)
    assert state(fresh_place, connection_id) == "active"
    for remote_id in open_ids(here):
        memo = memos(here)[remote_id]
        (url,) = ours(memo)
        assert requests.get(url, timeout=10).status_code == 200
        assert memo.startswith(before[remote_id])
    end(fresh_place, connection_id, withdraw=True)
    here.work()
    assert memos(here) == before


def test_an_access_the_vendor_will_not_end_is_forgotten_here_and_told(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    here.work()
    end(fresh_place, connection_id, withdraw=False)
    here.fault("quickbooks", "drop_before_commit", "token.revoke", times=1)
    here.work()
    assert state(fresh_place, connection_id) == "disconnecting", "not known yet: asked again"
    for _ in range(3):
        here.advance(61)
        here.work()
    assert state(fresh_place, connection_id) == "disconnected"


def _cut_off(place: Place, system: str) -> None:
    """The merchant removes our app inside the system."""
    if system == "quickbooks":
        place.control("quickbooks", "disconnect")
        return
    with place.here.wiring.database.view(place.here.merchant_id) as view:
        extra = view.connections.get(place.connections["xero"]).extra
    answer = requests.post(
        f"{place.here.upstream_url}/xero/settings/connected-apps",
        data={"connection": extra["connection_id"]},
        allow_redirects=False,
        timeout=10,
    )
    assert answer.status_code == 303


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_payments_taken_while_the_access_was_gone_are_recorded_after_connecting_again(
    sqlite_schema_url: str, system: str
) -> None:
    with world(sqlite_schema_url, invoices=60) as here:
        place = Place(here, {system: here.connect(system)})
        here.work()
        (invoice,), (later,) = place.invoices(system), place.invoices(system)
        form_key = new_form()
        address = here.start_payment([invoice], form_key=form_key)
        _cut_off(place, system)
        here.press(address)
        payment_id = place.of_form(form_key).id
        place.until(payment_id, PaymentState.SETTLED)
        here.settle(lambda: state(place, place.connections[system]) == "broken")
        assert {row.state for row in here.postings(payment_id)} <= {PostingState.QUEUED, PostingState.SENDING}
        assert place.ledger(payment_id), "the money is ours to account for all the same"
        with pytest.raises(Unavailable, match="paused online payment"):
            here.start_payment([later])
        here.reconnect(place.connections[system], system)
        place.posted(payment_id)
        assert place.upstream(system, payment_id) == [invoice.balance]
        assert place.holder(invoice) is None
        place.posted(place.pay([later]))


def test_another_organisation_than_the_connections_own_is_refused(fresh_place: Place) -> None:
    """The consent names a company we did not ask for: nothing of the old connection is touched."""
    connection_id = fresh_place.connections["quickbooks"]
    fresh_place.here.work()
    with fresh_place.here.wiring.database.unit_of_work(fresh_place.here.merchant_id) as uow:
        uow.connections.change(connection_id, state="broken", tenant="another")
    with pytest.raises(Invalid, match="another organisation"):
        fresh_place.here._consent("quickbooks", connection_id)
    assert state(fresh_place, connection_id) == "broken"


def test_links_on_templates_we_placed_by_api_do_not_hold_up_a_disconnect(sqlite_schema_url: str) -> None:
    """Only payment-service partners place there; the merchant takes them off, and is told so."""

    def partner(**figures: Any) -> XeroConfig:
        return XeroConfig(**figures, partner=True)

    with (
        patch("tests.walks.world.XeroConfig", partner),
        world(sqlite_schema_url, environment={"DUEBRIDGE_XERO_PAYMENT_SERVICES": "1"}) as here,
    ):
        place = Place(here, {"xero": here.connect("xero")})
        here.work()
        connection_id = place.connections["xero"]
        assert len(placements(place, connection_id, "placed")) == 3
        end(place, connection_id, withdraw=True)
        here.work()
        assert state(place, connection_id) == "disconnected"
        assert len(placements(place, connection_id, "withdrawn")) == 3


def test_an_ended_connection_places_nothing(fresh_place: Place) -> None:
    here, connection_id = fresh_place.here, fresh_place.connections["quickbooks"]
    here.work()
    target = sorted(open_ids(here))[0]
    end(fresh_place, connection_id, withdraw=True)
    here.work()
    for ask in (
        lambda: inject.place_again(here.wiring, here.merchant_id, connection_id, target),
        lambda: inject.regenerate(here.wiring, here.merchant_id, connection_id, Scope.INVOICE, target, 1),
        lambda: inject.generate(here.wiring, here.merchant_id, connection_id, Scope.INVOICE, target, 1),
    ):
        with pytest.raises(Conflict):
            ask()
    assert not ours(memos(here)[target])


def _themes(place: Place, connection_id: int) -> set[str]:
    """The names of the themes a merchant is asked to put the link on."""
    return {row.target_name for row in placements(place, connection_id, "manual").values()}


def test_a_theme_made_later_is_found_when_the_merchant_asks(schema_url: str) -> None:
    with world(schema_url) as here:
        place = Place(here, {"xero": here.connect("xero")})
        here.work()
        connection_id = place.connections["xero"]
        assert _themes(place, connection_id) == {"Standard", "Projects", "Japan"}
        books = here.upstreams.apps["xero"].extensions["xero"]["books"]
        organisation = books.open(books.organisations()[0]["id"])
        organisation.save(THEME, {"id": new_id(), "name": "Christmas", "sort": 3, "service": None})
        here.work()
        assert "Christmas" not in _themes(place, connection_id)
        inject.ask(here.wiring, here.merchant_id, connection_id)
        here.work()
        assert _themes(place, connection_id) == {"Standard", "Projects", "Japan", "Christmas"}
        with here.wiring.database.unit_of_work(here.merchant_id) as uow:
            uow.connections.change(connection_id, place_links=False)
        with pytest.raises(Conflict, match="Turn them on"):
            inject.ask(here.wiring, here.merchant_id, connection_id)
