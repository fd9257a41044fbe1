"""Send one mail that a journey has put down."""

from __future__ import annotations

from connector.contract import Refused
from connector.db.work import WorkItem
from connector.wiring import Wiring


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: a mail may arrive twice when the server's answer was lost; it is never dropped silently."""
    with wiring.database.view(item.merchant_id) as view:
        mail = view.mails.get(str(item.payload["mail"]))
        merchant = view.merchants.get()
    if mail.state != "queued":
        return
    try:
        values = {"merchant": merchant.name, "help": merchant.help_email, "colour": merchant.colour, **mail.values}
        wiring.mail.send(mail.id, mail.recipient, mail.template, values)
    except Refused as answer:
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.mails.refused(mail.id, answer.why)
        return
    with wiring.database.unit_of_work(item.merchant_id) as uow:
        uow.mails.sent(mail.id)
