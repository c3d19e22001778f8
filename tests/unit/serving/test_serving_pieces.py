"""Large bodies by pieces: the same rows and the same refusals, with turns for others in between."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.packaging.signature import InputColumn, Signature
from ratchet.serving.codec import Codec
from ratchet.serving.http import ProblemError
from ratchet.serving.pieces import divide_records, let_go, read_by_pieces

INPUTS = (
    InputColumn("plan", "string", False, True, "a"),
    InputColumn("tenure", "integer", False, True, 3),
    InputColumn("since", "date", False, True, "2026-01-01"),
)
CODEC = Codec(Signature(INPUTS, "binary", ("No", "Yes")), "customer", None, "Churn")
ROW = {"plan": "a", "tenure": 3, "since": None, "customer": "c1"}


def told(read: Any) -> Any:
    """What reading comes to: the rows, or the refusal."""
    try:
        question = read()
    except ProblemError as problem:
        return problem.status, problem.name, problem.field, problem.what
    return [(each.record, each.entity) for each in question.asked], question.single


def both(body: bytes, most: int | None = None, size: int = 60) -> Any:
    """The one answer of reading at once and by pieces."""
    at_once = told(lambda: CODEC.decode(body, most))
    by_pieces = told(lambda: asyncio.run(read_by_pieces(CODEC, body, most, size=size)))
    assert by_pieces == at_once
    return at_once


text = st.text(alphabet='{}[],:"\\ a\n\u2028é', max_size=12)
records = st.lists(
    st.fixed_dictionaries(
        {
            "plan": text | st.none(),
            "tenure": st.integers(-5, 5) | st.none(),
            "since": st.sampled_from(["2026-01-31", None]),
        },
        optional={"customer": text | st.integers(0, 9)},
    ),
    max_size=12,
)


@given(records=records, size=st.integers(1, 300), indent=st.sampled_from([None, 1]))
def test_any_text_in_the_rows_and_any_cut_gives_the_same_rows(
    records: list[dict[str, Any]], size: int, indent: int | None
) -> None:
    both(json.dumps({"records": records}, indent=indent, ensure_ascii=False).encode(), size=size)


@given(
    place=st.integers(0, 400),
    byte=st.sampled_from([b"", b"}", b",", b"]", b"{", b'"', b"3.0", b" ", b"\xff"]),
    size=st.integers(1, 200),
)
def test_a_body_that_is_broken_anywhere_is_refused_in_the_same_words(
    place: int, byte: bytes, size: int
) -> None:
    body = json.dumps({"records": [ROW] * 6}).encode()
    both(body[:place] + byte + body[place + 1 :], size=size)


@pytest.mark.parametrize(
    "body",
    [
        b'{"records":[%b,%b],"records":[%b]}' % ((json.dumps(ROW).encode(),) * 3),
        b'{"records":[%b],"other":[%b]}' % ((json.dumps(ROW).encode(),) * 2),
        json.dumps({"records": [ROW, 3, ROW]}).encode(),
        json.dumps({"records": [ROW] * 5 + [{**ROW, "since": "2026-02-30"}]}).encode(),
        json.dumps({"records": [ROW] * 5 + [{**ROW, "tenure": 3.0}]}).encode(),
        json.dumps({"records": []}).encode(),
        json.dumps({"record": ROW}).encode(),
        json.dumps({"ids": ["c1", "c2"]}).encode(),
        b'{"records":[%b,]}' % json.dumps(ROW).encode(),
    ],
)
def test_rare_forms_are_read_as_ever(body: bytes) -> None:
    both(body, size=1)


def test_too_many_rows_are_refused_with_their_number() -> None:
    refused = both(json.dumps({"records": [ROW] * 9}).encode(), most=8)
    assert refused[:2] == (413, "too_many_rows")
    assert "9" in refused[3]


def test_the_pieces_are_as_large_as_asked_for_and_hold_everything_once() -> None:
    rows = [{**ROW, "tenure": number} for number in range(500)]
    body = json.dumps({"records": rows}).encode()
    pieces = list(divide_records(body, 2_000))
    assert [row for piece in pieces for row in json.loads(piece)] == rows
    assert len(pieces) > 10
    assert max(map(len, pieces)) < 2_000 + 2 * len(json.dumps(ROW))


def test_others_get_a_turn_after_every_piece() -> None:
    body = json.dumps({"records": [ROW] * 4_000}).encode()
    pieces = len(list(divide_records(body, 20_000)))
    turns = 0

    async def check() -> None:
        nonlocal turns
        reading = asyncio.ensure_future(read_by_pieces(CODEC, body, size=20_000))
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        asked = (await reading).asked
        assert len(asked) == 4_000
        await let_go(asked)
        assert len(asked) < 1_100

    asyncio.run(check())
    assert turns >= pieces > 5
