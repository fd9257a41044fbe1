"""What we believe stands upstream, in pieces as a comparison needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.postings import posting_row
from connector.db.rows import PostingRow
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, Kind

_i, _g, _n, _o = t.invoices.c, t.placements.c, t.links.c, t.postings.c
_POSTING = [_o[name] for name in PostingRow.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """An invoice as the mirror has it. Amounts in minor units of `currency`."""

    remote_id: str
    number: str
    state: str
    currency: str
    total: int
    balance: int
    updated_at: datetime | None
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class Placed:
    """A link we placed on an invoice; `token_hash` recognises its address."""

    id: int
    target: str
    token_hash: bytes
    placed_at: datetime | None


class Standing:
    """Repository for comparing one merchant's view of a connection."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def last_read(self, connection_id: int) -> datetime | None:
        """When changes were last read to their end."""
        c = t.connections.c
        found: datetime | None = self._bound.connection.execute(
            self._bound.select(t.connections, c.last_synced_at).where(c.id == connection_id)
        ).scalar()
        return found

    def invoices(self, connection_id: int, remote_ids: Sequence[str]) -> dict[str, Mirrored]:
        """Invoices of these ids, by id."""
        fields = [_i[name] for name in Mirrored.__dataclass_fields__]
        statement = self._bound.select(t.invoices, *fields).where(
            _i.connection_id == connection_id, _i.kind == Kind.INVOICE, _i.remote_id.in_(list(remote_ids))
        )
        return {row.remote_id: Mirrored(**row._mapping) for row in self._bound.rows(statement)}

    def unconfirmed_invoices(self, connection_id: int, before: datetime, most: int) -> list[tuple[str, str]]:
        """Invoices no reading has brought since a moment, not even as unreadable, and not deleted, as (remote id,
        number); the oldest first."""
        p = t.sync_problems.c
        seen_unreadable = sa.exists().where(
            p.connection_id == _i.connection_id,
            p.kind == _i.kind,
            p.remote_id == _i.remote_id,
            p.seen_at >= before,
        )
        statement = (
            self._bound.select(t.invoices, _i.remote_id, _i.number)
            .where(
                _i.connection_id == connection_id,
                _i.kind == Kind.INVOICE,
                _i.state != InvoiceState.DELETED,
                _i.confirmed_at < before,
                ~seen_unreadable,
            )
            .order_by(_i.confirmed_at, _i.id)
            .limit(most)
        )
        return [(row.remote_id, row.number) for row in self._bound.rows(statement)]

    def placed_links(self, connection_id: int, remote_ids: Sequence[str]) -> list[Placed]:
        """Links we placed on these invoices, and believe to stand there."""
        statement = (
            self._bound.select(t.placements, _g.id, _g.target, _n.token_hash, _g.placed_at)
            .join(t.links, _n.id == _g.link_id)
            .where(_g.connection_id == connection_id, _g.state == "placed", _g.target.in_(list(remote_ids)))
        )
        return [Placed(**row._mapping) for row in self._bound.rows(statement)]

    def postings(self, connection_id: int, keys: Sequence[str]) -> dict[str, PostingRow]:
        """Postings of these keys, by key."""
        statement = self._bound.select(t.postings, *_POSTING).where(
            _o.connection_id == connection_id, _o.key.in_(list(keys))
        )
        return {row.key: posting_row(row) for row in self._bound.rows(statement)}

    def unverified_postings(self, connection_id: int, before: datetime, most: int) -> list[PostingRow]:
        """Postings recorded before a moment and not seen upstream since; the longest unseen first."""
        statement = (
            self._bound.select(t.postings, *_POSTING)
            .where(
                _o.connection_id == connection_id,
                _o.state == PostingState.POSTED,
                _o.posted_at < before,
                sa.or_(_o.verified_at.is_(None), _o.verified_at < before),
            )
            .order_by(_o.verified_at.is_not(None), _o.verified_at, _o.key)
            .limit(most)
        )
        return [posting_row(row) for row in self._bound.rows(statement)]

    def verified(self, keys: Sequence[str]) -> None:
        """These postings were looked at upstream now."""
        if keys:
            self._bound.update(t.postings, _o.key.in_(list(keys)), verified_at=self._bound.now)
