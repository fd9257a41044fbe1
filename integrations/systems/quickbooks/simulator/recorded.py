"""Loads bodies recorded from a real QuickBooks sandbox beside the seeded documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from integrations.simulator.store import from_json
from integrations.systems.quickbooks.simulator.books import Books, Document
from integrations.systems.quickbooks.simulator.fields import KNOWN

ID_OFFSET = 900_000

_LOADED = frozenset(KNOWN) - {"Vendor", "RecurringTransaction", "Preferences", "CompanyInfo"}
# References to lists that came without their documents keep pointing at what they pointed at.
_MOVED_REFERENCES = ("CustomerRef", "ParentRef")


def load_recorded(books: Books, path: Path) -> dict[str, int]:
    """Store every entity found in the answers of a recording, its newest state; returns how many by entity.

    Ids (and the references between the loaded documents) move up by ID_OFFSET, so that nothing seeded is overwritten;
    everything else stays as it was recorded. OSError when the file is not there, ValueError when it is no recording.
    """
    recording = from_json(path.read_bytes())
    if not isinstance(recording, dict) or "interactions" not in recording:
        raise ValueError(f"{path.name} holds no recorded interactions")
    newest: dict[tuple[str, str], Document] = {}
    for interaction in recording["interactions"]:
        for entity, doc in _entities(interaction.get("response")):
            known = newest.get((entity, doc["Id"]))
            if known is None or _changed(books, doc) >= _changed(books, known):
                newest[entity, doc["Id"]] = doc
    counts: dict[str, int] = {}
    with books.change("load-recorded") as change:
        for (entity, _), doc in newest.items():
            change.seed(entity, _moved(doc))
            counts[entity] = counts.get(entity, 0) + 1
            sequence = "id/transaction" if "TxnDate" in doc else f"id/{entity}"
            change.raise_number(sequence, ID_OFFSET + int(doc["Id"]))
    return counts


def _entities(value: Any) -> list[tuple[str, Document]]:
    found: list[tuple[str, Document]] = []
    if isinstance(value, list):
        for item in value:
            found += _entities(item)
    if isinstance(value, dict):
        for name, inside in value.items():
            documents = inside if isinstance(inside, list) else [inside]
            if name in _LOADED and all(_is_document(document) for document in documents):
                found += [(name, document) for document in documents]
            else:
                found += _entities(inside)
    return found


def _is_document(value: Any) -> bool:
    return isinstance(value, dict) and "MetaData" in value and "SyncToken" in value


def _changed(books: Books, doc: Document) -> float:
    return books.at(doc["MetaData"]["LastUpdatedTime"]).timestamp()


def _moved(doc: Document) -> Document:
    moved = {**doc, "Id": str(ID_OFFSET + int(doc["Id"]))}
    for name in _MOVED_REFERENCES:
        if name in moved:
            moved[name] = {**moved[name], "value": str(ID_OFFSET + int(moved[name]["value"]))}
    if "LinkedTxn" in moved:
        moved["LinkedTxn"] = [{**link, "TxnId": str(ID_OFFSET + int(link["TxnId"]))} for link in moved["LinkedTxn"]]
    return moved
