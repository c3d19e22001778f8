import json

import numpy as np
import pytest

from ratchet.features.encoders.bands import BandEncoder, band_of
from ratchet.features.encoders.encoder import encoder_from_json
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.numeric import NumericEncoder
from ratchet.features.encoders.slots import LIMIT, NAN, Slot, hold_number, hold_numbers

A, B = Slot("a", "number", "number"), Slot("b", "number", "number")
TEXT = Slot("c", "text", "string")
INF = float("inf")


def both(encoder, *columns):
    """The encoder's block and rows, checked to be equal."""
    blocks = [hold_numbers(np.array(column, dtype=np.float64)) for column in columns]
    out = np.full((len(blocks[0]), len(encoder.columns)), 9, dtype=np.float32)
    with np.errstate(over="ignore"):
        encoder.write(blocks, out)
    encode = encoder.row(list(range(len(blocks))), 1)
    for place, values in enumerate(zip(*blocks, strict=True)):
        row = [0.0] * (1 + len(encoder.columns))
        encode([float(value) for value in values], row)
        np.testing.assert_array_equal(np.array(row[1:], dtype=np.float32), out[place])
    return out[:, 0].tolist() if out.shape[1] == 1 else out.tolist()


@pytest.mark.parametrize(
    ("value", "held"),
    [(1.5, 1.5), (NAN, None), (INF, None), (-INF, None), (1e300, LIMIT), (-1e39, -LIMIT)],
)
def test_numbers_are_held_within_float32(value, held):
    expected = NAN if held is None else held
    np.testing.assert_equal(hold_number(value), expected)
    np.testing.assert_equal(hold_numbers(np.array([value])), np.array([expected]))


def test_a_plain_number_passes_and_missing_stays():
    encoder = NumericEncoder(("a",), (A,))
    np.testing.assert_equal(both(encoder, [1.5, NAN, INF, 1e300]), [1.5, NAN, NAN, LIMIT])


def test_missing_is_filled_and_told():
    encoder = NumericEncoder(("a", "a is missing"), (A,), fill=2.0)
    assert both(encoder, [1.0, NAN, INF]) == [[1.0, 0.0], [2.0, 1.0], [2.0, 1.0]]


def test_missing_may_be_told_and_stay():
    encoder = NumericEncoder(("a", "a is missing"), (A,))
    np.testing.assert_equal(both(encoder, [1.0, NAN]), [[1.0, 0.0], [NAN, 1.0]])


def test_scaling_comes_after_filling():
    encoder = NumericEncoder(("a",), (A,), fill=5.0, mean=3.0, deviation=2.0)
    assert both(encoder, [3.0, NAN, 7.0]) == [0.0, 1.0, 2.0]
    constant = NumericEncoder(("a",), (A,), mean=3.0, deviation=0.0)
    np.testing.assert_equal(both(constant, [3.0, 8.0, NAN]), [0.0, 0.0, NAN])
    steep = NumericEncoder(("a",), (A,), mean=0.0, deviation=1e-300)
    assert both(steep, [1e30, -1e30]) == [LIMIT, -LIMIT]


@pytest.mark.parametrize(
    ("term", "columns", "expected"),
    [
        ("square", [[3.0, -2.0, NAN, 1e30]], [9.0, 4.0, NAN, LIMIT]),
        ("product", [[3.0, 2.0, NAN], [2.0, NAN, 1.0]], [6.0, NAN, NAN]),
        ("log1p", [[0.0, np.e - 1, -0.5, -1.0, -7.0]], [0.0, 1.0, np.log(0.5), NAN, NAN]),
    ],
)
def test_terms(term, columns, expected):
    encoder = NumericEncoder(("t",), (A, B)[: len(columns)], term)
    np.testing.assert_allclose(both(encoder, *columns), expected, rtol=1e-6)


def test_time_since_the_origin():
    encoder = NumericEncoder(("d",), (A,), "since", origin=10.0, unit=4.0)
    np.testing.assert_equal(both(encoder, [12.0, 8.0, NAN]), [0.5, -0.5, NAN])


def test_a_band_holds_its_lower_edge():
    encoder = BandEncoder(("b",), A, (1.0, 2.0), ((0.0,), (1.0,), (2.0,)), (NAN,))
    np.testing.assert_equal(
        both(encoder, [0.9, 1.0, 1.5, 2.0, 1e300, NAN]), [0.0, 1.0, 1.0, 2.0, 2.0, NAN]
    )
    assert band_of(np.array([-5.0, NAN]), ()).tolist() == [0, 1]


LOOKUP = LookupEncoder(
    columns=("c=x", "c=y"),
    source=TEXT,
    categories=("x", "y"),
    rows=((1.0, 0.0), (0.0, 1.0)),
    unseen=(0.25, 0.25),
    missing=(NAN, NAN),
)


def test_a_lookup_knows_unseen_and_missing():
    out = np.empty((4, 2), dtype=np.float32)
    LOOKUP.write(np.array([1, 0, 2, 3]), LOOKUP.table(), out)
    encode = LOOKUP.row([0], 0)
    for text, expected in zip(["y", "x", "z", None], out, strict=True):
        row = [9.0, 9.0]
        encode([text], row)
        np.testing.assert_array_equal(np.array(row, dtype=np.float32), expected)
    np.testing.assert_equal(out.tolist(), [[0, 1], [1, 0], [0.25, 0.25], [NAN, NAN]])


@pytest.mark.parametrize(
    "encoder",
    [
        NumericEncoder(("a", "m"), (A,), fill=0.1, mean=1 / 3, deviation=1e-17),
        NumericEncoder(("p",), (A, B), "product"),
        NumericEncoder(("d",), (A,), "since", origin=1.5e15, unit=86_400e6),
        BandEncoder(("b",), A, (0.1, 2.0), ((0.0,), (1.0,), (2.0,)), (NAN,)),
        LOOKUP,
    ],
)
def test_json_gives_an_equal_encoder(encoder):
    text = json.dumps(encoder.to_json(), allow_nan=False)
    again = encoder_from_json(json.loads(text))
    assert again == encoder
    assert json.dumps(again.to_json()) == text
