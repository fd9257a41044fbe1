"""The live link of an invoice or customer, and where it stands upstream."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.reader import Reader
from connector.domain.links import Scope


class LiveLink(NamedTuple):
    """A link that works: its token, since when."""

    token: str
    created_at: datetime


class Placement(NamedTuple):
    """Where a link stands upstream, what stood there before, and what was found there last."""

    state: str
    where: str
    text_before: str | None
    problem: str
    competing: str
    placed_at: datetime | None
    verified_at: datetime | None


_k, _p = t.links.c, t.placements.c
_LIVE = sa.select(_k.sealed_token, _k.created_at).where(
    _k.merchant_id == sa.bindparam("merchant"),
    _k.connection_id == sa.bindparam("connection"),
    _k.scope == sa.bindparam("scope"),
    _k.target == sa.bindparam("target"),
    _k.state == "live",
)
_PLACEMENT = sa.select(
    _p.state, _p.where_placed, _p.text_before, _p.problem, _p.competing, _p.placed_at, _p.verified_at
).where(
    _p.merchant_id == sa.bindparam("merchant"),
    _p.connection_id == sa.bindparam("connection"),
    _p.target == sa.bindparam("target"),
    _p.link_id.is_not(None),
)


def live_link(reader: Reader, connection_id: int, scope: Scope, target: str) -> LiveLink | None:
    """The live link of a target (remote id)."""
    row = reader.first(_LIVE, connection=connection_id, scope=scope.value, target=target)
    if row is None:
        return None
    bound_to = f"link:{reader.merchant_id}:{scope}:{target}"
    return LiveLink(reader.vault.open(row.sealed_token, bound_to=bound_to).decode(), row.created_at)


def placement(reader: Reader, connection_id: int, target: str) -> Placement | None:
    """Where the link of an invoice (remote id) stands, if it was ever planned."""
    row = reader.first(_PLACEMENT, connection=connection_id, target=target)
    return None if row is None else Placement(*row)
