"""A small PDF writer for the documents' print: pages of text, text that can be searched and copied, one link.

Latin text stands in Helvetica; everything else in the viewer's own Japanese face (a predefined CMap, nothing embedded).
Source: ISO 32000-1, 9.6 and 9.7.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import Organisation
from integrations.systems.xero.simulator.paper import Paper, print_out

_LEFT, _TOP, _BOTTOM, _RIGHT = 50, 790, 60, 545
_NUMBER_WIDTH = 0.5


def pdf_response(org: Organisation, kind: str, doc: Document, public_url: str) -> Response:
    """The document as a download; the print also names the online page."""
    body = render_pdf(print_out(org, kind, doc), f"{public_url}/sent/{doc['id']}" if kind == "invoice" else "")
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in str(doc["number"]))
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return Response(body, content_type="application/pdf", headers=headers)


def render_pdf(paper: Paper, online_url: str) -> bytes:
    """The print as PDF bytes."""
    pages: list[_Page] = [_Page()]
    for row in _rows(paper, online_url):
        if pages[-1].y < _BOTTOM:
            pages.append(_Page())
        pages[-1].add(row)
    return _assemble(pages)


class _Row:
    """One printed line: texts at horizontal positions; `link` makes it clickable."""

    def __init__(
        self, *cells: tuple[int, str], size: int = 10, right: tuple[int, str] | None = None, link: str = ""
    ) -> None:
        self.cells, self.size, self.right, self.link = cells, size, right, link


class _Page:
    def __init__(self) -> None:
        self.y = _TOP
        self.content: list[bytes] = []
        self.links: list[tuple[int, str]] = []

    def add(self, row: _Row) -> None:
        for x, text in row.cells:
            self.content.append(_text(x, self.y, row.size, text))
        if row.right is not None:
            edge, text = row.right
            self.content.append(_text(int(edge - len(text) * row.size * _NUMBER_WIDTH), self.y, row.size, text))
        if row.link:
            self.links.append((self.y, row.link))
        self.y -= int(row.size * 1.6)


def _rows(paper: Paper, online_url: str) -> Iterator[_Row]:
    yield _Row((_LEFT, paper.title.upper()), size=20)
    for line in paper.seller:
        yield _Row((_LEFT, line))
    yield _Row()
    for line in paper.buyer:
        yield _Row((_LEFT, line))
    yield _Row()
    for name, value in paper.facts:
        yield _Row((_LEFT, f"{name}: {value}"))
    if paper.stamp:
        yield _Row((_LEFT, paper.stamp.upper()), size=14)
    yield _Row()
    yield _Row(
        (_LEFT, "Description"), (330, "Quantity"), (400, "Unit price"), right=(_RIGHT, f"Amount {paper.currency}")
    )
    for item in paper.lines:
        pieces = [item.description[at : at + 52] for at in range(0, len(item.description), 52)] or [""]
        yield _Row((_LEFT, pieces[0]), (330, item.quantity), (400, item.unit_price), right=(_RIGHT, item.amount))
        for piece in pieces[1:]:
            yield _Row((_LEFT, piece))
    yield _Row()
    for name, value in paper.totals:
        yield _Row((330, name), right=(_RIGHT, value))
    yield _Row()
    if paper.pay_url:
        yield _Row((_LEFT, f"{paper.pay_text}:"), link=paper.pay_url)
        for at in range(0, len(paper.pay_url), 90):
            yield _Row((_LEFT, paper.pay_url[at : at + 90]), size=9, link=paper.pay_url)
    if online_url:
        yield _Row((_LEFT, f"View online: {online_url}"), size=9, link=online_url)


def _text(x: int, y: int, size: int, text: str) -> bytes:
    """Operators that show a text, changing the font where the script changes."""
    parts = [b"BT %d %d Td " % (x, y)]
    for latin, run in _runs(text):
        if latin:
            escaped = run.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
            parts.append(b"/F1 %d Tf (%b) Tj " % (size, escaped))
        else:
            parts.append(b"/F2 %d Tf <%b> Tj " % (size, run.encode("utf-16-be").hex().upper().encode()))
    return b"".join(parts) + b"ET"


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or _latin(text[at]) != _latin(text[start]):
            yield _latin(text[start]), text[start:at]
            start = at


def _latin(sign: str) -> bool:
    try:
        sign.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _assemble(pages: list[_Page]) -> bytes:
    objects: list[bytes] = [b"", b""]
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    objects.append(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5 /Encoding /UniJIS-UTF16-H"
        b" /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiKakuGo-W5"
        b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 6 >> /DW 1000"
        b" /FontDescriptor << /Type /FontDescriptor /FontName /HeiseiKakuGo-W5 /Flags 4"
        b" /FontBBox [-92 -250 1010 922] /ItalicAngle 0 /Ascent 752 /Descent -221 /CapHeight 737 /StemV 114 >> >>] >>"
    )
    kids = []
    for page in pages:
        stream = b"\n".join(page.content)
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
        content = len(objects)
        links = b"".join(_link(y, url) for y, url in page.links)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >>"
            b" /Contents %d 0 R /Annots [%b] >>" % (content, links)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), len(kids))
    out, offsets = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"), []
    for index, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (index, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _link(y: int, url: str) -> bytes:
    safe = url.encode("ascii", "ignore").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    area = b"[%d %d %d %d]" % (_LEFT, y - 3, _RIGHT, y + 12)
    return b"<< /Type /Annot /Subtype /Link /Rect %b /Border [0 0 0] /A << /S /URI /URI (%b) >> >> " % (area, safe)
