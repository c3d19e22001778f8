"""Tables as data frames and CSV files write them, and the JSON that Python's clients send."""

from __future__ import annotations

import json

import msgspec
import pytest

from ratchet.serving.answers import Answered
from ratchet.serving.codec import Expected
from ratchet.serving.http import ProblemError
from ratchet.serving.protocols.bodies import read_json
from ratchet.serving.protocols.mlflow import read_rows, told, write
from ratchet.serving.protocols.tables import columns_to_records

COLUMNS = (
    Expected("n", "integer"),
    Expected("x", "number"),
    Expected("s", "string"),
    Expected("b", "boolean"),
    Expected("d", "date"),
    Expected("t", "datetime"),
)
HEADER = "n,x,s,b,d,t\n"
ROW = {"n": 3, "x": 1.5, "s": "a", "b": True, "d": "2026-01-02", "t": "2026-01-02 10:00:00"}


def csv_rows(text, columns=COLUMNS):
    body = text if isinstance(text, bytes) else text.encode()
    return read_rows(body, columns, is_csv=True)


def json_rows(body, columns=COLUMNS):
    return read_rows(json.dumps(body).encode(), columns)


def refused(text, columns=COLUMNS):
    with pytest.raises(ProblemError) as caught:
        csv_rows(text, columns)
    assert caught.value.status == 400
    return caught.value


class TestCsv:
    def test_cells_are_read_in_the_kinds_of_the_signature(self):
        assert csv_rows(HEADER + "3,1.5,a,true,2026-01-02,2026-01-02 10:00:00\n") == [ROW]

    def test_blank_and_missing_words_are_missing(self):
        for word in ("", " ", "NA", "NaN", "null", "?"):
            assert csv_rows(HEADER + ",".join([word] * 6)) == [dict.fromkeys("nxsbdt")]

    def test_text_keeps_what_only_pandas_takes_for_missing(self):
        """Training read these as texts; a number they can never be."""
        row = csv_rows(HEADER + "None,None,None,None,None,None")[0]
        assert row == {**dict.fromkeys("nxsbdt"), "s": "None"}

    def test_digits_in_a_text_column_stay_as_they_are_written(self):
        assert csv_rows(HEADER + "1,1,00123,1,,")[0]["s"] == "00123"

    @pytest.mark.parametrize(
        ("text", "value"),
        [("3.0", 3), ("+7", 7), ("-0", 0), ("1e3", 1000), ("007", 7), ("3.5", 3.5), ("x", "x")],
    )
    def test_whole_numbers(self, text, value):
        read = csv_rows(HEADER + f"{text},,,,,")[0]["n"]
        assert (read, type(read)) == (value, type(value))

    @pytest.mark.parametrize(
        ("text", "value"),
        [("3", 3.0), ("-.5", -0.5), ("5.", 5.0), ("1E-2", 0.01), ("1_0", "1_0"), ("٣", "٣")],
    )
    def test_numbers(self, text, value):
        assert csv_rows(HEADER + f",{text},,,,")[0]["x"] == value

    def test_columns_in_another_order_and_more_of_them(self):
        text = ",t,d,b,s,x,n,more\n0,2026-01-02 10:00:00,2026-01-02,TRUE,a,1.5,3,9\n"
        row = csv_rows(text)[0]
        assert {name: row[name] for name in ROW} == ROW

    def test_quotes_line_ends_byte_order_mark_and_blank_lines(self):
        text = '\ufeffn,x,s,b,d,t\r\n\r\n1,2,"a, ""b""\r\nc",no,,\r\n\r\n'
        row = csv_rows(text)[0]
        assert (row["s"], row["b"]) == ('a, "b"\r\nc', False)

    def test_short_rows_miss_their_last_cells(self):
        assert csv_rows(HEADER + "1,2\n")[0]["t"] is None

    def test_no_rows(self):
        assert csv_rows(HEADER) == []

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "n, x, s, b, d, t"),
            ("n;x\n1;2", "n, x, s, b, d, t"),
            ("n,x,s,b,d\n", "not there: t"),
            ("n,x,s,b,d,t,n\n1,2,3,4,5,6,7\n", 'Several columns are named "n"'),
            (HEADER + "1,2,3,4,5,6,7\n", "Line 2 has 7 cells"),
            (HEADER + '1,"2,3,4,5,6\n', "not valid CSV"),
            (HEADER + '1,"2"2,3,4,5,6\n', "not valid CSV"),
            (b"n,x\n\xff,1", "not UTF-8"),
            (HEADER + "x" * 200_000, "not valid CSV"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, text, told):
        assert told in str(refused(text))

    def test_a_problem_holds_no_values(self):
        assert "secret" not in str(refused(HEADER + '1,"secret'))


