"""What customers do to a payment page: twice, in two tabs, by two people, back and again, too late. Real pages over
HTTP on both databases; each ends in one payment in the books, or in a clear message and none."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

import pytest
import requests

from connector.db.rows import InvoiceRow
from connector.demo.browser import page_of
from connector.domain.links import Scope
from connector.journeys import inject, sync
from tests.walks.standing import Place
from tests.walks.world import world

_CLICKS = 6
Answer = requests.Response


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """QuickBooks connected, on each database."""
    server = None
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("customers") / "duebridge.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        url = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database(request.getfixturevalue("postgresql_template"))
    with world(url, invoices=120) as here:
        connections = {"quickbooks": here.connect("quickbooks")}
        here.work()
        yield Place(here, connections)
    if server is not None:
        server.drop_database(url)


@pytest.fixture(autouse=True)
def unhurried(place: Place) -> None:
    """Nobody is held back for how often the test before has pressed."""
    place.end_silence()


class Customer:
    """A person with a browser of their own, at the page of one invoice."""

    def __init__(self, place: Place, address: str) -> None:
        self._place = place
        self.session = requests.Session()
        self.address = urljoin(place.here.public_url, address)

    def signs_in(self, invoice: InvoiceRow) -> Customer:
        """With the cookie a mailed code leads to."""
        with self._place.here.wiring.database.unit_of_work(self._place.here.merchant_id) as uow:
            token = uow.sessions.open_customer(
                connection_id=invoice.connection_id, customer=invoice.customer, invoice="", email="a@customer.example"
            )
        self.session.cookies.set("duebridge-customer", token)
        return self

    def opens(self) -> Tab:
        """The invoice's page in a new tab."""
        seen = self.session.get(self.address, timeout=30)
        assert seen.status_code == 200, seen.text
        return Tab(self, seen)


class Tab:
    """A page as it was when it was opened, whatever has happened since."""

    def __init__(self, customer: Customer, seen: Answer) -> None:
        self._customer = customer
        self._form = page_of(seen).form("/pay")

    def pays(self, **changed: str) -> Answer:
        """Press Pay."""
        fields = {**self._form.fields, **changed}
        return self._customer.session.post(self._form.action, data=fields, timeout=60, allow_redirects=False)


def _link(place: Place, invoice: InvoiceRow) -> str:
    """A new link of the invoice; the one before ends."""
    here = place.here
    return inject.regenerate(here.wiring, here.merchant_id, invoice.connection_id, Scope.INVOICE, invoice.remote_id, 1)


