from __future__ import annotations

import polars as pl

from ratchet.checks.duplicates import check_overlap
from ratchet.checks.settings import ChecksSettings
from ratchet.data.roles import Roles

ROLES = Roles(target="y", id="id")
PARTS = pl.Series([0, 0, 0, 1, 2, 2, 2, 2], dtype=pl.UInt8)


def frame() -> pl.LazyFrame:
    return pl.LazyFrame(
        {
            "id": range(8),
            "a": [1, 2, None, 4, 1, None, 4, 9],
            "b": ["x", "x", "z", "v", "x", "z", "v", "x"],
            "y": [0, 1, 0, 1, 1, 0, 1, 0],
        }
    )


def test_test_rows_with_the_features_of_training_rows_are_counted() -> None:
    result = check_overlap(frame(), PARTS, roles=ROLES, settings=ChecksSettings())
    assert result is not None
    # Rows 5 and 6 repeat training rows (the second with a missing value); row 7 repeats only a
    # validation row, and row 8 nothing.
    assert (result.failing, result.rows, result.passed, result.severity) == (2, 4, False, "warn")
    assert "data.group" in result.message


def test_few_are_normal() -> None:
    settings = ChecksSettings.model_validate({"overlap": {"share": 0.5}})
    result = check_overlap(frame(), PARTS, roles=ROLES, settings=settings)
    assert result is not None
    assert result.passed


def test_nothing_to_compare() -> None:
    off = ChecksSettings.model_validate({"overlap": "off"})
    assert check_overlap(frame(), PARTS, roles=ROLES, settings=off) is None
    no_test = pl.Series([0] * 8, dtype=pl.UInt8)
    assert check_overlap(frame(), no_test, roles=ROLES, settings=ChecksSettings()) is None
    bare = frame().select("id", "y")
    assert check_overlap(bare, PARTS, roles=ROLES, settings=ChecksSettings()) is None
