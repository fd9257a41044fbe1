"""An ended link's visitor asks for a fresh one, by mail, to an address on file."""

from __future__ import annotations

from connector.domain.links import OpenedLink, Scope, link_url
from connector.domain.work import Work
from connector.wiring import Wiring


def ask(wiring: Wiring, ended: OpenedLink, email: str) -> None:
    """Mail the live link to the address if it stands on file for the very customer; the same silence for strangers."""
    address = email.strip().lower()
    with wiring.database.unit_of_work(ended.merchant_id) as uow:
        customer = ended.target
        if ended.scope is Scope.INVOICE:
            invoice = uow.invoices.by_remote(ended.connection_id, ended.target)
            customer = invoice.customer if invoice else ""
        if not customer or address not in uow.invoices.customer_addresses(ended.connection_id, customer):
            return
        _, token = uow.links.mint(ended.connection_id, ended.scope, ended.target)
        mail_id = uow.mails.write(
            address,
            "fresh_link",
            {"url": link_url(wiring.settings.public_url, token)},
        )
        uow.work.add(Work.MAIL, mail_id, partition="mail", payload={"mail": mail_id})
