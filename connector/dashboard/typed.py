"""What people type into the merchant's forms and addresses, read exactly or refused with words."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlencode

from flask import request

from connector.errors import Invalid

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LONGEST_SEARCH = 100


def read_date(text: str, field: str, *, latest: date | None = None) -> date | None:
    """A day as browsers send it (2026-01-31), None when left empty. Raises Invalid at the field."""
    text = text.strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day.year < 1990:
        raise Invalid("Enter the day as year-month-day, for example 2026-01-31, or leave it empty.", field=field)
    if latest is not None and day > latest:
        raise Invalid("Choose a day that is not in the future.", field=field)
    return day


def ticked(name: str) -> bool:
    """Whether a checkbox was ticked."""
    return request.form.get(name, "") not in ("", "0", "no", "false")


def search() -> str:
    """What was searched for."""
    return request.args.get("q", "").strip()[:_LONGEST_SEARCH]


def chosen(name: str, options: tuple[tuple[str, str], ...]) -> str:
    """A choice of a filter, '' for anything that is not on offer."""
    value = request.args.get(name, "")
    return value if value in {key for key, _ in options} else ""


def whole(text: str) -> int:
    """A number from an address, 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0


def address(path: str, **arguments: object) -> str:
    """An address of ours with those of the arguments that say something."""
    kept = {name: value for name, value in arguments.items() if value not in ("", 0, None)}
    return f"{path}?{urlencode(kept)}" if kept else path


def safe_cell(text: str) -> str:
    """Text for a spreadsheet that no spreadsheet takes for a formula.

    Source: OWASP, 'CSV Injection': cells beginning with = + - @, tab or carriage return are led by an apostrophe.
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
