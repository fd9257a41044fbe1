"""Answers are what Intuit's own schema allows, and bodies recorded from a real sandbox load beside the seeded ones."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from integrations.systems.quickbooks.simulator.fields import FILTERS, KNOWN
from integrations.systems.quickbooks.simulator.recorded import ID_OFFSET, load_recorded
from tests.integrations.systems.quickbooks.simulator.driving import OTHER_REALM, REALM, Running, code_of, running

ENTITIES = (
    "Account",
    "CompanyCurrency",
    "CompanyInfo",
    "CreditMemo",
    "Customer",
    "Estimate",
    "Invoice",
    "Item",
    "Payment",
    "PaymentMethod",
    "Preferences",
    "RecurringTransaction",
    "TaxCode",
    "TaxRate",
    "Term",
)
# A recurring profile is asked for by properties of the form it wraps.
COMPUTED_FILTERS = {"RecurringTransaction": {"Type", "Active"}}


@pytest.fixture(scope="module")
def schema(shared_specs: Path) -> dict[str, Any]:
    """Intuit's XSDs as JSON Schema."""
    loaded: dict[str, Any] = json.loads((shared_specs / "qbo_v3.schema.json").read_text(encoding="utf-8"))
    return loaded


def _complaints(schema: dict[str, Any], entity: str, document: Any) -> list[str]:
    validator = Draft202012Validator({**schema, "additionalProperties": False})
    return [
        f"{'/'.join(str(part) for part in error.absolute_path)}: {error.message[:120]}"
        for error in validator.iter_errors({entity: document})
    ]


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_seeded_document_is_valid(seeded: Running, schema: dict[str, Any], entity: str) -> None:
    answer = seeded.get("query", query=f"SELECT * FROM {entity} MAXRESULTS 1000")  # noqa: S608
    documents = answer.json()["QueryResponse"][entity]
    assert documents
    for document in documents:
        assert _complaints(schema, entity, document) == []


def test_answers_of_writes_are_valid(run: Running, schema: dict[str, Any]) -> None:
    invoice = run.open_invoice()
    memo = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "CustomerMemo": {"value": "x"}}
    foreign = run.open_invoice("JPY")
    line = {"Amount": 10, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}
    written: list[tuple[str, requests.Response]] = [
        ("Invoice", run.post("invoice", memo)),
        ("Payment", run.post("payment", run.payment_body(invoice, PaymentRefNum="x", PrivateNote="y"))),
        ("Payment", run.post("payment", run.payment_body(foreign))),
        ("Invoice", run.post("invoice", {"CustomerRef": {"value": "1"}, "Line": [line]})),
        ("CreditMemo", run.post("creditmemo", {"CustomerRef": {"value": "2"}, "Line": [line]})),
        ("Customer", run.post("customer", {"DisplayName": "New"})),
        ("Account", run.post("account", {"Name": "New", "AccountType": "Bank"})),
        ("Invoice", run.post("invoice", {"Id": invoice["Id"], "SyncToken": "1"}, operation="void")),
        ("Invoice", run.post("invoice", {"Id": foreign["Id"], "SyncToken": "0"}, operation="delete")),
    ]
    for entity, answer in written:
        assert answer.status_code == 200, answer.text
        assert _complaints(schema, entity, answer.json()[entity]) == []


def test_the_check_itself_can_fail(schema: dict[str, Any]) -> None:
    assert _complaints(schema, "Invoice", {"CustomerMemoo": {"value": "x"}})
    assert _complaints(schema, "Payment", {"TotalAmt": "10.00"})


@pytest.mark.parametrize("entity", sorted(KNOWN))
def test_known_properties_are_those_of_the_schema(schema: dict[str, Any], entity: str) -> None:
    if entity not in schema["$defs"]:
        pytest.skip(f"The schema beside the repository does not describe {entity}.")
    ours = KNOWN[entity]
    theirs = schema["$defs"][entity]["properties"].keys()
    assert ours <= theirs, sorted(ours - theirs)
    for name in FILTERS.get(entity, ()):
        assert name.split(".")[0] in theirs | COMPUTED_FILTERS.get(entity, set()), name


