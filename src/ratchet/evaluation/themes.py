"""The colours of plots, light and dark: plain values that a report can use as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours.

    Attributes:
        name: light or dark.
        page: behind everything.
        ink: text that is read first.
        soft: axes, notes and chance lines.
        rule: the grid.
        blue: the first colour of data.
        orange: the second, and what is marked.
        middle: between blue and orange, for values from low to high.
        empty: a cell without rows; blue is a full one.
        palette: lines of several classes.
    """

    name: ThemeName
    page: str
    ink: str
    soft: str
    rule: str
    blue: str
    orange: str
    middle: str
    empty: str
    palette: tuple[str, ...]


# Okabe and Ito's palette, told apart with every common form of colour blindness; on dark ground
# its lighter relatives.
LIGHT = Theme(
    name="light",
    page="#ffffff",
    ink="#1b1f24",
    soft="#5b6470",
    rule="#e3e6ea",
    blue="#0072b2",
    orange="#d55e00",
    middle="#b4bac2",
    empty="#f6f8fa",
    palette=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1b1f24"),
)
DARK = Theme(
    name="dark",
    page="#14181d",
    ink="#e9edf1",
    soft="#a0aab6",
    rule="#2b323a",
    blue="#56b4e9",
    orange="#ff8f3f",
    middle="#757f8b",
    empty="#1e242b",
    palette=("#56b4e9", "#ff8f3f", "#2fc99b", "#e59ac6", "#f2c84b", "#a9a6ff", "#e9edf1"),
)


def find_theme(name: ThemeName) -> Theme:
    """The theme of that name."""
    return DARK if name == "dark" else LIGHT
