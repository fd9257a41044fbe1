"""A second proof: a six-digit code mailed to an address that stands on file. Strangers see the same pages."""

from __future__ import annotations

import uuid

from connector.db.codes import LIFETIME_MINUTES, CodeFor
from connector.db.unit_of_work import UnitOfWork
from connector.domain.work import Work
from connector.errors import Invalid
from connector.wiring import Wiring

WRONG_CODE = "This code is not right, was used, or is older than ten minutes. Ask for a new one."


def ask_sign_in(wiring: Wiring, merchant_id: int, email: str) -> str:
    """Customer sign-in: a code goes to the address if it stands on file. The code's id; for strangers one that never
    opens anything, so that nobody can tell the difference."""
    address = email.strip().lower()
    with wiring.database.unit_of_work(merchant_id) as uow:
        customers = uow.invoices.customers_with_address(address) if "@" in address else []
        if not customers:
            return uuid.uuid4().hex
        connection_id, customer = customers[0]
        return _issue(wiring, uow, CodeFor("sign_in", connection_id, customer, "", address), "")


def ask_for_invoice(wiring: Wiring, merchant_id: int, connection_id: int, invoice: str | None) -> str:
    """A template link's second proof: a code goes to the billing contact of the invoice (remote id), if there is
    such an invoice and such a contact. The code's id, as above."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        found = uow.invoices.by_remote(connection_id, invoice) if invoice else None
        addresses = uow.invoices.customer_addresses(connection_id, found.customer) if found else []
        if found is None or not addresses:
            return uuid.uuid4().hex
        what = CodeFor("invoice", connection_id, found.customer, found.remote_id, addresses[0])
        return _issue(wiring, uow, what, found.number)


def redeem(wiring: Wiring, merchant_id: int, code_id: str, code: str) -> str:
    """The right code opens a customer session; its cookie's token. Raises Invalid with the same words for all else."""
    digits = code.strip()
    right = None
    with wiring.database.unit_of_work(merchant_id) as uow:
        if len(digits) == 6 and digits.isascii() and digits.isdigit():
            right = uow.codes.attempt(code_id, digits)
        if right is not None:
            return uow.sessions.open_customer(
                connection_id=right.connection_id, customer=right.customer, invoice=right.invoice, email=right.email
            )
    raise Invalid(WRONG_CODE, field="code")


def _issue(wiring: Wiring, uow: UnitOfWork, what: CodeFor, number: str) -> str:
    code_id, code = uow.codes.issue(what)
    # The address only fills the code into the form; it opens nothing until a person presses the form's button.
    address = f"{wiring.settings.public_url}/portal/{uow.merchants.get().slug}/code/{code_id}?code={code}"
    values = {
        "code": code,
        "url": address if what.purpose == "sign_in" else f"{address}&for=invoice",
        "minutes": str(LIFETIME_MINUTES),
        "invoice": number,
    }
    mail_id = uow.mails.write(what.email, "sign_in" if what.purpose == "sign_in" else "invoice_proof", values)
    uow.work.add(Work.MAIL, mail_id, partition="mail", payload={"mail": mail_id})
    return code_id
