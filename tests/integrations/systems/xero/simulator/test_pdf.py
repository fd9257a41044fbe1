"""The PDF is sound and its text can be read out, in Latin and Japanese."""

from __future__ import annotations

import re

import pytest

from integrations.systems.xero.simulator.paper import Paper, PaperLine
from integrations.systems.xero.simulator.pdf import render_pdf

_SHOWN = re.compile(rb"\((?P<latin>(?:[^()\\]|\\.)*)\) Tj|<(?P<wide>[0-9A-F]+)> Tj")


def _paper(lines: int = 2, pay_url: str = "https://pay.example.com/x/k?a=(1)") -> Paper:
    line = PaperLine("Web design (layout) \\ für Übung", "2.5", "1,200.00", "", "3,000.00")
    return Paper(
        title="Invoice",
        number="INV-7",
        seller=("Northwind IT & Design", "1410 SE Water Ave"),
        buyer=("株式会社さくら", "東京"),
        facts=(("Date", "22 Nov 2026"),),
        lines=(line,) * lines,
        totals=(("Amount due JPY", "12,000"),),
        currency="JPY",
        stamp="",
        theme="Standard",
        pay_url=pay_url,
        pay_text="Pay now",
    )


def _texts(pdf: bytes) -> str:
    """Every shown text, in order."""
    shown = []
    for found in _SHOWN.finditer(pdf):
        if found["wide"]:
            shown.append(bytes.fromhex(found["wide"].decode()).decode("utf-16-be"))
        else:
            shown.append(re.sub(rb"\\(.)", rb"\1", found["latin"]).decode("cp1252"))
    return "\n".join(shown)


@pytest.mark.parametrize("lines", [1, 200])
def test_the_table_of_objects_is_right(lines: int) -> None:
    pdf = render_pdf(_paper(lines), "https://xero.example/sent/1")
    start = int(re.findall(rb"startxref\n(\d+)\n%%EOF", pdf)[0])
    table = pdf[start:].split(b"trailer")[0].split(b"\n")[3:-1]
    for number, row in enumerate(table, 1):
        offset = int(row[:10])
        assert pdf[offset:].startswith(b"%d 0 obj\n" % number)
        assert len(row) + 1 == 20
    for stream in re.finditer(rb"<< /Length (\d+) >>\nstream\n", pdf):
        assert pdf[stream.end() + int(stream[1]) :].startswith(b"\nendstream")
    pages = pdf.count(b"/Type /Page ")
    assert b"/Count %d" % pages in pdf
    assert (pages > 1) is (lines == 200)


def test_texts_can_be_read_out() -> None:
    text = _texts(render_pdf(_paper(), "https://xero.example/sent/1"))
    for expected in (
        "INVOICE",
        "株式会社さくら",
        "東京",
        "Web design (layout) \\ für Übung",
        "12,000",
        "Amount due JPY",
    ):
        assert expected in text
    assert "Pay now:\nhttps://pay.example.com/x/k?a=(1)" in text


def test_links_can_be_followed() -> None:
    pdf = render_pdf(_paper(), "https://xero.example/sent/1")
    assert b"/URI (https://pay.example.com/x/k?a=\\(1\\))" in pdf
    assert b"/URI (https://xero.example/sent/1)" in pdf
    assert b"/URI" not in render_pdf(_paper(pay_url=""), "")
