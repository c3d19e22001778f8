import polars as pl
import pytest

from ratchet.pipeline.steps.gate import resemblance, sketch


def rows(start, stop):
    return pl.DataFrame({"id": [f"C{n}" for n in range(start, stop)], "x": range(start, stop)})


@pytest.mark.parametrize("column", ["id", None])
@pytest.mark.parametrize(
    ("other", "expected"),
    [((0, 1000), 1.0), ((0, 1100), 0.91), ((500, 1500), 1 / 3), ((1000, 2000), 0.0)],
)
def test_the_sketch_tells_how_many_rows_are_shared(column, other, expected):
    found = resemblance(sketch(rows(0, 1000), column), sketch(rows(*other), column))
    assert found == pytest.approx(expected, abs=0.1)


def test_order_does_not_matter_and_small_tables_work():
    table = rows(0, 20)
    assert sketch(table, "id") == sketch(table.reverse(), "id")
    assert resemblance(sketch(table, "id"), sketch(rows(0, 21), "id")) > 0.9
    assert resemblance([], sketch(table, "id")) == 0.0
