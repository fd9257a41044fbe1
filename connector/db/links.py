"""Links, and where they stand upstream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.rows import PlacementRow
from connector.domain.links import Scope, mint_token, token_hash
from connector.domain.records import Kind
from connector.errors import NotFound

_FIELDS = [t.placements.c[name] for name in PlacementRow.__dataclass_fields__]


def _row(row: Any) -> PlacementRow:
    return PlacementRow(**row._mapping)


class Links:
    """Repository of one merchant's links and placements."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def live(self, connection_id: int, scope: Scope, target: str) -> tuple[int, str] | None:
        """The live link of a target as (id, token)."""
        k = t.links.c
        row = self._bound.connection.execute(
            self._bound.select(t.links, k.id, k.sealed_token).where(
                k.connection_id == connection_id, k.scope == scope, k.target == target, k.state == "live"
            )
        ).first()
        return None if row is None else (row.id, self._open(row.sealed_token, scope, target))

    def mint(
        self, connection_id: int, scope: Scope, target: str, expires_at: datetime | None = None
    ) -> tuple[int, str]:
        """The live link of a target as (id, token), made when there is none."""
        found = self.live(connection_id, scope, target)
        if found is not None:
            return found
        token = mint_token()
        result = self._bound.insert(
            t.links,
            token_hash=token_hash(token),
            sealed_token=self._bound.vault.seal(token.encode(), bound_to=self._binding(scope, target)),
            scope=scope,
            connection_id=connection_id,
            target=target,
            state="live",
            created_at=self._bound.now,
            expires_at=expires_at,
        )
        return int(result.inserted_primary_key[0]), token  # type: ignore[index]

    def revoke(self, link_id: int) -> None:
        """End a link. From now on its address answers 410."""
        self._bound.update(
            t.links, t.links.c.id == link_id, t.links.c.state == "live", state="revoked", revoked_at=self._bound.now
        )

    def revoke_all(self, connection_id: int) -> None:
        """End every live link of a connection."""
        k = t.links.c
        self._bound.update(
            t.links, k.connection_id == connection_id, k.state == "live", state="revoked", revoked_at=self._bound.now
        )

    def withdraw_all(self, connection_id: int) -> None:
        """Every link that stands, or may stand, upstream shall be taken away."""
        p = t.placements.c
        self._bound.update(
            t.placements,
            p.connection_id == connection_id,
            p.state.in_(("placing", "placed")),
            state="withdrawing",
            changed_at=self._bound.now,
        )
        self._bound.update(
            t.placements,
            p.connection_id == connection_id,
            p.state == "planned",
            state="withdrawn",
            changed_at=self._bound.now,
        )

    def token_of(self, link_id: int) -> str:
        """A link's token, live or not. Raises NotFound."""
        k = t.links.c
        row = self._bound.one(
            self._bound.select(t.links, k.sealed_token, k.scope, k.target).where(k.id == link_id),
            "This link does not exist.",
        )
        return self._open(row.sealed_token, row.scope, row.target)

    def unplaced_invoices(self, connection_id: int, most: int) -> list[tuple[str, str]]:
        """Open invoices with a balance that carry no link yet, as (remote id, number)."""
        i, p = t.invoices, t.placements
        statement = (
            self._bound.select(i, i.c.remote_id, i.c.number)
            .outerjoin(p, sa.and_(p.c.connection_id == i.c.connection_id, p.c.target == i.c.remote_id))
            .where(
                i.c.connection_id == connection_id,
                sa.text("invoices.state = 'open' AND invoices.balance > 0"),
                i.c.kind == Kind.INVOICE,
                p.c.id.is_(None),
            )
            .limit(most)
        )
        return [(row.remote_id, row.number) for row in self._bound.rows(statement)]

    def plan(
        self, connection_id: int, target: str, target_name: str, link_id: int | None, state: str = "planned"
    ) -> None:
        """A link shall stand on this target; planning it twice is once."""
        self._bound.insert_unless_there(
            t.placements,
            connection_id=connection_id,
            target=target,
            target_name=target_name,
            link_id=link_id,
            state=state,
            changed_at=self._bound.now,
        )

    def placement(self, connection_id: int, target: str) -> PlacementRow | None:
        """The placement on a target."""
        p = t.placements.c
        row = self._bound.connection.execute(
            self._bound.select(t.placements, *_FIELDS).where(p.connection_id == connection_id, p.target == target)
        ).first()
        return None if row is None else _row(row)

    def placement_of(self, placement_id: int) -> PlacementRow:
        """One placement. Raises NotFound."""
        statement = self._bound.select(t.placements, *_FIELDS).where(t.placements.c.id == placement_id)
        return _row(self._bound.one(statement, "This link placement does not exist."))

    def placements(self, connection_id: int, states: Sequence[str], most: int, after: int = 0) -> list[PlacementRow]:
        """Placements in these states, oldest first, with an id above `after`."""
        p = t.placements.c
        statement = (
            self._bound.select(t.placements, *_FIELDS)
            .where(p.connection_id == connection_id, p.state.in_(list(states)), p.id > after)
            .order_by(p.id)
            .limit(most)
        )
        return [_row(row) for row in self._bound.rows(statement)]

    def change_placement(self, placement_id: int, **values: Any) -> None:
        """Set columns of one placement. Raises NotFound."""
        p = t.placements.c
        if not self._bound.update(t.placements, p.id == placement_id, changed_at=self._bound.now, **values):
            raise NotFound("This link placement does not exist.")

    def move_placement(self, placement: PlacementRow, from_states: Sequence[str], **values: Any) -> bool:
        """Set columns of a placement that still stands in one of `from_states` with the same link; whether it did."""
        p = t.placements.c
        return bool(
            self._bound.update(
                t.placements,
                p.id == placement.id,
                p.link_id == placement.link_id,
                p.state.in_(list(from_states)),
                changed_at=self._bound.now,
                **values,
            )
        )

    def forget_placements(self, connection_id: int) -> None:
        """Forget where links of a connection stood, so that all are placed anew. A template's address stays right."""
        p = t.placements
        ended = sa.or_(p.c.link_id.is_not(None), p.c.state.in_(("withdrawing", "withdrawn")))
        self._bound.connection.execute(
            sa.delete(p).where(self._bound.mine(p), p.c.connection_id == connection_id, ended)
        )

    def _binding(self, scope: str, target: str) -> str:
        return f"link:{self._bound.merchant_id}:{scope}:{target}"

    def _open(self, sealed: bytes, scope: str, target: str) -> str:
        return self._bound.vault.open(sealed, bound_to=self._binding(scope, target)).decode()
