"""Patterns keep Python's meaning, whichever engine runs them."""

from __future__ import annotations

import polars as pl
import pytest

from ratchet.checks.regex import compile_regex, matches, translated

TEXTS = [
    "",
    "a",
    "a\n",
    "a\nb",
    "b",
    "aa",
    "A",
    "[",
    "]",
    "$",
    "a$",
    "<a",
    "5",
    "٣",
    "é",
    "a\n\n",
    "x]",
]

FAST = [
    "a", "^a$", r"a\Z", "(?i)A", "[$]", r"\$", "[]$]", "[^]]$", r"[\]$]", "a{1,2}", r"\d",
    r"\w", "(?P<n>a)$", "a|$", "^$", r"\Aa", "[a-c]", r"\\Z", "a*?b", "(?s).b", "$a",
]  # fmt: skip
SLOW = [
    r"(?<=<)a", r"(a)\1", "(?m)^b$", "a++", r"\<a", "(?x) a # letter", "(?a:\\d)", "[[a]", "[[]",
    "[a-z--b]", "[+--a]", "[a&&b]",
    "(?i:A)a(?!b)", "(?>a)a",
]  # fmt: skip


@pytest.mark.parametrize("pattern", [*FAST, *SLOW])
def test_same_as_python(pattern: str) -> None:
    compiled = compile_regex(pattern)
    frame = pl.DataFrame({"t": [*TEXTS, None]})
    found = frame.select(matches(pl.col("t"), pattern)).to_series().to_list()
    assert found == [compiled.search(text) is not None for text in TEXTS] + [None]


def test_simple_patterns_run_in_polars() -> None:
    slow = [pattern for pattern in FAST if translated(pattern) is None]
    assert slow == []


def test_patterns_that_only_python_knows_run_there() -> None:
    assert [pattern for pattern in SLOW if translated(pattern) is not None] == []