def _recorded(shared_specs: Path) -> list[dict[str, Any]]:
    text = (shared_specs / "qbo_recorded.json").read_text(encoding="utf-8")
    interactions: list[dict[str, Any]] = json.loads(text, parse_float=Decimal)["interactions"]
    return interactions


def test_recorded_bodies_load_beside_the_seeded_ones(shared_specs: Path) -> None:
    path = shared_specs / "qbo_recorded.json"
    with running() as run:
        counts = load_recorded(run.parts.books[REALM], path)
        assert counts["Customer"] >= 10
        assert counts["Invoice"] >= 2
        assert counts["Estimate"] >= 3
        assert run.query("select count(*) from Invoice")["totalCount"] == 300 + counts["Invoice"]
        loaded = run.query(f"select * from Customer where Id > '{ID_OFFSET}'")["Customer"]  # noqa: S608
        (amy,) = [customer for customer in loaded if customer["DisplayName"] == "Amy's Bird Sanctuary"]
        assert amy["Id"] == str(ID_OFFSET + 1)
        voided = run.read("Invoice", str(ID_OFFSET + 264))
        assert (voided["PrivateNote"], voided["Balance"]) == ("Voided", 0)
        made = run.post("customer", {"DisplayName": "After"}).json()["Customer"]
        assert int(made["Id"]) > ID_OFFSET
        answer = requests.post(
            f"{run.url}/_control/load-recorded", json={"path": str(path), "realm": OTHER_REALM}, timeout=10
        )
        assert answer.json()["loaded"] == counts
        for wrong in ("nowhere.json", str(Path(__file__))):
            refused = requests.post(f"{run.url}/_control/load-recorded", json={"path": wrong}, timeout=10)
            assert refused.status_code == 400


def test_recorded_entities_survive_the_round_trip_unchanged(shared_specs: Path) -> None:
    recorded = {
        document["Id"]: document
        for interaction in _recorded(shared_specs)
        for document in [(interaction["response"] or {}).get("Invoice")]
        if document and "MetaData" in document
    }
    assert recorded
    with running() as run:
        load_recorded(run.parts.books[REALM], shared_specs / "qbo_recorded.json")
        document = recorded["264"]
        answer = run.read("Invoice", str(ID_OFFSET + 264))
        answer["Id"] = "264"
        answer["CustomerRef"]["value"] = str(int(answer["CustomerRef"]["value"]) - ID_OFFSET)
        newest = max(
            (
                interaction["response"]["Invoice"]
                for interaction in _recorded(shared_specs)
                if ((interaction["response"] or {}).get("Invoice") or {}).get("Id") == "264"
            ),
            key=lambda found: found["MetaData"]["LastUpdatedTime"],
        )
        assert document["Id"] == "264"
        assert answer == newest


def test_refusals_are_worded_as_recorded(run: Running, shared_specs: Path) -> None:
    recorded: dict[str, dict[str, Any]] = {}
    for interaction in _recorded(shared_specs):
        found = ((interaction["response"] or {}).get("Fault") or {}).get("Error")
        if found:
            recorded[found[0]["code"]] = interaction["response"]["Fault"]
    ours = {
        "4001": run.get("query", query="SELECT * FROM Custmoer"),
        "2030": run.get("customer/1.5"),
        "6240": run.post("customer", {"DisplayName": "O'Brien Roofing"}),
        "2010": run.post("invoice", {"BadJson": True}),
        "500": run.get("customer/1/5"),
    }
    for code, answer in ours.items():
        fault = answer.json()["Fault"]
        assert code_of(answer) == code
        assert fault["type"] == recorded[code]["type"]
        assert fault["Error"][0]["Message"] == recorded[code]["Error"][0]["Message"]
        assert fault["Error"][0]["Detail"][:40] == recorded[code]["Error"][0]["Detail"][:40]
