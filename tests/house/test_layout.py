"""Files are short, named for what they are, and speak only of the product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.source_tree import REPOSITORY, files, text

LONGEST = 400
MEASURED = (".py", ".html", ".css", ".js", ".sh", ".toml", ".txt", ".xml")
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc", "core"}
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|opt|root|home|Users)/\w"),
    "a package registry's host": re.compile(r"pypi\.org|files\.pythonhosted|registry\.npmjs|registry\.yarnpkg"),
    "an index address": re.compile(r'--(?:extra-)?index-url|registry = "|"resolved": "http'),
    "a word about how the work is organised": re.compile(
        r"(?i:(?<!user[-_ ])\b(?:sub)?agents?\b|(?<!\.)\bhelpers?\b|\bissue #?\d|\bwave \d)|\bAI\b"
    ),
}
# This file has to say what it forbids.
OWN = Path(__file__).relative_to(REPOSITORY)


def words_that_do_not_belong(content: str) -> list[str]:
    """What in a text is forbidden and why, one line each."""
    return [
        f"line {number}: {reason}: {found.group(0)!r}"
        for number, line in enumerate(content.splitlines(), 1)
        for reason, pattern in FORBIDDEN.items()
        if (found := pattern.search(line))
    ]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    too_long = {
        str(path): lines
        for path in files(*MEASURED)
        if not path.name.startswith("requirements") and (lines := len(text(path).splitlines())) > LONGEST
    }
    assert not too_long, f"Split these by what they are about (at most {LONGEST} lines): {too_long}"


def test_every_module_is_named_for_what_it_is() -> None:
    named_for_nothing = [str(path) for path in files(".py") if EMPTY_NAMES & {path.stem, *path.parts[:-1]}]
    assert not named_for_nothing, f"Name these for what they hold: {named_for_nothing}"


def test_files_speak_only_of_the_product() -> None:
    found = {
        str(path): words
        for path in files()
        if path != OWN and path.name != "LICENSE" and (words := words_that_do_not_belong(text(path)))
    }
    assert not found, "\n".join(f"{path}: {'; '.join(words)}" for path, words in found.items())


def test_nothing_from_beside_the_repository_was_copied_in(shared_specs: Path) -> None:
    sizes = {source.stat().st_size: source for source in shared_specs.rglob("*") if source.is_file()}
    copies = [
        str(path)
        for path in files()
        if (size := (REPOSITORY / path).stat().st_size)
        and (source := sizes.get(size))
        and source.read_bytes() == (REPOSITORY / path).read_bytes()
    ]
    assert not copies, f"Read these at run time from ../shared/specs instead: {copies}"


@pytest.mark.parametrize(
    "line",
    [
        "cache = '/work/main/.cache'",
        "--index-url somewhere",
        "https://pypi" + ".org/simple",
        "the agent writes this",
        "a helper",
        "see issue 2",
        "made with AI",
    ],
)
def test_a_planted_word_is_found(line: str) -> None:
    assert words_that_do_not_belong(line)


@pytest.mark.parametrize(
    "line",
    ["User-Agent: duebridge", "headers['user_agent']", "/home is a route", "https://x.example/work/1", "AIR fares"],
)
def test_an_innocent_word_is_left_alone(line: str) -> None:
    assert not words_that_do_not_belong(line)
