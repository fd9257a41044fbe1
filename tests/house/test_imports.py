"""The import contracts of pyproject.toml hold, and each of them would notice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.source_tree import PACKAGES, REPOSITORY, files

# One offence against each contract, by the contract's name: the file it is added to, and the line.
OFFENCES = {
    "Every floor imports only the floors below; neighbours are strangers": ("portal", "import connector.dashboard"),
    "A unit of work is opened by journeys, the webhook inbox and jobs only": (
        "connector/dashboard",
        "import connector.db.unit_of_work",
    ),
    "The reader serves what the pages read only": ("connector/web", "import connector.db.reader"),
    "Adapters are known to the registry only": ("connector/jobs", "import integrations.gateways.sandbox"),
    "Simulators are known to the demo and simulate commands only": ("webhooks", "import integrations.simulator"),
    "Adapters do not know each other": ("integrations/systems/xero", "import integrations.systems.quickbooks"),
    "Integrations know neither storage nor journeys nor pages": ("integrations/gateways/sandbox", "import sqlalchemy"),
    "Domain, contract and errors stand on the standard library alone": ("connector/domain", "import babel"),
    "Journeys, reading, storage and mail do not know the web framework": ("connector/journeys", "import flask"),
    "Only the background engine knows DBOS": ("portal", "import dbos"),
    "The demonstration uses the product through its public doors only": ("connector/demo", "import connector.journeys"),
}


def contract_names() -> list[str]:
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["name"] for contract in configuration["tool"]["importlinter"]["contracts"]]


def verdicts(folder: Path) -> dict[str, str]:
    """Run import-linter over the packages in a folder and return KEPT or BROKEN by contract."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.findall(r"^(.+?) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return dict(found)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages' Python files and the contracts, to be sinned against."""
    for path in files(".py"):
        if path.parts[0] in PACKAGES:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / path, tmp_path / path)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept() -> None:
    assert verdicts(REPOSITORY) == dict.fromkeys(contract_names(), "KEPT"), "make lint tells which import is at fault"


def test_every_contract_notices_an_offence(copy: Path) -> None:
    for package, line in OFFENCES.values():
        with (copy / package / "__init__.py").open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    assert verdicts(copy) == dict.fromkeys(contract_names(), "BROKEN")


def test_every_contract_has_its_offence() -> None:
    assert set(OFFENCES) == set(contract_names())