def _together(presses: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Everybody presses in the same moment."""
    gate = threading.Barrier(len(presses))

    def one(press: Callable[[], Answer]) -> Answer:
        gate.wait(30)
        return press()

    with ThreadPoolExecutor(len(presses)) as people:
        return list(people.map(one, presses))


def _sent_to(answers: Sequence[Answer]) -> str:
    """The one checkout that all who were sent anywhere were sent to; the others were told why, in plain words."""
    sent = {answer.headers["Location"] for answer in answers if answer.status_code == 303}
    assert len(sent) == 1, [(answer.status_code, answer.headers.get("Location")) for answer in answers]
    for answer in answers:
        if answer.status_code != 303:
            assert answer.status_code == 409 and "already under way" in answer.text, answer.text
    return sent.pop()


def _standing(place: Place) -> int:
    """How many payments stand in the books upstream."""
    return sum(not record.get("reversed") for record in place.here.books("quickbooks")["payments"])


def _finish(place: Place, invoice: InvoiceRow, checkout: str) -> None:
    """Approve on the gateway's page, let everything be written back: paid once, here and upstream, nothing locked."""
    payment_id, before = place.holder(invoice), _standing(place)
    assert payment_id is not None
    place.here.press(checkout)
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [invoice.balance]
    _paid_once(place, invoice, before + 1)


def _paid_once(place: Place, invoice: InvoiceRow, standing: int) -> None:
    place.here.work()
    assert _standing(place) == standing and place.due("quickbooks", invoice) == 0
    assert place.holder(invoice) is None and place.mirrored(invoice).balance == 0
    assert place.here.ledger_is_zero()


def _told_that_it_is_paid(answer: Answer) -> None:
    if answer.status_code == 303:
        assert "/r/" in answer.headers["Location"], "the receipt of the payment that was made"
    else:
        assert answer.status_code == 409 and "nothing left to pay" in answer.text


def _nothing_under_way(place: Place, invoice: InvoiceRow) -> None:
    assert place.holder(invoice) is None
    place.here.work()
    assert place.due("quickbooks", invoice) == place.mirrored(invoice).balance


def test_a_double_click_is_one_payment(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    tab = Customer(place, _link(place, invoice)).opens()
    _finish(place, invoice, _sent_to(_together([tab.pays] * _CLICKS)))


def test_two_tabs_are_one_payment(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    customer = Customer(place, _link(place, invoice))
    tabs = [customer.opens() for _ in range(_CLICKS)]
    _finish(place, invoice, _sent_to(_together([tab.pays for tab in tabs])))


def test_two_people_are_one_payment_and_the_later_is_told_that_it_is_paid(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    address = _link(place, invoice)
    office, owner, late = (Customer(place, address).opens() for _ in range(3))
    _finish(place, invoice, _sent_to(_together([office.pays, owner.pays])))
    standing = _standing(place)
    _told_that_it_is_paid(late.pays())
    _paid_once(place, invoice, standing)


def test_a_guest_and_somebody_signed_in_are_one_payment(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    guest = Customer(place, _link(place, invoice)).opens()
    account = Customer(place, "/portal/northwind/account").signs_in(invoice)
    page = account.session.get(account.address, timeout=30)
    assert page.status_code == 200
    number = re.escape(invoice.number)
    (path,) = set(re.findall(rf'href="([^"]*/account/invoice/[^"]+)"[^>]*>[^<]*{number}\b', page.text))
    signed_in = Customer(place, path)
    signed_in.session = account.session
    _finish(place, invoice, _sent_to(_together([guest.pays, signed_in.opens().pays] * 3)))


def test_back_and_pay_again_leads_to_the_receipt(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    customer = Customer(place, _link(place, invoice))
    tab = customer.opens()
    checkout = _sent_to([tab.pays()])
    assert _sent_to([tab.pays()]) == checkout, "back before paying: the same page of the gateway"
    _finish(place, invoice, checkout)
    standing = _standing(place)
    for _ in range(2):
        _told_that_it_is_paid(tab.pays())
    _paid_once(place, invoice, standing)


def test_back_after_paying_while_nobody_has_told_us_yet_makes_no_second_payment(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    tab = Customer(place, _link(place, invoice)).opens()
    checkout = _sent_to([tab.pays()])
    payment_id, before = place.holder(invoice), _standing(place)
    assert payment_id is not None
    place.here.press(checkout)
    assert _sent_to([tab.pays()]) == checkout, "the gateway's page says itself that it is paid"
    place.posted(payment_id)
    _paid_once(place, invoice, before + 1)


def test_paying_while_a_sync_brings_another_amount_charges_nothing_and_says_so(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    customer = Customer(place, _link(place, invoice))
    tabs = [customer.opens() for _ in range(3)]
    place.by_hand("quickbooks", invoice, "pay", amount="1.00")
    sync.ask(place.here.wiring, place.here.merchant_id, invoice.connection_id)
    syncing = threading.Thread(target=place.here.work)
    syncing.start()
    answers = _together([tab.pays for tab in tabs])
    syncing.join(60)
    for answer in answers:
        assert answer.status_code in (400, 409), answer.headers
        assert re.search(r"has changed|Only .* is due|Nothing was charged", answer.text), answer.text
    _nothing_under_way(place, invoice)
    fresh = place.mirrored(invoice)
    assert fresh.balance == invoice.balance - 100
    payment_id = place.pay([fresh])
    place.posted(payment_id)
    assert place.upstream("quickbooks", payment_id) == [fresh.balance] and place.due("quickbooks", invoice) == 0


def test_a_link_regenerated_a_moment_ago_takes_no_payment_and_says_whom_to_ask(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    tab = Customer(place, _link(place, invoice)).opens()
    newer = _link(place, invoice)
    told = tab.pays()
    assert told.status_code == 410 and "Northwind" in told.text
    _nothing_under_way(place, invoice)
    _finish(place, invoice, _sent_to([Customer(place, newer).opens().pays()]))


def test_a_payment_under_way_when_its_link_is_regenerated_is_finished(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    checkout = _sent_to([Customer(place, _link(place, invoice)).opens().pays()])
    newer = Customer(place, _link(place, invoice)).opens()
    assert _sent_to([newer.pays()]) == checkout, "the new link leads to the payment that is under way"
    _finish(place, invoice, checkout)


def test_a_link_regenerated_in_the_same_moment_is_one_payment_or_none(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    old = Customer(place, _link(place, invoice)).opens()
    newer: list[str] = []
    gate = threading.Barrier(2)

    def regenerate() -> None:
        gate.wait(30)
        newer.append(_link(place, invoice))

    with ThreadPoolExecutor(1) as merchant:
        done = merchant.submit(regenerate)
        gate.wait(30)
        told = old.pays()
        done.result(60)
    assert told.status_code in (303, 410)
    answers = [answer for answer in (told, Customer(place, newer[0]).opens().pays()) if answer.status_code == 303]
    assert answers
    _finish(place, invoice, _sent_to(answers))


def test_the_pdf_is_the_systems_own_and_where_there_is_none_the_page_says_so(place: Place) -> None:
    (invoice,) = place.invoices("quickbooks")
    customer = Customer(place, _link(place, invoice))
    page = page_of(customer.session.get(customer.address, timeout=30))
    (address,) = (link for link in page.links if link.endswith("/pdf"))
    pdf = customer.session.get(address, timeout=30)
    assert pdf.status_code == 200 and pdf.headers["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-") and invoice.number in pdf.headers["Content-Disposition"]
    place.here.fault("quickbooks", "html_503", "invoice.pdf", times=9)
    silent = customer.session.get(address, timeout=30)
    assert silent.status_code == 503 and "try again in a minute" in silent.text
    place.control("quickbooks", "faults/clear")
    place.end_silence()
    place.by_hand("quickbooks", invoice, "delete")
    gone = customer.session.get(address, timeout=30)
    assert gone.status_code == 404 and "no PDF any more" in gone.text
