"""Which texts of a table stand for a missing value."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ratchet.data.parsing import TextForm, infer_kind

KNOWN = (
    "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "<NA>", "\\N",
)  # fmt: skip
ONLY_AMONG_NUMBERS = (
    "-", "--", ".", "..", "None", "none", "unknown", "Unknown", "missing", "Missing", "nil",
    "#VALUE!", "#DIV/0!", "#REF!",
)  # fmt: skip


def find_missing(
    texts: Sequence[pl.Series], forms: tuple[TextForm, ...]
) -> dict[str, tuple[str, ...]]:
    """The missing texts found, each with all columns that hold it.

    ``texts`` are stripped. Well known texts count wherever they are. Others (such as - or
    none) count when a column that holds them holds numbers or dates otherwise, in one of
    ``forms``.
    """
    held = {text.name: _found_in(text, (*KNOWN, *ONLY_AMONG_NUMBERS)) for text in texts}
    meant = {token for tokens in held.values() for token in tokens if token in KNOWN}
    for text in texts:
        odd = [token for token in held[text.name] if token not in KNOWN]
        if not odd:
            continue
        rest = text.filter(~text.is_in(held[text.name]).fill_null(True))
        if rest.len() and any(infer_kind(rest, form) != "string" for form in forms):
            meant.update(odd)
    return {
        token: tuple(name for name, tokens in held.items() if token in tokens)
        for token in (*KNOWN, *ONLY_AMONG_NUMBERS)
        if token in meant
    }


def _found_in(text: pl.Series, tokens: tuple[str, ...]) -> list[str]:
    present = text.filter(text.is_in(list(tokens)).fill_null(False)).unique()
    return [token for token in tokens if token in set(present)]
