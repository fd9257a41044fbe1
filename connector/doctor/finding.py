"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`WARN` works, but not as it should in the long run; `FAIL` does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `fix` says what to do, empty where nothing is to be done; no secret is in either."""

    check: str
    verdict: Verdict
    what: str
    fix: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, what)


def warn(check: str, what: str, fix: str) -> Finding:
    """To be looked at."""
    return Finding(check, Verdict.WARN, what, fix)


def fail(check: str, what: str, fix: str) -> Finding:
    """Does not work."""
    return Finding(check, Verdict.FAIL, what, fix)
