"""Laws of the prediction log: any record comes back as it was, however the file was cut."""

from __future__ import annotations

import base64
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratchet.data.coded import CodedColumn, PackedScores
from ratchet.data.lake import Lake
from ratchet.data.predictions import compaction
from ratchet.data.predictions.compaction import compact
from ratchet.data.predictions.log import LogPolicy, PredictionLog
from ratchet.data.predictions.records import (
    EARLIEST,
    LATEST,
    Batch,
    Failed,
    Feedback,
    Record,
    Served,
    decode,
    encode,
    plain,
)
from ratchet.data.predictions.rows import Rows
from ratchet.data.predictions.segments import MARK, frame, join, parse
from ratchet.errors import DataError

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
INTEGERS = st.integers() | st.integers(-(2**70), 2**70) | st.sampled_from([10**30, -(2**63) - 1])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
MOMENTS = st.integers(EARLIEST, LATEST)
COUNTS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LABELS = TEXTS | INTEGERS | NUMBERS | st.booleans()

SERVED = st.builds(
    Served,
    id=TEXTS,
    at=MOMENTS,
    version=COUNTS,
    arm=TEXTS,
    features=st.dictionaries(TEXTS, VALUES, max_size=6),
    scores=st.lists(NUMBERS, max_size=4),
    label=st.none() | LABELS,
    entity=st.none() | TEXTS,
    micros=COUNTS,
    of=st.none() | TEXTS,
    request=st.none() | TEXTS,
)
FEEDBACK = st.builds(
    Feedback,
    key=TEXTS,
    at=MOMENTS,
    label=LABELS,
    prediction=st.none() | TEXTS,
    entity=st.none() | TEXTS,
    time=st.none() | MOMENTS,
    observed=st.none() | MOMENTS,
    source=TEXTS,
)
FAILED = st.builds(
    Failed, id=TEXTS, at=MOMENTS, version=COUNTS, arm=TEXTS, error=TEXTS, micros=COUNTS
)
RECORDS = SERVED | FEEDBACK | FAILED


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    count = draw(st.integers(0, 5))
    names = draw(st.lists(TEXTS, max_size=4, unique=True))

    def column(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(values, min_size=count, max_size=count)

    def feature() -> Any:
        different = draw(st.lists(VALUES, min_size=1, max_size=4))
        codes = st.lists(st.integers(0, len(different) - 1), min_size=count, max_size=count)
        coded = codes.map(lambda at: CodedColumn(different, bytes(at)))
        return draw(column(VALUES) | coded)

    def scores() -> Any:
        if draw(st.booleans()):
            return draw(column(st.lists(NUMBERS, max_size=3)))
        width = draw(st.integers(1, 3))
        return PackedScores.of(
            np.array(draw(column(st.lists(NUMBERS, min_size=width, max_size=width)))).reshape(
                -1, width
            )
        )

    return Batch(
        at=draw(MOMENTS),
        version=draw(COUNTS),
        arm=draw(TEXTS),
        names=names,
        values=[feature() for _ in names],
        ids=draw(column(TEXTS)),
        scores=scores(),
        labels=draw(st.none() | column(st.none() | LABELS)),
        entities=draw(st.none() | column(st.none() | TEXTS)),
        micros=draw(COUNTS),
        of=draw(st.none() | column(st.none() | TEXTS)),
        request=draw(st.none() | TEXTS | column(st.none() | TEXTS)),
    )


@settings(deadline=None)
@given(RECORDS)
@example(Served("p", 0, 1, "champion", {"\0": "\u2028\x7f\U0001f600"}, [-0.0, 5e-324], 10**40))
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    again = decode(encode(record))
    assert again == record
    assert repr(again) == repr(record)  # tells 1 from 1.0 and True, and 0.0 from -0.0


@settings(deadline=None, max_examples=40)
@given(batches())
@example(Batch(0, 1, "a", ["%b", "%", '\0"'], [[1], ["%s"], [None]], ["p"], [[0.5]]))
@example(Batch(0, 1, "a", [], [], ["p", "q"], [[0.5], []], request=["r", None]))
def test_a_batch_is_the_rows_that_single_records_give(batch: Batch) -> None:
    again = decode(encode(batch))
    assert isinstance(again, Batch)
    assert repr(again) == repr(batch)
    singles = list(batch.rows())
    assert len(singles) == len(batch.ids)
    assert repr(list(again.rows())) == repr(singles)
    apart = Rows([encode(each) for each in singles])
    wanted = apart.predictions()
    together = Rows([encode(batch)])
    assert together.unread == apart.unread == 0
    found = together.predictions()
    assert found.schema == wanted.schema
    assert found.equals(wanted)


@settings(deadline=None, max_examples=40)
@given(st.lists(SERVED | batches(), max_size=6), st.integers(1, 4))
def test_rows_stay_in_the_order_of_the_log(records: list[Served | Batch], held: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ratchet.data.predictions.rows._HELD", held)
        found = Rows([encode(each) for each in records]).predictions()
    singles = [
        row for each in records for row in (each.rows() if isinstance(each, Batch) else [each])
    ]
    assert found.equals(Rows([encode(each) for each in singles]).predictions())


@settings(deadline=None, max_examples=40)
@given(batches(), st.data())
def test_a_batch_whose_parts_do_not_fit_is_never_written_or_read(
    batch: Batch, data: st.DataObject
) -> None:
    facts = {name: getattr(batch, name) for name in batch.__struct_fields__}
    change = data.draw(st.sampled_from(["ids", "scores", "labels", "names", "values", "twice"]))
    match change:
        case "ids":
            facts["ids"] = [*batch.ids, "more"]
        case "scores":
            facts["scores"] = [*plain(batch.scores), [1.0]]
        case "labels":
            facts["labels"] = [*batch.ids, "more"]
        case "names":
            facts["names"] = [*batch.names, "more of them"]
        case "values":
            facts["values"] = [*batch.values, [*batch.ids]]
        case _:
            facts["names"] = [*batch.names, "one", "one"]
            facts["values"] = [*batch.values, batch.ids, batch.ids]
    with pytest.raises(ValueError, match="batch"):
        Batch(**facts)
    payload = msgspec.json.encode({"type": "batch", **facts})
    with pytest.raises(DataError):
        decode(payload)
    assert Rows([payload]).unread == 1


def test_what_is_no_text_is_no_record() -> None:
    sound = encode(Served("p", 0, 1, "a", {"x": "é"}, [0.5], "yes"))
    batch = encode(Batch(0, 1, "a", ["x"], [["é"]], ["p"], [[0.5]], ["yes"]))
    came_back = encode(Feedback("k", 0, "é"))
    rows = Rows([each.replace("é".encode(), b"\xff\xff") for each in (sound, batch, came_back)])
    assert rows.unread == 3
    assert rows.predictions().height == rows.feedback().height == 0
    assert Rows([sound, batch, came_back]).predictions().height == 2


def test_packed_scores_that_are_none_are_never_written_or_read() -> None:
    scores = np.array([[0.25, 0.75], [1.0, -0.0]])
    packed = PackedScores.of(scores)
    assert len(packed) == 2
    assert repr(packed.values()) == repr(scores.tolist())
    batch = Batch(0, 1, "a", [], [], ["p", "q"], packed)
    payload = encode(batch)
    assert Rows([payload]).predictions()["scores"].to_list() == scores.tolist()
    data = base64.b64encode(packed.data)
    endless = base64.b64encode(np.array([[0.0, math.inf], [0.0, math.nan]]).tobytes())
    for wrong in (data[4:], data[:-12] + b"AA==", b"", endless):
        damaged = payload.replace(data, wrong)
        assert damaged != payload
        with pytest.raises(DataError):
            decode(damaged)
        assert Rows([damaged]).unread == 1
    for width in (b"0", b"-2", b"3", b"1"):
        with pytest.raises(DataError):
            decode(payload.replace(b'"width":2', b'"width":' + width))


def test_a_code_that_names_nothing_is_never_written_or_read() -> None:
    with pytest.raises(ValueError, match="does not name"):
        CodedColumn(["a", "b"], b"\0\1\2")
    assert CodedColumn(["a"] * 256, bytes(range(256))).values() == ["a"] * 256
    batch = Batch(
        0, 1, "a", ["x"], [CodedColumn(["a", "b"], b"\0\1\1")], ["p", "q", "r"], [[0.5]] * 3
    )
    payload = encode(batch)
    assert [row.features for row in decode(payload).rows()] == [{"x": each} for each in "abb"]
    for wrong in (b'"AAEC"', b'"AAE="', b'"AA"', b"[0,1]", b"7"):
        damaged = payload.replace(b'"AAEB"', wrong)
        assert damaged != payload
        with pytest.raises(DataError):
            decode(damaged)
        assert Rows([damaged]).unread == 1


@settings(deadline=None, max_examples=40)
@given(batches(), st.sampled_from([math.nan, math.inf]), st.data())
def test_a_batch_with_what_is_not_finite_is_never_written(
    batch: Batch, value: float, data: st.DataObject
) -> None:
    facts = {name: getattr(batch, name) for name in batch.__struct_fields__}
    if data.draw(st.booleans()):
        facts["scores"] = [*plain(batch.scores)[:-1], [value]] if batch.ids else []
    else:
        facts["names"] = [*batch.names, "a new one"]
        facts["values"] = [*batch.values, [value for _ in batch.ids]]
    if batch.ids:
        with pytest.raises(DataError):
            encode(Batch(**facts))


@settings(deadline=None)
@given(SERVED, st.sampled_from([math.nan, math.inf, -math.inf]), st.data())
def test_what_is_not_finite_is_never_written(
    record: Served, value: float, data: st.DataObject
) -> None:
    holder: Any = data.draw(
        st.sampled_from([value, [value], {"x": value}, [[1.0, {"y": [value]}]]])
    )
    name = data.draw(TEXTS)
    with pytest.raises(DataError):
        encode(Served(**(record_facts(record) | {"features": {**record.features, name: holder}})))
    at = data.draw(st.integers(0, len(record.scores)))
    scores = [*record.scores[:at], value, *record.scores[at:]]
    with pytest.raises(DataError):
        encode(Served(**(record_facts(record) | {"scores": scores})))


def record_facts(record: Served) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=6), st.data())
def test_wherever_a_segment_is_cut_the_whole_records_stay(
    records: list[Record], data: st.DataObject
) -> None:
    written = [encode(record) for record in records]
    whole = MARK + join(written)
    cut = data.draw(st.integers(0, len(whole)))
    content = parse(whole[:cut])
    fits, end = 0, len(MARK)
    for payload in written:
        end += len(frame(payload))
        fits += end <= cut
    assert list(content.payloads) == written[:fits]
    assert content.damaged == 0
    kept = sum(len(frame(payload)) for payload in written[:fits])
    assert content.torn == (cut - kept - len(MARK) if cut >= len(MARK) else cut)


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_no_bytes_stop_the_reader_or_count_twice(start: bytes, junk: bytes) -> None:
    for data in (start, MARK + start, MARK + join([b'{"type":"x"}']) + junk):
        content = parse(data)
        read = sum(len(frame(payload)) for payload in content.payloads)
        mark = len(MARK) if data.startswith(MARK) else 0
        assert read + content.torn + content.damaged + mark == len(data)


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=8))
def test_the_rows_say_what_the_records_say(records: list[Record]) -> None:
    rows = Rows([encode(record) for record in records])
    assert rows.unread == 0
    served = [record for record in records if isinstance(record, Served)]
    assert told(rows.predictions()) == [
        {
            "prediction_id": r.id,
            "at": r.at,
            "version": r.version,
            "arm": r.arm,
            "entity": r.entity,
            "label": r.label,
            "scores": r.scores,
            "features": r.features,
            "micros": r.micros,
            "of": r.of,
            "request": r.request,
        }
        for r in served
    ]
    feedback = [record for record in records if isinstance(record, Feedback)]
    assert told(rows.feedback()) == [
        {
            "key": r.key,
            "at": r.at,
            "label": r.label,
            "prediction_id": r.prediction,
            "entity": r.entity,
            "time": r.time,
            "observed": r.at if r.observed is None else r.observed,
            "source": r.source,
        }
        for r in feedback
    ]
    assert rows.failures().height == sum(isinstance(record, Failed) for record in records)


