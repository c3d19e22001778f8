from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.data.collected import ROW
from ratchet.data.lake import Lake
from ratchet.data.predictions import collect as collecting
from ratchet.data.predictions.collect import Collected, collect
from ratchet.data.predictions.due import Rules
from ratchet.data.schema import TableSchema
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.open_source import open_source
from ratchet.data.sources.port import Source
from ratchet.errors import ConfigError, ConflictError, DataError, UsageError
from served_rows import at, labelled, put, served

SCHEMA = TableSchema.of({"customer": "string", "tenure": "integer", "churn": "string"})
RULES = Rules(schema=SCHEMA, target="churn", id="customer")


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is two months after the first prediction."""
    monkeypatch.setattr(collecting, "now", lambda: at(24 * 60))


def client(name: str, hours: float = 0, **more: Any) -> Any:
    features = more.pop("features", {"tenure": int(hours)})
    return served(name, hours, features=features, entity=f"C-{name}", **more)


def rows(lake: Lake) -> list[tuple[Any, ...]]:
    latest = lake.latest("collected")
    assert latest is not None
    return lake.scan(latest, [ROW, *SCHEMA.names]).collect().rows()


def counts(done: Collected) -> dict[str, int]:
    names = ("added", "external", "corrected", "withdrawn", "waiting", "unmatched", "unfit")
    return {name: getattr(done, name) for name in names if getattr(done, name)}


def csv(folder: Path, text: str) -> Source:
    path = folder / "external.csv"
    path.write_text(text)
    kinds = {column.name: column.kind for column in SCHEMA.columns}
    return open_source(SourceSettings(type="csv", path=str(path)), folder, columns=kinds)


def test_labelled_predictions_become_rows_oldest_first(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [
            client("b", 7),
            client("a", 3),
            client("never", 4),
            labelled("a", "yes", 30),
            labelled("b", "no", 20),
        ],
    )
    done = collect(lake, RULES)
    assert (done.change, done.version, done.rows) == ("created", 0, 2)
    assert counts(done) == {"added": 2}
    assert rows(lake) == [("a", "C-a", 3, "yes"), ("b", "C-b", 7, "no")]
    stored = lake.scan(lake.latest("collected")).collect()  # type: ignore[arg-type]
    assert stored["_predicted"].to_list() == [
        at(3).replace(tzinfo=None),
        at(7).replace(tzinfo=None),
    ]
    assert stored["_observed"].to_list()[0] == at(30).replace(tzinfo=None)
    assert stored["_feedback"].null_count() == 0


def test_collecting_again_changes_nothing(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    first = collect(lake, RULES)
    again = collect(lake, RULES)
    assert (again.change, again.version, again.rows) == ("unchanged", 0, 1)
    assert counts(first) == {"added": 1}
    assert counts(again) == {}
    assert len(list((tmp_path / "collected").glob("*.parquet"))) == 1


def test_nothing_labelled_makes_no_table(tmp_path: Path) -> None:
    for name, given in (("none", []), ("waiting", [client("a")])):
        lake = put(tmp_path / name, given)
        done = collect(lake, RULES)
        assert (done.change, done.version, done.rows) == ("unchanged", None, 0)
        assert lake.latest("collected") is None


def test_late_labels_are_appended(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), client("b", 1), labelled("b", "no", 2)])
    collect(lake, RULES)
    # Observed before what was collected already, and accepted only now.
    put(tmp_path, [labelled("a", "yes", 500, observed=1)])
    done = collect(lake, RULES)
    assert (done.change, done.version) == ("appended", 1)
    assert [row[0] for row in rows(lake)] == ["b", "a"]
    assert counts(done) == {"added": 1}


def test_a_corrected_label_replaces_the_row_in_its_place(tmp_path: Path) -> None:
    lake = put(
        tmp_path, [client("a"), client("b", 1), labelled("a", "no", 2), labelled("b", "no", 3)]
    )
    collect(lake, RULES)
    put(tmp_path, [labelled("a", "yes", 40), client("c", 2), labelled("c", "no", 41)])
    done = collect(lake, RULES)
    assert done.change == "replaced"
    assert counts(done) == {"added": 1, "corrected": 1}
    assert [(row[0], row[3]) for row in rows(lake)] == [("a", "yes"), ("b", "no"), ("c", "no")]
    stored = lake.scan(lake.latest("collected")).collect()  # type: ignore[arg-type]
    assert stored["_observed"][0] == at(40).replace(tzinfo=None)
    assert collect(lake, RULES).change == "unchanged"
    # The version before is as it was.
    old = lake.scan(lake.snapshot("collected", 0), [ROW, "churn"]).collect()
    assert old.rows() == [("a", "no"), ("b", "no")]


def test_a_label_said_again_is_no_correction(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "no", 2)])
    collect(lake, RULES)
    put(tmp_path, [labelled("a", "no", 90)])
    assert collect(lake, RULES).change == "unchanged"


def test_no_label_observed_after_the_moment_is_used(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [
            client("a"),
            client("b"),
            labelled("a", "no", 5),
            labelled("a", "yes", 50),
            labelled("b", "no", 60),
        ],
    )
    first = collect(lake, RULES, as_of=at(49))
    assert first.as_of == at(49)
    assert [(row[0], row[3]) for row in rows(lake)] == [("a", "no")]
    done = collect(lake, RULES, as_of=at(60))
    assert counts(done) == {"added": 1, "corrected": 1}


def test_the_moment_never_goes_back(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "no", 5)])
    collect(lake, RULES, as_of=at(100))
    with pytest.raises(UsageError) as caught:
        collect(lake, RULES, as_of=at(99))
    assert caught.value.name == "as_of_past"
    assert collect(lake, RULES, as_of=at(100)).change == "unchanged"


def test_a_moment_in_the_future_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        collect(put(tmp_path, []), RULES, as_of=at(24 * 61))
    assert caught.value.name == "as_of_future"


def test_young_predictions_wait(tmp_path: Path) -> None:
    rules = replace(RULES, wait=timedelta(hours=24))
    lake = put(
        tmp_path,
        [client("a"), client("b", 10), labelled("a", "yes", 1), labelled("b", "yes", 11)],
    )
    first = collect(lake, rules, as_of=at(24))
    assert counts(first) == {"added": 1, "waiting": 1}
    second = collect(lake, rules, as_of=at(34))
    assert counts(second) == {"added": 1}
    assert [row[0] for row in rows(lake)] == ["a", "b"]


def test_silence_is_a_label_after_the_wait(tmp_path: Path) -> None:
    rules = replace(RULES, wait=timedelta(hours=24), unlabelled="no")
    lake = put(tmp_path, [client("a"), client("b", 1), client("c", 20), labelled("b", "yes", 3)])
    done = collect(lake, rules, as_of=at(30))
    assert counts(done) == {"added": 2}
    assert [(row[0], row[3]) for row in rows(lake)] == [("a", "no"), ("b", "yes")]
    put(tmp_path, [labelled("a", "yes", 31)])
    done = collect(lake, rules, as_of=at(50))
    assert counts(done) == {"added": 1, "corrected": 1}
    assert [(row[0], row[3]) for row in rows(lake)] == [("a", "yes"), ("b", "yes"), ("c", "no")]
    with pytest.raises(ConfigError, match="unlabelled"):
        collect(
            put(tmp_path / "other", [client("a"), labelled("a", 1, 2)]),
            replace(
                rules, schema=TableSchema.of({"tenure": "integer", "churn": "integer"}), id=None
            ),
        )


def test_shadows_are_not_collected(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [client("a"), client("s", arm="shadow", of="a"), labelled("a", "yes", 1)],
    )
    collect(lake, RULES)
    assert [row[0] for row in rows(lake)] == ["a"]


def test_a_label_that_turns_out_to_be_of_a_newer_prediction_moves(tmp_path: Path) -> None:
    old = served("old", 0, entity="C", features={"tenure": 1})
    lake = put(tmp_path, [old, labelled(None, "yes", 30, entity="C", time=20)])
    assert counts(collect(lake, RULES)) == {"added": 1}
    # The newer prediction came into the lake later: its worker had died.
    put(tmp_path, [served("new", 10, entity="C", features={"tenure": 2})])
    done = collect(lake, RULES)
    assert counts(done) == {"added": 1, "withdrawn": 1}
    assert rows(lake) == [("new", "C", 2, "yes")]
    assert collect(lake, RULES).change == "unchanged"


def test_rows_outlive_predictions_that_were_removed_from_the_lake(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    collect(lake, RULES)
    from deltalake import DeltaTable

    DeltaTable(lake.place("predictions")).delete()
    assert collect(lake, RULES).change == "unchanged"
    put(tmp_path, [labelled("a", "no", 5)])
    assert counts(collect(lake, RULES)) == {"corrected": 1}
    assert rows(lake) == [("a", "C-a", 0, "no")]


def test_labels_of_nobody_are_counted(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [
            client("a"),
            labelled("a", "yes", 1),
            labelled("nobody", "yes", 1),
            labelled(None, "no", 1, entity="nobody"),
        ],
    )
    assert counts(collect(lake, RULES)) == {"added": 1, "unmatched": 2}


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    schema = TableSchema.of({"tenure": "integer", "churn": "integer"})
    rules = Rules(schema=schema, target="churn")
    lake = put(
        tmp_path,
        [
            client("good", 1),
            client("bad", features={"tenure": "long"}),
            client("odd", 2),
            labelled("good", 1, 5),
            labelled("bad", 0, 5),
            labelled("odd", "maybe", 5),
        ],
    )
    done = collect(lake, rules)
    assert counts(done) == {"added": 1, "unfit": 2}
    assert any("maybe" in note for note in done.notes)
    assert any('"tenure" is long in bad' in note for note in done.notes)
    again = collect(lake, rules)
    assert (again.change, again.version) == ("unchanged", 0)
    assert counts(again) == {"unfit": 2}


@pytest.mark.parametrize(
    ("kind", "labels", "expected"),
    [
        ("number", [1, 2.5, 1e-3], [1.0, 2.5, 0.001]),
        ("integer", [0, 1, 2], [0, 1, 2]),
        ("boolean", [True, False, True], [True, False, True]),
        ("string", ["a", 'ö "b"', "c"], ["a", 'ö "b"', "c"]),
    ],
)
def test_labels_of_every_task(
    tmp_path: Path, kind: Any, labels: list[Any], expected: list[Any]
) -> None:
    schema = TableSchema.of({"tenure": "integer", "y": kind})
    given = [
        (client(f"p{n}", n), labelled(f"p{n}", label, 10 + n)) for n, label in enumerate(labels)
    ]
    lake = put(tmp_path, [row for pair in given for row in pair])
    collect(lake, Rules(schema=schema, target="y"))
    assert lake.scan(lake.latest("collected"), ["y"]).collect()["y"].to_list() == expected  # type: ignore[arg-type]


def test_time_and_id_come_from_the_request_else_from_the_log(tmp_path: Path) -> None:
    schema = TableSchema.of({"customer": "integer", "day": "date", "y": "integer"})
    rules = Rules(schema=schema, target="y", id="customer", time="day")
    lake = put(
        tmp_path,
        [
            served("a", 0, features={"customer": 7, "day": "2026-01-31"}, entity="7"),
            served("b", 24, features={}, entity="8"),
            labelled("a", 1, 50),
            labelled("b", 0, 50),
        ],
    )
    done = collect(lake, rules)
    stored = lake.scan(lake.latest("collected"), schema.names).collect()  # type: ignore[arg-type]
    assert stored.rows() == [(7, date(2026, 1, 31), 1), (8, date(2026, 11, 2), 0)]
    assert done.notes == ()


@pytest.mark.parametrize(("kind", "stored"), [("string", "9f3a"), ("integer", None)])
def test_hidden_columns_are_missing_and_it_is_said(tmp_path: Path, kind: Any, stored: Any) -> None:
    schema = TableSchema.of({"customer": kind, "city": "string", "age": "integer", "y": "integer"})
    rules = Rules(
        schema=schema, target="y", id="customer", hashed=("city", "customer"), unneeded=("age",)
    )
    features = {"customer": "9f3a", "city": "77ab"}
    lake = put(tmp_path, [served("a", features=features, entity="9f3a"), labelled("a", 1, 50)])
    done = collect(lake, rules)
    frame = lake.scan(lake.latest("collected"), schema.names).collect()  # type: ignore[arg-type]
    assert frame.rows() == [(stored, None, None, 1)]
    lacking = "city" if stored else "customer, city"
    assert done.notes == (f"not served or not logged, so missing in the new rows: {lacking}",)


def test_rows_from_elsewhere_come_once(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    source = csv(tmp_path, "customer,tenure,churn\nX,1,no\nY,2,yes\nX,1,no\nZ,5,\n")
    done = collect(lake, RULES, external=[source])
    assert counts(done) == {"added": 1, "external": 2}
    assert done.notes == ("1 rows from elsewhere have no label",)
    assert [row[1:] for row in rows(lake)] == [("C-a", 0, "yes"), ("Y", 2, "yes"), ("X", 1, "no")]
    assert collect(lake, RULES, external=[source]).change == "unchanged"
    corrected = csv(tmp_path, "customer,tenure,churn\nX,1,yes\nX,2,no\n")
    done = collect(lake, RULES, external=[corrected])
    assert counts(done) == {"external": 1, "corrected": 1}
    assert [row[1:] for row in rows(lake)][1:] == [("Y", 2, "yes"), ("X", 1, "yes"), ("X", 2, "no")]
    # Without the file they stay.
    assert collect(lake, RULES).change == "unchanged"


def test_equal_rows_with_other_labels_are_two_rows_without_an_id(tmp_path: Path) -> None:
    rules = replace(RULES, id=None)
    source = csv(tmp_path, "customer,tenure,churn\nX,1,no\nX,1,yes\n")
    assert counts(collect(put(tmp_path, []), rules, external=[source])) == {"external": 2}


def test_rows_from_elsewhere_of_a_later_time_are_left_out(tmp_path: Path) -> None:
    schema = TableSchema.of({"day": "date", "y": "integer"})
    rules = Rules(schema=schema, target="y", time="day")
    path = tmp_path / "x.csv"
    path.write_text("day,y\n2026-11-02,1\n2026-11-03,0\n")
    source = open_source(SourceSettings(type="csv", path=str(path)), tmp_path, columns=None)
    done = collect(put(tmp_path, []), rules, as_of=at(24), external=[source])
    assert counts(done) == {"external": 1}
    assert done.notes == ("1 rows from elsewhere are of a later time",)


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    source = csv(tmp_path, "customer,churn\nX,no\n")
    with pytest.raises(DataError, match="lacks the columns tenure") as caught:
        collect(put(tmp_path, []), RULES, external=[source])
    assert caught.value.name == "column_missing"


def test_a_new_column_is_missing_in_older_rows(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    collect(lake, RULES)
    wider = TableSchema.of(
        {"customer": "string", "tenure": "number", "plan": "string", "churn": "string"}
    )
    put(tmp_path, [client("b", features={"tenure": 1.5, "plan": "x"}), labelled("b", "no", 2)])
    done = collect(lake, replace(RULES, schema=wider))
    assert (done.change, done.rows) == ("replaced", 2)
    frame = lake.scan(lake.latest("collected"), wider.names).collect()  # type: ignore[arg-type]
    assert frame.rows() == [("C-a", 0.0, None, "yes"), ("C-b", 1.5, "x", "no")]


def test_another_target_needs_another_table(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    collect(lake, RULES)
    rules = Rules(schema=TableSchema.of({"tenure": "integer", "left": "string"}), target="left")
    with pytest.raises(DataError) as caught:
        collect(lake, rules)
    assert caught.value.name == "target_changed"


def test_who_loses_a_race_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    real, others = collecting.commit, []

    def commit(place: str, snapshot: Any, parts: Iterable[Any]) -> bool:
        if not others:
            others.append("somebody")
            monkeypatch.setattr(collecting, "commit", real)
            others.append(collect(lake, RULES))
        return real(place, snapshot, parts)

    monkeypatch.setattr(collecting, "commit", commit)
    done = collect(lake, RULES)
    assert (done.change, done.version, done.rows) == ("unchanged", 0, 1)
    assert others[1].change == "created"
    assert len(list((tmp_path / "collected").glob("*.parquet"))) == 1


def test_who_always_loses_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "commit", lambda *_: False)
    with pytest.raises(ConflictError):
        collect(put(tmp_path, [client("a"), labelled("a", "yes", 1)]), RULES)
    assert not list((tmp_path / "collected").glob("*.parquet"))


def test_more_rows_than_fit_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ratchet.data.predictions import rebuilt

    monkeypatch.setattr(rebuilt, "_BLOCK", 7)
    hours = [(n * 37) % 100 for n in range(60)]
    given = [client(f"p{n:02d}", hour) for n, hour in enumerate(hours)]
    lake = put(tmp_path, [*given, *(labelled(f"p{n:02d}", "no", 200) for n in range(60))])
    assert collect(lake, RULES).rows == 60
    order = [row[0] for row in rows(lake)]
    assert order == [name for _, name in sorted((h, f"p{n:02d}") for n, h in enumerate(hours))]
    assert [row[2] for row in rows(lake)] == sorted(hours)


def production(lake: Lake, root: Path, base: dict[str, Any] | None, **columns: Any) -> Source:
    settings = SourceSettings.model_validate({"type": "production", "base": base})
    place = lake.place("collected").rsplit("/", 1)[0]
    return open_source(
        settings.model_copy(update={"path": place}), root, columns=columns or None, order_by=None
    )


def read(source: Source) -> list[tuple[Any, ...]]:
    frame = pl.concat(list(source.batches()))
    assert frame.schema == source.schema().polars()
    return frame.rows()


def test_the_source_gives_history_then_what_was_collected(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("customer,tenure,churn\nH1,10,no\nH2,20,yes\n")
    base = {"type": "csv", "path": "history.csv"}
    lake = put(tmp_path / "lake", [client("a", 3), labelled("a", "yes", 4)])
    before = production(lake, tmp_path, base)
    assert read(before) == [("H1", 10, "no"), ("H2", 20, "yes")]
    collect(lake, RULES)
    source = production(lake, tmp_path, base)
    assert read(source) == [("H1", 10, "no"), ("H2", 20, "yes"), ("C-a", 3, "yes")]
    assert [f.columns for f in source.batches(["churn"])] == [["churn"]] * 2
    assert source.fingerprint() != before.fingerprint()
    assert source.fingerprint() == production(lake, tmp_path, base).fingerprint()
    assert source.describe() == "csv history.csv + production (1 collected)"
    assert source.modified() == at(24 * 60)


def test_a_grown_collection_is_appended_to_the_table_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("customer,tenure,churn\nH1,10,no\nH2,20,yes\n")
    base = {"type": "csv", "path": "history.csv"}
    lake = put(tmp_path / "lake", [client("a", 3), labelled("a", "yes", 4), client("b", 5)])
    changes = []
    for more in ([], [labelled("b", "no", 6)], [], [labelled("a", "no", 7)]):
        put(tmp_path / "lake", more)
        collect(lake, RULES)
        changes.append(lake.ingest("data", production(lake, tmp_path, base)).change)
        assert lake.is_current("data", production(lake, tmp_path, base))
    assert changes == ["created", "appended", "unchanged", "replaced"]


def test_columns_are_those_of_the_history_in_kinds_that_hold_both(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("churn,extra,tenure\nno,x,10\nyes,y,20\n")
    lake = put(tmp_path / "lake", [client("a", features={"tenure": 1.5}), labelled("a", "yes", 4)])
    schema = TableSchema.of({"customer": "string", "tenure": "number", "churn": "string"})
    collect(lake, replace(RULES, schema=schema))
    source = production(lake, tmp_path, {"type": "csv", "path": "history.csv"})
    assert read(source) == [("no", "x", 10.0), ("yes", "y", 20.0), ("yes", None, 1.5)]


def test_without_a_history_there_must_be_something_collected(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    with pytest.raises(DataError, match="Nothing was collected") as caught:
        production(lake, tmp_path, None).schema()
    assert caught.value.name == "no_rows"
    collect(lake, RULES)
    assert read(production(lake, tmp_path, None)) == [("C-a", 0, "yes")]
    assert read(production(lake, tmp_path, None, tenure="number")) == [("C-a", 0.0, "yes")]


def test_times_are_in_utc(tmp_path: Path) -> None:
    lake = put(tmp_path, [client("a"), labelled("a", "yes", 1)])
    done = collect(lake, RULES, as_of=datetime(2026, 11, 2))
    assert done.as_of == datetime(2026, 11, 2, tzinfo=UTC)
