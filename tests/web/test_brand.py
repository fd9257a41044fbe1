"""Any colour a merchant picks gives pages that can be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import Invalid
from connector.web import brand


def rgb(colour: str) -> brand.Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def test_contrast_is_the_standards() -> None:
    assert brand.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert brand.contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


@given(st.integers(0, 0xFFFFFF), st.booleans())
def test_every_colour_can_be_read(number: int, dark: bool) -> None:
    colours = brand.palette(f"#{number:06x}", dark=dark)
    surface = rgb("#161e26" if dark else "#ffffff")
    assert brand.contrast(rgb(colours.brand), rgb(colours.ink)) >= 4.5
    assert brand.contrast(rgb(colours.accent), surface) >= 4.5
    assert brand.contrast(rgb(colours.accent), rgb(colours.tint)) >= 4.5


@pytest.mark.parametrize("typed", ["red", "#fff", "#0b5cad;}body{display:none", "", "#０b5cad", "url(x)"])
def test_what_is_no_colour_never_reaches_the_stylesheet(typed: str) -> None:
    with pytest.raises(Invalid) as caught:
        brand.read_colour(typed)
    assert caught.value.field == "colour"
    assert brand.stylesheet(typed) == brand.stylesheet(brand.DEFAULT_COLOUR)


def test_the_stylesheet_holds_nothing_but_colours() -> None:
    sheet = brand.stylesheet(brand.read_colour(" #A1B2C3 "))
    assert re.fullmatch(r"(?:[:@a-z(){}\s-]|#[0-9a-f]{6}|;|,)+", sheet)
