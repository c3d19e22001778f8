"""The words of the SQL that features are written in, and what each one is."""

from __future__ import annotations

from difflib import get_close_matches


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Functions over many rows: they are constants learned in training.
AGGREGATES = ("avg", "max", "mean", "median", "min", "quantile", "stddev", "sum")

#: Row-wise functions of Polars' SQL that answer for one row as for a million.
FUNCTIONS = _words(
    """abs atan atan2 bit_length cast cbrt ceil ceiling char_length character_length coalesce
    concat concat_ws cos cot date_part day dayofweek degrees div ends_with exp extract floor
    greatest hour if ifnull initcap least left length ln log10 log1p log2 lower lpad ltrim
    minute mod month nullif octet_length pi position pow power quarter radians regexp_like
    replace reverse right round rpad rtrim sign sin split_part sqrt starts_with strftime strpos
    substr substring tan trim try_cast upper week year"""
)
#: What the argument must satisfy, else the answer is null.
DOMAINS = {"ln": "> 0", "log2": "> 0", "log10": "> 0", "log1p": "> -1", "sqrt": ">= 0"}
#: Functions whose results are 8 or 32 bits wide in Polars.
NARROW = _words(
    """bit_length char_length character_length day dayofweek hour length minute month
    octet_length position quarter strpos week year"""
)
#: Functions that give back one of their arguments.
CHOOSING = _words("coalesce greatest if ifnull least nullif")

TYPES = _words("char decimal float numeric varchar")
INTEGERS = _words("int integer smallint tinyint int2 int4")
DATES = _words("date datetime interval time timestamp")

#: Words between two operands; a bracket after one is no call.
CONNECTIVES = _words(
    """and as between both distinct escape for from ilike in is leading like not or regexp rlike
    trailing xor case when then else end"""
)
REFUSED = {
    "select": "a sub-query looks at other rows",
    "exists": "a sub-query looks at other rows",
    "over": "a window function looks at other rows",
    "filter": "a filtered aggregate is not supported",
    "within": "an ordered aggregate is not supported",
    "current_date": "the answer would change from day to day",
    "current_time": "the answer would change from second to second",
    "current_timestamp": "the answer would change from second to second",
    "localtime": "the answer would change from second to second",
    "localtimestamp": "the answer would change from second to second",
}


def unknown_function(name: str) -> tuple[str, str]:
    """Why ``name`` cannot be called, and what to write instead."""
    if name == "log":
        return "the base of log differs between databases", "use ln, log2, log10 or log1p"
    known = sorted({*FUNCTIONS, *AGGREGATES})
    near = get_close_matches(name, known, n=1)
    fix = f"use {near[0]}" if near else f"known: {', '.join(known)}"
    return f"there is no row-wise function {name}", fix
