"""A mail that no server takes: never tried again, never in the way of the next, and no code stays readable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller

from connector.db import tables as t
from connector.demo.browser import Browser, Page
from connector.demo.processes import free_ports
from connector.domain.work import Work
from connector.journeys import send_mail
from tests.mail.test_mailer import Postman
from tests.walks.standing import Place
from tests.walks.world import world


@dataclass
class Town:
    """A place, and the postman of its mail server, who answers as he is told."""

    place: Place
    postman: Postman

    def customer(self) -> str:
        """The address of a customer with an open invoice."""
        (invoice,) = self.place.invoices("quickbooks")
        with self.place.here.wiring.database.view(self.place.here.merchant_id) as view:
            return view.invoices.customer_addresses(invoice.connection_id, invoice.customer)[0]

    def asks_for_a_code(self, browser: Browser, address: str) -> Page:
        """On the portal's page; where the code is typed in then."""
        with self.place.here.wiring.database.view(self.place.here.merchant_id) as view:
            slug = view.merchants.get().slug
        page = browser.get(f"{self.place.here.public_url}/portal/{slug}")
        return browser.submit(page, f"/portal/{slug}", email=address)

    def mails(self) -> list[sa.Row[str, str, str, bytes]]:
        """State, id, problem and sealed words of every mail, oldest first."""
        m = t.mails.c
        with self.place.here.wiring.database.engine.connect() as connection:
            return list(connection.execute(sa.select(m.state, m.id, m.problem, m.sealed_values).order_by(m.created_at)))


@pytest.fixture
def town(schema_url: str) -> Iterator[Town]:
    """QuickBooks connected, on each database, with a real SMTP server."""
    postman, (port,) = Postman(), free_ports(1)
    server = Controller(postman, hostname="127.0.0.1", port=port)
    server.start()
    environment = {"DUEBRIDGE_SMTP_HOST": "127.0.0.1", "DUEBRIDGE_SMTP_PORT": str(port)}
    try:
        with world(schema_url, invoices=8, environment=environment) as here:
            place = Place(here, {"quickbooks": here.connect("quickbooks")})
            here.work()
            yield Town(place, postman)
    finally:
        server.stop()


def test_a_mailbox_that_does_not_exist_is_told_once_and_the_next_mail_goes_out(town: Town) -> None:
    here, browser, address = town.place.here, Browser(), town.customer()
    town.postman.recipient_answer = "550 5.1.1 There is no such mailbox"
    town.asks_for_a_code(browser, address)
    here.work()
    ((state, mail_id, problem, sealed),) = town.mails()
    assert state == "refused" and "no such mailbox" in problem and sealed == b""
    with here.wiring.database.view(here.merchant_id) as view:
        work = view.work.find(Work.MAIL, mail_id)
    assert work is not None and work.state == "done"
    town.postman.recipient_answer = "250 OK"
    # Whoever died before it could say that the work is done is followed by another who does it again.
    send_mail.run(here.wiring, work.item)
    assert town.mails()[0].state == "refused" and not town.postman.messages
    typed = town.asks_for_a_code(browser, address)
    here.work()
    assert [mail.state for mail in town.mails()] == ["refused", "sent"]
    (message,) = town.postman.messages
    body = message.get_body(("plain",))
    assert body is not None and town.postman.recipients == [address]
    found = re.search(r"\b\d{6}\b", body.get_content())
    assert found and "Sign out" in browser.submit(typed, "/code/", code=found[0]).html
