"""What is installed is pinned, hashed, and says nothing about where it came from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.source_tree import REPOSITORY, files, text

LOCKED = ("requirements.txt", "requirements-build.txt", "requirements-dev.txt")


def pins(name: str) -> dict[str, set[str]]:
    """Version by package as locked; a package may be locked twice for different systems."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.\-]+)==([\w.]+)", text(Path(name)), re.MULTILINE):
        found.setdefault(package.lower(), set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKED)
def test_every_line_is_a_pinned_package_with_its_hashes(name: str) -> None:
    entries = text(Path(name)).replace("\\\n", " ").splitlines()
    assert entries
    loose = [
        entry
        for entry in entries
        if not re.fullmatch(r"[\w.\-]+==[\w.]+(?: ; [^#@]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*", entry)
    ]
    assert not loose, f"make lock writes these files: {loose}"


def test_everything_the_product_declares_is_locked() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0].lower() for line in project["dependencies"]}
    assert declared <= set(pins("requirements.txt")), "make lock"


def test_tests_run_with_the_versions_the_product_ships() -> None:
    development = pins("requirements-dev.txt")
    for name in ("requirements.txt", "requirements-build.txt"):
        differing = {
            package: versions for package, versions in pins(name).items() if development.get(package) != versions
        }
        assert not differing, "make lock"


def test_vendor_libraries_are_pinned_exactly() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"python-quickbooks==0.9.12", "xero-python==15.2.0"} <= set(project["dependencies"])


def test_no_lock_file_that_writes_down_registries_is_kept() -> None:
    assert not [path for path in files() if path.name == "uv.lock" or re.fullmatch(r"pylock.*\.toml", path.name)]