def told(frame: pl.DataFrame) -> list[dict[str, Any]]:
    rows = frame.with_columns(pl.selectors.datetime().dt.epoch("us")).to_dicts()
    for row in rows:
        if row["label"] is not None:
            row["label"] = json.loads(row["label"])
            assert row["label"] is not None
        if "features" in row:
            row["features"] = json.loads(row["features"])
    return rows


@settings(deadline=None, max_examples=8)
@given(st.data())
def test_however_it_is_cut_into_segments_and_compactions_each_record_is_stored_once(
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder, lake = Path(name) / "log", Lake(str(Path(name) / "lake"))
        patch.setattr(compaction, "BATCH_BYTES", data.draw(st.sampled_from([1, 500, 1 << 20])))
        writers: list[PredictionLog] = []
        expected: list[str] = []
        for number in range(data.draw(st.integers(1, 25), label="steps")):
            step = data.draw(
                st.sampled_from(["open", "append", "together", "seal", "close", "all"])
            )
            if step == "open" or not writers:
                size = data.draw(st.sampled_from([1, 400, 10_000]))
                writers.append(PredictionLog.open(folder, LogPolicy(segment=size)))
            writer = writers[data.draw(st.integers(0, len(writers) - 1))]
            if step == "append":
                expected.append(f"p{number}")
                writer.append(encode(Served(f"p{number}", number, 1, "champion", {}, [1.0], "a")))
            elif step == "together":
                own = [f"p{number}.{place}" for place in range(3)]
                expected += own
                scores = [[1.0]] * 3
                writer.append(encode(Batch(number, 1, "champion", ["a"], [[1, 2, 3]], own, scores)))
            elif step == "seal":
                writer.seal()
            elif step == "close":
                writers.remove(writer)
                writer.close()
            elif step == "all" and data.draw(st.booleans()):
                compact(folder, lake)
        for writer in writers:
            writer.close()
        compact(folder, lake)
        assert stored(lake) == sorted(expected)
        assert [path.name for path in folder.iterdir()] == ["compaction.lock"]
        assert compact(folder, lake).served == 0


def stored(lake: Lake) -> list[str]:
    place = Path(lake.place("predictions"))
    if not place.is_dir():
        return []
    return sorted(pl.read_delta(str(place))["prediction_id"].to_list())
