"""A merchant's colour made fit to read: contrast by WCAG 2.2, computed, so that every colour works in both schemes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connector.errors import Invalid

DEFAULT_COLOUR = "#0b5cad"
_HEX = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
_ENOUGH = 4.5
_LIGHT_SURFACE = (255, 255, 255)
_DARK_SURFACE = (22, 30, 38)
_DARK_INK = (20, 32, 43)

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Palette:
    """What one brand colour becomes on a page in one colour scheme, all '#rrggbb'.

    `accent` is the brand colour shifted until it can be read as text on the surface; `tint` a faint background.
    """

    brand: str
    ink: str
    accent: str
    tint: str


def read_colour(text: str) -> str:
    """A colour as '#rrggbb' in small letters. Raises Invalid with field 'colour'."""
    if not _HEX.fullmatch(text.strip()):
        raise Invalid("Write the colour as # and six digits or letters a to f, for example #0b5cad.", field="colour")
    return text.strip().lower()


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, 1 to 21 (source: WCAG 2.2, 'contrast ratio')."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def palette(colour: str, *, dark: bool) -> Palette:
    """The colours of a page for a brand colour; what is no colour becomes the default one."""
    brand = _rgb(colour if _HEX.fullmatch(colour) else DEFAULT_COLOUR)
    surface = _DARK_SURFACE if dark else _LIGHT_SURFACE
    accent = _shift(brand, surface, towards=(255, 255, 255) if dark else (0, 0, 0))
    tint = _mix(surface, accent, 0.1)
    # Links stand on the tint as well (the current tab).
    accent = _shift(accent, tint, towards=(255, 255, 255) if dark else (0, 0, 0))
    ink = (255, 255, 255) if contrast(brand, (255, 255, 255)) >= _ENOUGH else _DARK_INK
    if contrast(brand, ink) < _ENOUGH:
        brand = _shift(brand, ink, towards=(255, 255, 255))
    return Palette(_text(brand), _text(ink), _text(accent), _text(tint))


def stylesheet(colour: str) -> str:
    """The stylesheet of one merchant. Only computed colours reach it, never what was typed."""
    light, dark = (_declarations(palette(colour, dark=scheme)) for scheme in (False, True))
    return f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _declarations(colours: Palette) -> str:
    return f"--brand:{colours.brand};--brand-ink:{colours.ink};--accent:{colours.accent};--tint:{colours.tint}"


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _text(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _shift(colour: Rgb, background: Rgb, *, towards: Rgb) -> Rgb:
    """Move a colour in small steps until it can be read on the background."""
    for step in range(21):
        shifted = _mix(colour, towards, step / 20)
        if contrast(shifted, background) >= _ENOUGH:
            return shifted
    return towards


def _luminance(colour: Rgb) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