class TestFrames:
    def test_a_column_that_only_another_version_reads_may_be_absent(self):
        columns = (*COLUMNS, Expected("more", "number", required=False))
        assert csv_rows(HEADER + "1,,,,,", columns)[0]["more"] is None
        assert json_rows({"dataframe_records": [ROW]}, columns)[0]["more"] is None
        split = {"columns": list(ROW), "data": [list(ROW.values())]}
        assert json_rows({"dataframe_split": split}, columns)[0]["more"] is None

    def test_every_absent_column_is_named(self):
        for body in (
            {"dataframe_records": [{"n": 1}]},
            {"inputs": {"n": [1]}},
            {"dataframe_split": {"columns": ["n"], "data": [[1]]}},
        ):
            with pytest.raises(ProblemError, match="not there: x, s, b, d, t"):
                json_rows(body)

    def test_columns_that_are_no_texts_are_ignored(self):
        split = {"columns": [*ROW, 5, ["a"]], "data": [[*ROW.values(), 1, 2]]}
        assert ROW.items() <= json_rows({"dataframe_split": split})[0].items()

    def test_a_list_is_no_value(self):
        row = json_rows({"dataframe_records": [{**ROW, "n": [1], "d": [2], "s": {"a": 1}}]})[0]
        assert (row["n"], row["d"], row["s"]) == ([1], [2], {"a": 1})  # the codec refuses them

    def test_no_columns_are_no_rows(self):
        assert columns_to_records({}) == []


class TestJson:
    decoder = msgspec.json.Decoder()

    def test_nan_is_null_but_not_in_texts(self):
        body = b'{"a": NaN, "b": ["NaN", "\\"NaN", NaN], "NaN": -1}'
        assert read_json(body, self.decoder) == {
            "a": None,
            "b": ["NaN", '"NaN', None],
            "NaN": -1,
        }

    @pytest.mark.parametrize("word", ["Infinity", "-Infinity"])
    def test_infinity_is_a_text_that_no_number_column_takes(self, word):
        body = f'{{"a": [{word}], "b": "Infinity"}}'.encode()
        assert read_json(body, self.decoder) == {"a": [word], "b": "Infinity"}

    @pytest.mark.parametrize(
        "body",
        [b"NaNaN", b'{"NaN: 1', b'"NaN\\', b"-NaN", b"[NaN" * 50_000, b'"\\"' * 50_000 + b"NaN"],
    )
    def test_what_is_no_json_is_refused_soon(self, body):
        with pytest.raises(ProblemError) as caught:
            read_json(body, self.decoder)
        assert caught.value.status == 400


class TestAnswers:
    def test_true_and_1_have_names_of_their_own(self):
        for classes, names in (((0, 1), ("0", "1")), ((False, True), ("false", "true"))):
            row = Answered("p", 3, "champion", classes[1], [0.25, 0.75], classes)
            assert json.loads(write([row])) == {
                "predictions": [
                    {
                        "prediction": classes[1],
                        f"probability_{names[0]}": 0.25,
                        f"probability_{names[1]}": 0.75,
                    }
                ]
            }

    def test_estimates(self):
        row = Answered("p", 3, "champion", None, [7.5], (), (6.0, 10.0))
        row_without = Answered("p", 3, "champion", None, [7.5], ())
        assert json.loads(write([row, row_without]))["predictions"] == [
            {"prediction": 7.5, "prediction_low": 6.0, "prediction_high": 10.0},
            {"prediction": 7.5},
        ]

    def test_ids_are_told_for_as_many_rows_as_a_header_takes(self):
        rows = [Answered(f"p{n}", 3 + n % 2, "a", "x", [1.0], ("x",)) for n in range(101)]
        assert dict(told(rows)) == {b"x-model-version": b"3,4"}
        assert dict(told(rows[:2])) == {b"x-model-version": b"3,4", b"x-prediction-id": b"p0,p1"}
