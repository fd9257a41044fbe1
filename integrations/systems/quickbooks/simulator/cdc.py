"""Change data capture: whole objects changed since a time, at most 30 days back, silently cut at 1,000.

Source: developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/change-data-capture; the
order
(oldest change first) is that of an answer recorded from a sandbox.
"""

from __future__ import annotations

from datetime import UTC, timedelta

import msgspec

from integrations.simulator.store import to_json
from integrations.systems.quickbooks.simulator import fault
from integrations.systems.quickbooks.simulator.books import Books, Document
from integrations.systems.quickbooks.simulator.fields import ENTITY_BY_PATH

MAX_OBJECTS = 1000
LOOK_BACK = timedelta(days=30)


def answer(books: Books, entities: str, changed_since: str) -> Document:
    """The body of an answer without its time; Fault 2020 or 4001 when a parameter is missing or not understood."""
    if not entities:
        raise fault.missing("entities")
    if not changed_since:
        raise fault.missing("changedSince")
    try:
        # Counted in UTC: days of the company's own clock are an hour off across a change of summer time.
        since = max(books.at(changed_since), books.now().astimezone(UTC) - LOOK_BACK)
    except ValueError:
        raise fault.bad_query(f"Invalid value {changed_since!r} for changedSince") from None
    left = MAX_OBJECTS
    responses: list[Document] = []
    for named in entities.split(","):
        entity = ENTITY_BY_PATH.get(named.strip().lower())
        if entity is None:
            raise fault.bad_query(f"invalid context declaration: {named}")
        changed = [(books.at(row.doc["MetaData"]["LastUpdatedTime"]), row.raw) for row in books.rows(entity)]
        changed += [
            (books.at(stub["MetaData"]["LastUpdatedTime"]), msgspec.Raw(to_json(stub)))
            for stub in books.deleted(entity)
        ]
        documents = [raw for at, raw in sorted(changed, key=lambda pair: pair[0]) if at >= since][:left]
        left -= len(documents)
        if documents:
            responses.append({entity: documents, "startPosition": 1, "maxResults": len(documents)})
        else:
            responses.append({})
    return {"CDCResponse": [{"QueryResponse": responses}]}
