"""The repository's files as the house tests read them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("connector", "integrations", "webhooks", "portal")


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Every file git tracks or would take in, relative to the repository, with one of the suffixes if any is named."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = (Path(name) for name in sorted(set(listing.split("\0"))) if name)
    return tuple(path for path in paths if (REPOSITORY / path).is_file() and (not suffixes or path.suffix in suffixes))


def product_modules() -> tuple[Path, ...]:
    """Python files of the four packages, simulators left out."""
    return tuple(
        path for path in files(".py") if path.parts[0] in PACKAGES and "simulator" not in (*path.parts, path.stem)
    )


def text(path: Path) -> str:
    """A file's text; what is not UTF-8 reads as nothing."""
    try:
        return (REPOSITORY / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def tree(path: Path) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(text(path), filename=str(path))
