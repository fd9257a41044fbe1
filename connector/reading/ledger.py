"""What the double-entry ledger says about itself."""

from __future__ import annotations

import sqlalchemy as sa

from connector.db import tables as t
from connector.wiring import Wiring

_l = t.ledger_lines.c
_SUMS = (
    sa.select(_l.currency, sa.cast(sa.func.sum(_l.amount), sa.BigInteger))
    .where(_l.merchant_id == sa.bindparam("merchant"))
    .group_by(_l.currency)
    .order_by(_l.currency)
)


def sums(wiring: Wiring, merchant_id: int) -> dict[str, int]:
    """The sum of all lines in every currency, in minor units: zero, or something is wrong."""
    with wiring.database.reader(merchant_id) as reader:
        return {currency: int(total) for currency, total in reader.rows(_SUMS)}
