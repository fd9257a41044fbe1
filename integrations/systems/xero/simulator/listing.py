"""List calls: filter, If-Modified-Since, order, pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.problems import bad_query
from integrations.systems.xero.simulator.query import Row, compile_order, compile_where, sort_key
from integrations.systems.xero.simulator.wire import read_modified_since

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000


@dataclass(frozen=True)
class Listed:
    """What a list call selects; `pagination` is None for a call without a page."""

    documents: Sequence[Document]
    pagination: dict[str, int] | None

    def content(self, name: str, shown: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer's body inside the envelope."""
        return {**({"pagination": self.pagination} if self.pagination else {}), name: shown}


def moment(ms: int) -> datetime:
    """A stamp as filters compare it: naive UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


def day(text: str | None) -> datetime | None:
    """An ISO date as filters compare it."""
    return None if not text else datetime.fromisoformat(text)


def select(
    call: Call,
    documents: Sequence[Document],
    entity: str,
    row: Callable[[Document], Row],
    *,
    always_paged: bool = False,
) -> Listed:
    """Apply a list call's parameters; the order without an `order` clause is `UpdatedDateUTC ASC`, then by creation."""
    chosen = list(documents)
    if since_text := call.headers.get("If-Modified-Since"):
        since = read_modified_since(since_text)
        chosen = [doc for doc in chosen if doc["updated"] >= since]
    if where := call.args.get("where"):
        keep = compile_where(where, entity)
        chosen = [doc for doc in chosen if keep(row(doc))]
    order = call.args.get("order")
    if order and chosen:
        for field, descending in reversed(compile_order(order, entity, row(chosen[0]))):
            chosen.sort(key=lambda doc: sort_key(row(doc)[field]), reverse=descending)
    elif not order:
        chosen.sort(key=lambda doc: int(doc["updated"]))
    if "page" not in call.args and "pageSize" not in call.args and not always_paged:
        if len(chosen) > call.config.unpaged_limit:
            raise bad_query("This request returns too many records; use paging")
        return Listed(chosen, None)
    page, size = _whole(call, "page", 1), _whole(call, "pageSize", DEFAULT_PAGE)
    if size > LARGEST_PAGE:
        raise bad_query(f"pageSize must not exceed {LARGEST_PAGE}")
    pagination = {"page": page, "pageSize": size, "pageCount": -(-len(chosen) // size), "itemCount": len(chosen)}
    return Listed(chosen[(page - 1) * size : page * size], pagination)


def listed(call: Call, name: str) -> set[str] | None:
    """A comma-separated parameter such as IDs or Statuses; None when it is not sent."""
    sent = [part.strip().strip('"') for text in call.args.getlist(name) for part in text.split(",")]
    values = {part for part in sent if part}
    return values or None


def _whole(call: Call, name: str, default: int) -> int:
    text = call.args.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise bad_query(f"{name} must be a whole number from 1")
    return int(text)
