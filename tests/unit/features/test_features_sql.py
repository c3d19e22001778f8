from datetime import date, datetime, timedelta

import polars as pl
import pytest

from ratchet.features.sql import read_expression
from ratchet.features.sql_words import AGGREGATES
from ratchet.features.tokens import SqlTextError, number_literal, tokens_of

ROWS = pl.DataFrame(
    {
        "a": [7, 0, None, 5],
        "b": [2, 0, 1, 0],
        "f": [1.5, -2.0, 0.0, None],
        "c": ["x y", "", "7", None],
        "Monthly Charges": [1.0, 2.0, 3.0, 4.0],
        "over": [1, 2, 3, 4],
    }
)


def run(text, **constants):
    return ROWS.select(pl.sql_expr(read_expression(text).sql(constants)).alias("r"))["r"]


def test_a_text_that_looks_like_an_aggregate_is_a_text():
    expression = read_expression("c = 'median(a)' AND a > median(a) -- median(b)")
    assert [item.key for item in expression.aggregates] == ["median(a)"]
    assert "'median(a)'" in expression.sql({"median(a)": 2.0})


def test_an_aggregate_becomes_the_constant_it_learned():
    assert run("a > median(a)", **{"median(a)": 6.0}).to_list() == [True, False, None, False]
    assert run("a - Max(a) * 2", **{"Max(a)": -1.5}).to_list() == [10.0, 3.0, None, 8.0]
    assert run("a > median(a)", **{"median(a)": None}).to_list() == [None] * 4


def test_an_aggregate_may_summarise_an_expression():
    (found,) = read_expression('QUANTILE("Monthly Charges" / a, 0.9) > 1').aggregates
    assert (found.function, found.level) == ("quantile", 0.9)
    assert found.sql == '"Monthly Charges" / NULLIF(a, 0)'


def test_equal_aggregates_are_learned_once_and_different_ones_apart():
    found = read_expression("median(a) + median(a) + median(b)").aggregates
    assert [item.key for item in found] == ["median(a)", "median(b)"]


@pytest.mark.parametrize("name", AGGREGATES)
def test_every_aggregate_is_read(name):
    argument = "a, 0.5" if name == "quantile" else "a"
    (found,) = read_expression(f"a / {name}({argument})").aggregates
    assert found.function == name


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a / b", [3.5, None, None, None]),
        ("a % b", [1, None, None, None]),
        ("a // b", [3, None, None, None]),
        ("mod(a, b)", [1, None, None, None]),
        ("div(a, b)", [3, None, None, None]),
        ("a / -b / 2", [-1.75, None, None, None]),
        ("a / (b - 2) > 0", [None, False, None, False]),
        ("a / CASE WHEN b > 1 THEN b ELSE 0 END", [3.5, None, None, None]),
        ("a / nullif(b, 2)", [None, None, None, None]),
        ("sqrt(f) > 1", [True, None, False, None]),
        ("ln(f) < 100", [True, None, None, None]),
        ("CAST(c AS DOUBLE)", [None, None, 7.0, None]),
        ("CAST(a * 3000000000 AS INT)", [21000000000, 0, None, 15000000000]),
        ('"Monthly Charges" * 2', [2.0, 4.0, 6.0, 8.0]),
        ("`Monthly Charges` * 2", [2.0, 4.0, 6.0, 8.0]),
        ('"over" + 1', [2, 3, 4, 5]),
        ("a IN (7, 5)", [True, False, None, True]),
        ("a BETWEEN 1 AND 10 / b", [False, False, None, None]),
        ("c = 'it''s' OR c = 'x y'", [True, False, False, None]),
        ("CASE a WHEN 7 THEN 'seven' ELSE 'other' END", ["seven", "other", "other", "other"]),
        ("a /* a / 0 */ + 1 -- ' \" (", [8, 1, None, 6]),
        ("NOT (a > 1)", [False, True, None, False]),
    ],
)
def test_the_answer_is_defined(text, answer):
    assert run(text).to_list() == answer


