"""The wheel holds the four packages and their data, and nothing else at the top."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.source_tree import PACKAGES, REPOSITORY, files

pytestmark = pytest.mark.slow
# Asked of a clean environment: which distributions own each of the four names.
QUESTION = """
import importlib.metadata as metadata, json
owners = metadata.packages_distributions()
print(json.dumps({name: owners.get(name) for name in %r}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_four_packages_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/", 1)[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == set(PACKAGES)
    assert len([top for top in tops if top.endswith(".dist-info")]) == 1
    (manifest,) = [name for name in names if ".data/" in name]
    assert manifest.endswith(".data/data/share/duebridge/manifest.json")
    expected = {path.as_posix() for path in files() if path.parts[0] in PACKAGES}
    assert expected <= set(names), "templates, pictures and migrations travel with the code"
    assert not [name for name in names if name.endswith((".db", ".pyc", ".sqlite"))]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
        entry_points = archive.read(
            next(name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        ).decode()
        licences = [name for name in archive.namelist() if "/licenses/" in name]
    assert "License-Expression: Apache-2.0" in metadata
    assert [name.rsplit("/", 1)[1] for name in licences] == ["LICENSE"]
    assert "duebridge = connector.cli:main" in entry_points


def test_the_licence_is_the_apache_licence_in_full() -> None:
    words = (REPOSITORY / "LICENSE").read_text(encoding="utf-8").split()
    assert words[:4] == ["Apache", "License", "Version", "2.0,"]
    for heading in ("TERMS AND CONDITIONS FOR USE", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS"):
        assert " ".join(heading.split()) in " ".join(words)


def test_installed_alone_the_four_names_are_ours(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    install = [
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
        str(wheel),
    ]
    subprocess.run([sys.executable, *install], check=True, timeout=120, capture_output=True)
    answer = subprocess.run(
        [python, "-I", "-c", QUESTION % (PACKAGES,)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    ).stdout
    assert answer.strip() == "{" + ", ".join(f'"{name}": ["duebridge"]' for name in PACKAGES) + "}"
    assert (environment / "bin" / "duebridge").exists()
