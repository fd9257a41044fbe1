"""A verified webhook and the work it makes, in one transaction; the same bytes again are a duplicate."""

from __future__ import annotations

from connector.domain.work import Work
from connector.wiring import Wiring


def receive(wiring: Wiring, sender: str, raw: bytes) -> bool:
    """Store the delivery once; whether it was new."""
    with wiring.database.installation() as all_merchants:
        delivery_id = all_merchants.receive(sender, raw)
        if delivery_id is None:
            return False
        all_merchants.work(None).add(
            Work.DELIVERY, str(delivery_id), partition=sender, payload={"delivery": delivery_id}
        )
        return True
