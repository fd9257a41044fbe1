"""manifest.json is what the adapters say, has the shape its schema gives, and names addresses that exist."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import MethodNotAllowed, NotFound

from connector.app import create_app, wire
from connector.config import read_settings
from tests.house.source_tree import REPOSITORY

REMEDY = "Write it anew: .venv/bin/duebridge manifest --write manifest.json"


def read(name: str) -> Any:
    return json.loads((REPOSITORY / name).read_text(encoding="utf-8"))


def addresses(document: Any) -> Iterator[str]:
    """Every path named anywhere in the manifest."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name.endswith("_path") and value is not None:
                yield value
            else:
                yield from addresses(value)
    elif isinstance(document, list):
        for item in document:
            yield from addresses(item)


@pytest.fixture
def app(sqlite_schema_url: str) -> Iterator[Flask]:
    """The whole application."""
    wiring = wire(read_settings({"DUEBRIDGE_DATABASE_URL": sqlite_schema_url}), dispatch=lambda *_: None)
    yield create_app(wiring)
    wiring.database.engine.dispose()


def test_the_file_is_what_the_adapters_say() -> None:
    command = [str(Path(sys.executable).with_name("duebridge")), "manifest"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert read("manifest.json") == json.loads(printed), REMEDY


def test_the_file_has_the_shape_of_its_schema() -> None:
    schema = read("manifest.schema.json")
    Draft202012Validator.check_schema(schema)
    faults = [
        f"{fault.json_path}: {fault.message}"
        for fault in Draft202012Validator(schema).iter_errors(read("manifest.json"))
    ]
    assert not faults


@pytest.mark.parametrize(
    ("place", "value"),
    [(("version",), "one"), (("systems", 0, "auth"), "password"), (("systems", 0, "surprise"), 1), (("gateways",), [])],
)
def test_the_schema_notices_a_fault(place: tuple[str | int, ...], value: object) -> None:
    document = read("manifest.json")
    inner = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    assert list(Draft202012Validator(read("manifest.schema.json")).iter_errors(document))


def test_every_address_it_names_exists(app: Flask) -> None:
    known = app.url_map.bind("localhost")
    missing = []
    for path in addresses(read("manifest.json")):
        try:
            known.match(path, method="GET")
        except MethodNotAllowed:
            continue
        except NotFound:
            missing.append(path)
    assert not missing