NARROW = pl.DataFrame(
    {
        "a": [7, 2**62],
        "t": [True, False],
        "u": [False, False],
        "c": ["abc", ""],
        "d": [date(2024, 12, 31), date(2024, 1, 1)],
        "m": [datetime(2024, 12, 31, 6), datetime(2024, 1, 1)],
    }
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("month(d) * 50", [600, 50]),
        ("50 * extract(month FROM d)", [600, 50]),
        ("year(d) * 12 + month(d)", [24300, 24289]),
        ("length(c) - 10", [-7, -10]),
        ("-length(c)", [-3, 0]),
        ("strpos(c, 'z') - 1", [-1, -1]),
        ("CASE WHEN t THEN 50000 ELSE 0 END * 100000", [5e9, 0]),
        ("if(t, 50000, 0) * 100000", [5e9, 0]),
        ("t + u - 2", [-1, -2]),
        ("t - u", [1, 0]),
        ("t * u", [0, 0]),
        ("-t", [-1, 0]),
        ("(a > 1) + (c = 'abc') + t", [3, 1]),
        ("a * 10", [70, 4.611686018427388e19]),
        ("a + a", [14, 9.223372036854776e18]),
        ("power(a, 3)", [343, 9.807971461541689e55]),
        ("power(2, 40) + 1", [2**40 + 1] * 2),
        ("1 - 2 * 3 + -4", [-9, -9]),
        ("2 + 3 * -t", [-1, 2]),
        ("10 / 4 * 2 - 1", [4, 4]),
        ("7 - (3 - 1)", [5, 5]),
        ("NULL + 1", [None, None]),
        ("t + 1 BETWEEN 1 + 1 AND 2 * 2 AND NOT u", [True, False]),
    ],
)
def test_arithmetic_never_wraps_around(text, answer):
    written = read_expression(text, ["d", "m"]).sql({})
    result = NARROW.select(pl.sql_expr(written).alias("r"))["r"]
    # A constant expression gives one row; elsewhere it is refused.
    assert result.to_list() * (2 // len(result)) == answer


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("d - DATE '2024-01-01'", [365, 0]),
        ("m - d", [0.25, 0]),
        ("(d - DATE '2024-01-01') / 365 * 2", [2, 0]),
        ("coalesce(d, m) - DATE '2024-01-01'", [365, 0]),
        ("CASE WHEN t THEN d ELSE DATE '2024-01-02' END - d", [0, 1]),
        ("CAST(m AS DATE) - CAST(d AS TIMESTAMP)", [0, 0]),
        ("d + INTERVAL '2 days' - d", [2, 2]),
    ],
)
def test_dates_keep_their_own_arithmetic(text, days):
    written = read_expression(text, ["d", "m"]).sql({})
    result = NARROW.select(pl.sql_expr(written).alias("r"))["r"]
    assert [value / timedelta(days=1) for value in result] == days


def test_a_long_sum_needs_no_deep_nesting():
    written = read_expression(" + ".join(["t"] * 500)).sql({})
    assert NARROW.select(pl.sql_expr(written).alias("r"))["r"].to_list() == [500, 0]


def test_a_decimal_number_is_a_float():
    result = run("a * 0.1")
    assert result.dtype == pl.Float64
    assert result[0] == 7 * 0.1
    assert run("a / 0.0").to_list() == [None] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("-- nothing", "empty"),
        ("(SELECT max(a) FROM t)", "sub-query"),
        ("a IN (SELECT a)", "sub-query"),
        ("EXISTS (SELECT 1)", "sub-query"),
        ("sum(a) OVER (PARTITION BY b)", "window"),
        ("row_number() OVER (ORDER BY a)", "row_number"),
        ("median(median(a))", "inside"),
        ("a + = b", "value is missing"),
        ("* a", "Nothing stands before"),
        ("a AND / b", "Nothing stands before"),
        ("median(a, b)", "one argument"),
        ("min(a, b)", "one argument"),
        ("median(*)", "not supported"),
        ("sum(DISTINCT a)", "not supported"),
        ("median()", "argument"),
        ("quantile(a)", "between 0 and 1"),
        ("quantile(a, 2)", "between 0 and 1"),
        ("quantile(a, b)", "between 0 and 1"),
        ('"median"(a)', "called like a function"),
        ("count(*)", "count"),
        ("lag(a)", "lag"),
        ("rand()", "rand"),
        ("now()", "now"),
        ("unnest(a)", "unnest"),
        ("first(a)", "first"),
        ("COLUMNS('^a.*$')", "columns"),
        ("log(a)", "base of log"),
        ("current_date", "day to day"),
        ("CURRENT_TIMESTAMP > 1", "second to second"),
        ("a::int", "CAST"),
        ("t.a", "dot"),
        ("a; DROP TABLE t", "';'"),
        ("'abc", "never closed"),
        ('"abc', "never closed"),
        ("a /* b", "never closed"),
        ("(a", "never closed"),
        ("CASE WHEN a THEN 1", "never closed"),
        ("a)", "closes nothing"),
        ("a /", "ends too early"),
        ("mod(a)", "two arguments"),
        ("E'x'", "start with"),
        ("a <=> b", "not supported"),
        ("(" * 100 + "a" + ")" * 100, "deeply"),
        ("a + " * 4000 + "a", "longer"),
    ],
)
def test_what_is_no_row_wise_expression_is_refused_with_the_reason(text, message):
    with pytest.raises(SqlTextError) as caught:
        read_expression(text)
    assert message in f"{caught.value} {caught.value.fix}"


def test_a_misspelled_function_is_answered_with_the_nearest():
    with pytest.raises(SqlTextError) as caught:
        read_expression("medain(a)")
    assert caught.value.fix == "Use median"


@pytest.mark.parametrize(
    "value", [0.0, 0.1, 70.35, -2.5, 1e-300, 1.7976931348623157e308, 5e-324, 123456789.125]
)
def test_a_constant_is_written_exactly(value):
    read = pl.select(pl.sql_expr(number_literal(value)).alias("x"))["x"]
    assert read.dtype == pl.Float64
    assert read[0] == value


def test_tokens_know_where_they_are():
    text = 'a+"b c" -- x\n*1.5e-3'
    found = tokens_of(text)
    assert [(token.kind, token.text) for token in found] == [
        ("word", "a"),
        ("symbol", "+"),
        ("quoted", '"b c"'),
        ("symbol", "*"),
        ("number", "1.5e-3"),
    ]
    assert all(text[token.start : token.end] == token.text for token in found)
