"""Whatever a CSV holds: what init writes down is what a run can read, by every way of reading."""

import csv
import io
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.data.settings import SourceSettings
from ratchet.data.sources.csv_table import read_table
from ratchet.data.sources.rawtext import RawText, load_text
from ratchet.data.sources.sniff import sniff_csv

CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "?", "NA", "-", "none", "nan", "inf", "true", "0", "1", "-7", "2.5", "1,5",
         "007", "2024-02-01", "2024-02-01 10:00", "01.02.2024", "12/31/2024", "x", "5\" pipe",
         "'q'", "a;b", "a,b", "line\nbreak", "9" * 20]
    ),
    st.integers(-1000, 1000).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc", "Cs"]), max_size=6),
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    width = draw(st.integers(2, 4))
    header = [f"col {chr(97 + i)}" for i in range(width)]
    column_cells = [st.sampled_from(draw(st.lists(CELLS, min_size=1, max_size=4))) for _ in header]
    rows = draw(st.lists(st.tuples(*column_cells), min_size=1, max_size=30))
    text = io.StringIO()
    pad = draw(st.sampled_from(["", "", " "]))
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",;\t|")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow(header)
    writer.writerow([f"7{i}" for i in range(width)])
    writer.writerows([pad + cell + pad if cell else cell for cell in row] for row in rows)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]))
    return text.getvalue().encode(encoding)


@given(files())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_init_writes_down_can_be_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(data)
    sniffed = sniff_csv("x.csv", tmp_path)
    source = SourceSettings.model_validate(sniffed.source("x.csv"))
    raw = load_text(tmp_path / "x.csv", source.encoding)
    pinned = read_table(raw, source, sniffed.kinds())
    assert pinned.height == sniffed.rows
    strict = dict.fromkeys(sniffed.kinds(), "string")
    texts = read_table(raw, source, strict)  # type: ignore[arg-type]
    for name in pinned.columns:
        lost = pinned[name].is_null() & texts[name].is_not_null()
        assert set(texts[name].filter(lost).str.to_lowercase()) <= {"nan", "+nan", "-nan"}


@given(files())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_all_ways_of_reading_agree(tmp_path: Path, data: bytes) -> None:
    """Polars in the pinned types, Polars as text, and Python's reader give the same rows."""
    (tmp_path / "x.csv").write_bytes(data)
    sniffed = sniff_csv("x.csv", tmp_path)
    source = SourceSettings.model_validate(sniffed.source("x.csv"))
    raw = load_text(tmp_path / "x.csv", source.encoding)
    pinned = read_table(raw, source, sniffed.kinds())
    rows = [record for _, record in raw.records(source.separator, source.quote)]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    quoted = RawText("x.csv", text.getvalue().encode())
    plain = source.model_copy(update={"separator": ",", "quote": '"', "encoding": "utf8"})
    assert read_table(quoted, plain, sniffed.kinds()).equals(pinned)
    assert isinstance(pinned, pl.DataFrame)
