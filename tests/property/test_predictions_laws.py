"""Laws of the prediction log: any record comes back as it was, however the file was cut."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratchet.data.lake import Lake
from ratchet.data.predictions import compaction
from ratchet.data.predictions.compaction import compact
from ratchet.data.predictions.log import LogPolicy, PredictionLog
from ratchet.data.predictions.records import (
    EARLIEST,
    LATEST,
    Failed,
    Feedback,
    Record,
    Served,
    decode,
    encode,
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


@settings(deadline=None)
@given(RECORDS)
@example(Served("p", 0, 1, "champion", {"\0": "\u2028\x7f\U0001f600"}, [-0.0, 5e-324], 10**40))
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    again = decode(encode(record))
    assert again == record
    assert repr(again) == repr(record)  # tells 1 from 1.0 and True, and 0.0 from -0.0


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
            step = data.draw(st.sampled_from(["open", "append", "append", "seal", "close", "all"]))
            if step == "open" or not writers:
                size = data.draw(st.sampled_from([1, 400, 10_000]))
                writers.append(PredictionLog.open(folder, LogPolicy(segment=size)))
            writer = writers[data.draw(st.integers(0, len(writers) - 1))]
            if step == "append":
                expected.append(f"p{number}")
                writer.append(encode(Served(f"p{number}", number, 1, "champion", {}, [1.0], "a")))
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
