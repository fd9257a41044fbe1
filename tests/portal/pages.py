"""Reading pages as a person would: fields, forms and words."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from werkzeug.test import TestResponse


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[dict[str, str]] = []
        self.buttons: list[dict[str, str]] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "input":
            self.inputs.append(given)
        elif tag == "button":
            self.buttons.append(given)
        elif tag == "a":
            self.links.append(given.get("href", ""))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class Page:
    """One page as answered."""

    def __init__(self, response: TestResponse) -> None:
        self.status = response.status_code
        self.html = response.get_data(as_text=True)
        forms = _Forms()
        forms.feed(self.html)
        self.inputs, self.buttons, self.links = forms.inputs, forms.buttons, forms.links
        self.words = re.sub(r"\s+", " ", " ".join(forms.text))

    def value(self, name: str) -> str:
        """What a field holds."""
        return next(field["value"] for field in self.inputs if field.get("name") == name)

    def ticks(self) -> list[str]:
        """The references of the invoices that can be ticked, in the page's order."""
        return [field["value"] for field in self.inputs if field.get("name") == "pay"]
