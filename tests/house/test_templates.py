"""Pages keep the strict content policy, and no page of ours asks for a card."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.house.source_tree import PACKAGES, files, text

CARD = re.compile(
    r"(?i)\bcc-(?:number|csc|exp)|card[-_ ]?(?:no\b|num|number|holder|expir)"
    r"|\bpan\b|\bcv[cv]2?\b|\bcsc\b|expiry[-_]?(?:date|month|year)"
)
NAMING = ("name", "id", "autocomplete", "placeholder", "aria-label")
FIELDS = ("input", "select", "textarea")


class _Faults(HTMLParser):
    """Collects what a template may not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        line = f"line {self.getpos()[0]}"
        if tag == "style" or "style" in given:
            self.found.append(f"{line}: inline style in <{tag}>")
        if tag == "script" and "src" not in given:
            self.found.append(f"{line}: inline script")
        if handlers := [name for name in given if re.fullmatch(r"on[a-z]+", name)]:
            self.found.append(f"{line}: {handlers[0]} in <{tag}>")
        for name in ("href", "src", "action", "formaction"):
            if (given.get(name) or "").strip().lower().startswith("javascript:"):
                self.found.append(f"{line}: script in {name}")
        if tag in FIELDS and CARD.search(" ".join(given.get(name) or "" for name in NAMING)):
            self.found.append(f"{line}: a field for card data")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)


def faults(template: str) -> list[str]:
    """What a template may not hold, one line each. Template comments and statements are not markup."""
    parser = _Faults()
    parser.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}", lambda match: "\n" * match.group(0).count("\n"), template, flags=re.S))
    parser.close()
    return parser.found


def test_templates_have_no_inline_style_no_inline_script_and_no_card_fields() -> None:
    templates = [path for path in files(".html", ".jinja", ".j2") if path.parts[0] in PACKAGES]
    assert templates
    found = {str(path): lines for path in templates if (lines := faults(text(path)))}
    for path, lines in list(found.items()):
        # Mail programs read no style sheet but the one inside the letter, and no content policy applies there.
        if path.startswith("connector/mail/"):
            found[path] = [line for line in lines if "inline style" not in line]
    assert not any(found.values()), found


def test_markup_made_in_python_keeps_the_same_rules() -> None:
    inline = re.compile(r"""<[a-z]+ [^<>]*(?:style|on(?:click|load|submit|error|change))=["']|<script>|<style>""")
    found = {
        str(path): match.group(0)
        for path in files(".py")
        if path.parts[0] in PACKAGES and (match := inline.search(text(path)))
    }
    assert not found, found


def test_pages_load_nothing_from_elsewhere() -> None:
    elsewhere = re.compile(
        r"""<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//"""
    )
    found = {
        str(path): match.group(0)
        for path in files(".html", ".css", ".svg")
        if path.parts[0] in PACKAGES and (match := elsewhere.search(text(path)))
    }
    assert not found, found


@pytest.mark.parametrize(
    "markup",
    [
        '<p style="color: red">',
        "<style>p {}</style>",
        "<script>go()</script>",
        '<button onclick="go()">',
        '<a href="javascript:go()">',
        '<input name="card_number">',
        '<input id="x" autocomplete="cc-number">',
        '<input name="cvc" />',
        '<select name="card-expiry">',
        '<input {% if x %}class="a"{% endif %} name="pan">',
    ],
)
def test_a_planted_fault_is_found(markup: str) -> None:
    assert faults(markup)


@pytest.mark.parametrize(
    "markup",
    [
        '<link rel="stylesheet" href="{{ url }}">',
        '<input name="code" autocomplete="one-time-code">',
        '<div class="card" id="discard">',
        '<input name="company" autocomplete="organization">',
        '<script src="{{ url }}"></script>',
        "{# <p style='x'> #}",
    ],
)
def test_innocent_markup_is_left_alone(markup: str) -> None:
    assert not faults(markup)
