"""Where our view and a system's were found to differ: open until put right or ignored by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.domain.tasks import What

_d = t.differences.c


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One difference. `ours` and `theirs` are how it stands here and there, `cause` why, all in words."""

    id: int
    connection_id: int
    what: str
    subject: str
    name: str
    payment_id: str | None
    posting_key: str | None
    ours: str
    theirs: str
    cause: str
    state: str


@dataclass(frozen=True, slots=True)
class Found:
    """A difference as it was found."""

    what: What
    subject: str
    name: str
    ours: str
    theirs: str
    cause: str
    payment_id: str | None = None
    posting_key: str | None = None


_FIELDS = [_d[name] for name in DifferenceRow.__dataclass_fields__]


class Differences:
    """Repository of one merchant's differences."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def get(self, difference_id: int) -> DifferenceRow:
        """One difference, locked until the transaction ends. Raises NotFound."""
        statement = self._bound.select_to_change(t.differences, *_FIELDS).where(_d.id == difference_id)
        return DifferenceRow(**self._bound.one(statement, "This difference does not exist.")._mapping)

    def of(self, connection_id: int, what: What, subject: str) -> DifferenceRow | None:
        """The difference about one thing."""
        row = self._bound.connection.execute(
            self._bound.select(t.differences, *_FIELDS).where(
                _d.connection_id == connection_id, _d.what == what, _d.subject == subject
            )
        ).first()
        return None if row is None else DifferenceRow(**row._mapping)

    def open(self, connection_id: int, found: Found) -> bool:
        """A person has to decide. One that was ignored stays so while it looks the same; whether it is open now."""
        known = self.of(connection_id, found.what, found.subject)
        ignored = known is not None and known.state == "ignored"
        if known is not None and ignored and (known.ours, known.theirs) == (found.ours, found.theirs):
            self._bound.update(t.differences, _d.id == known.id, seen_at=self._bound.now)
            return False
        self._write(connection_id, known, found, {"state": "open", "ending": "", "closed_at": None, "closed_by": None})
        return True

    def mended(self, connection_id: int, found: Found, ending: str) -> None:
        """It was found and put right at once, without losing anything; kept so that it can be read about."""
        known = self.of(connection_id, found.what, found.subject)
        self._write(connection_id, known, found, {"state": "fixed", "ending": ending, "closed_at": self._bound.now})

    def close(self, difference_id: int, state: str, ending: str, user_id: int | None = None) -> None:
        """Fixed or ignored."""
        values = {"state": state, "ending": ending, "closed_at": self._bound.now, "closed_by": user_id}
        self._bound.update(t.differences, _d.id == difference_id, **values)

    def gone(self, connection_id: int, what: What, subject: str) -> None:
        """What differed was seen to agree: closed by itself."""
        self._bound.update(
            t.differences,
            _d.connection_id == connection_id,
            _d.what == what,
            _d.subject == subject,
            _d.state == "open",
            state="fixed",
            ending="It was seen to agree again.",
            closed_at=self._bound.now,
        )

    def unseen(self, connection_id: int, what: What, since: datetime) -> list[str]:
        """Subjects of open differences of one kind that were not seen since a moment."""
        statement = self._bound.select(t.differences, _d.subject).where(
            _d.connection_id == connection_id, _d.what == what, _d.state == "open", _d.seen_at < since
        )
        return [row.subject for row in self._bound.rows(statement)]

    def _write(self, connection_id: int, known: DifferenceRow | None, found: Found, state: dict[str, Any]) -> None:
        values = {name: getattr(found, name) for name in Found.__dataclass_fields__} | state
        values["seen_at"] = self._bound.now
        if known is None:
            self._bound.insert(t.differences, connection_id=connection_id, found_at=self._bound.now, **values)
            return
        if known.state != "open":
            values["found_at"] = self._bound.now
        self._bound.connection.execute(sa.update(t.differences).where(_d.id == known.id).values(values))
