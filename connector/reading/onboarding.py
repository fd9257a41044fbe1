"""What every page of a merchant shows around its content: whose it is, what is broken, what is still to be set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.errors import NotFound
from connector.wiring import Wiring


class Broken(NamedTuple):
    """A connection whose access has ended without our doing."""

    id: int
    name: str
    system: str
    problem: str


class Step(NamedTuple):
    """One step of the way to the first payment."""

    key: str
    done: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The merchant of a page. `steps` are in the order they are taken."""

    slug: str
    name: str
    colour: str
    logo_version: str
    help_email: str
    help_phone: str
    gateway: str
    allow_partial: bool
    branded_at: datetime | None
    broken: Sequence[Broken]
    steps: Sequence[Step]

    @property
    def left(self) -> int:
        """How many steps are still to be taken."""
        return sum(not step.done for step in self.steps)

    @property
    def ready(self) -> bool:
        """Whether everything is set up, so that the portal's address may be given to customers."""
        return self.left == 0


_m, _c, _k, _p = (table.c for table in (t.merchants, t.connections, t.links, t.placements))
_MINE: sa.ColumnElement[int] = sa.bindparam("merchant")
_FRAME = sa.select(
    _m.slug,
    _m.name,
    _m.colour,
    _m.logo_type,
    _m.help_email,
    _m.help_phone,
    _m.gateway,
    _m.allow_partial,
    _m.branded_at,
    sa.exists().where(_c.merchant_id == _MINE, _c.state == "active").label("connected"),
    sa.or_(
        sa.exists().where(_k.connection_id == _c.id, sa.text("links.state = 'live'"), _c.merchant_id == _MINE),
        sa.exists().where(_p.connection_id == _c.id, _p.state.in_(("placed", "confirmed")), _c.merchant_id == _MINE),
    ).label("linked"),
).where(_m.id == _MINE)
_BROKEN = (
    sa.select(_c.id, _c.name, _c.system, _c.problem)
    .where(_c.merchant_id == _MINE, _c.state == "broken")
    .order_by(_c.id)
)


def frame(wiring: Wiring, merchant_id: int) -> Frame:
    """The merchant with its state of setting up, in two statements. Raises NotFound."""
    with wiring.database.reader(merchant_id) as reader:
        row = reader.first(_FRAME)
        if row is None:
            raise NotFound("This company does not exist.")
        broken = [Broken(*found) for found in reader.rows(_BROKEN)]
    steps = (
        Step("company", bool(row.name)),
        Step("brand", row.branded_at is not None),
        Step("connection", bool(row.connected)),
        Step("payments", row.gateway in wiring.gateways),
        Step("link", bool(row.linked)),
    )
    return Frame(
        slug=row.slug,
        name=row.name,
        colour=row.colour,
        logo_version=format(int(row.branded_at.timestamp()) if row.branded_at else 1, "x") if row.logo_type else "",
        help_email=row.help_email,
        help_phone=row.help_phone,
        gateway=row.gateway,
        allow_partial=row.allow_partial,
        branded_at=row.branded_at,
        broken=broken,
        steps=steps,
    )
