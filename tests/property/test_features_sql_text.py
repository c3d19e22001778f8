"""No text makes the reader of expressions fail in another way than by refusing it."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.errors import ConfigError
from ratchet.features.expressions import parse_expression
from ratchet.features.tokens import number_literal

WORDS = """a b median( sum( ) ( , + - * / % // 1 2.5 1e400 'x' 'it''s' "q" `q` CASE WHEN THEN ELSE
END AND OR NOT IN IS NULL cast( as int double quantile( 0.5 ln( sqrt( mod( -- /* */ = <> < > . : ;
^ || LIKE BETWEEN extract( year from distinct over select current_date date ' " é $ ? @"""
PIECES = st.lists(st.sampled_from(tuple(WORDS.split())), max_size=14).map(" ".join)


def read(text):
    """What the text is read as, or the error that refuses it."""
    try:
        return parse_expression("f", text)
    except ConfigError as error:
        return error


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=30) | PIECES)
def test_any_text_is_an_expression_or_refused(text):
    answer = read(text)
    if isinstance(answer, ConfigError):
        assert answer.where == "features.expressions.f"
    else:
        expression, reads = answer
        assert reads
        assert expression.text == text


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_learned_constant_is_read_back_exactly(value):
    read = pl.select(pl.sql_expr(number_literal(value)).alias("x"))["x"]
    assert read.dtype == pl.Float64
    assert read[0] == value
