"""The invoice as a PDF: one page of plain text in the standard Helvetica, readable by any extractor."""

from __future__ import annotations

import textwrap

_WIDTH = 92
_LINES_A_PAGE = 52


def render(lines: list[str]) -> bytes:
    """A valid PDF 1.4 of the lines, wrapped at words and spread over as many pages as needed.

    Characters outside Windows-1252 become `?`: the standard fonts have no others.
    """
    wrapped = [part for line in lines for part in (textwrap.wrap(line, _WIDTH, break_long_words=False) or [""])]
    pages = [wrapped[start : start + _LINES_A_PAGE] for start in range(0, len(wrapped), _LINES_A_PAGE)] or [[]]
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects: list[bytes] = [b"", b"", font]
    kids = []
    for page in pages:
        content = _content(page)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return _assemble(objects)


def _content(lines: list[str]) -> bytes:
    rows = [b"BT /F1 10 Tf 14 TL 54 738 Td"]
    for line in lines:
        text = line.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        rows.append(b"(%s) Tj T*" % text)
    rows.append(b"ET")
    return b"\n".join(rows)


def _assemble(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
