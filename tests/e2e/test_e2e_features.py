"""``ratchet features``: what is pushed is what training saw, and joins know no future."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from forked_ratchet import Driver
from project_state import give_tracking
from ratchet.packaging.model import Model
from ratchet.project import load_project
from ratchet_cli import customers, small_project

DAY = pl.datetime(2026, 1, 1) + pl.duration(hours=pl.int_range(pl.len()))


@pytest.fixture
def project(tracking: Path, tmp_path: Path) -> Path:
    return give_tracking(small_project(tmp_path / "small", rows=400), tracking)


@pytest.fixture
def dated(tracking: Path, tmp_path: Path) -> Path:
    """A project whose rows say when they became known, oldest first, and hold a date."""
    folder = give_tracking(small_project(tmp_path / "dated", rows=400), tracking)
    frame = pl.read_csv(folder / "data.csv").with_columns(
        seen=DAY, since=(DAY - pl.duration(days=pl.col("tenure") * 30)).dt.date()
    )
    frame.write_csv(folder / "data.csv")
    config = (folder / "ratchet.yaml").read_text()
    (folder / "ratchet.yaml").write_text(
        config.replace("  id: customer\n", "  id: customer\n  time: seen\n")
    )
    return folder


def test_without_a_model_every_raw_feature_is_pushed(driver: Driver, project: Path) -> None:
    def ask(*words: object) -> object:
        return driver.ratchet("features", *words, "--project", project, "--json")

    assert ask("push").error["code"] == "no_rows"
    assert ask("status").data["schemas"] == []
    assert ask("show", "C000007").error["why"] == "nothing has been pushed yet"
    pushed = ask("push", "--data", project / "data.csv").data
    assert (pushed["rows"], pushed["stored"], pushed["versions"]) == (400, 400, [])
    assert pushed["columns"] == ["charges", "contract", "support", "tenure"]
    shown = ask("show", "C000007").data
    raw = pl.read_csv(project / "data.csv").filter(pl.col("customer") == "C000007")
    assert shown["values"] == raw.select(pushed["columns"]).row(0, named=True)
    assert shown["age_seconds"] >= 0
    (schema,) = ask("status").data["schemas"]
    assert (schema["rows"], schema["schema"]) == (400, pushed["schema"])
    unknown = ask("show", "nobody")
    assert (unknown.code, unknown.error["code"]) == (2, "unknown_id")
    for words in (
        ("push", "--as-of", "2026-01-01", "--data", project / "data.csv"),
        ("push", "--as-of", "soon"),
        ("push", "--data", project / "data.csv", "--snapshot", 1),
        ("push", "--data", project / "none.csv"),
    ):
        assert ask(*words).code == 2


def test_stored_rows_score_as_the_rows_they_came_from(driver: Driver, dated: Path) -> None:
    ran = driver.ratchet("run", "--project", dated, "--json")
    assert ran.data["outcome"] == "promoted", ran.out
    pushed = driver.ratchet("features", "push", "--project", dated, "--json").data
    assert (pushed["rows"], pushed["stored"], pushed["versions"]) == (400, 400, [1])
    opened = load_project(dated)
    model = Model.load(opened.bundles / Path(ran.data["model"]["bundle"]).name)
    assert sorted(column.name for column in model.signature.inputs) == pushed["columns"]
    lake = opened.open_lake()
    raw = lake.scan(lake.latest("data")).collect()
    store = opened.open_features()
    schema = store.current()
    assert schema is not None
    rows = store.read(raw["customer"].to_list(), schema)
    store.close()
    wanted = model.predict(raw).scores
    found = model.predict([dict(row.values) for row in rows if row is not None]).scores
    assert abs(wanted - found).max() < 1e-9
    # A file without a column that the model reads: requests must bring it.
    less = dated / "less.csv"
    pl.read_csv(dated / "data.csv").drop("charges").write_csv(less)
    assert driver.ratchet("features", "push", "--project", dated, "--data", less, "--json").data[
        "absent"
    ] == ["charges"]
    assert driver.ratchet("features", "--project", dated, "--json").data["absent"] == ["charges"]


def test_nothing_later_than_as_of_is_pushed(driver: Driver, dated: Path) -> None:
    def push(*words: object) -> dict[str, int]:
        return driver.ratchet(
            "features", "push", "--data", dated / "data.csv", "--project", dated, "--json", *words
        ).data

    early = push("--as-of", "2026-01-03T02:00+02:00")
    assert (early["rows"], early["stored"], early["later"]) == (400, 49, 351)
    assert push()["stored"] == 400
    again = push("--as-of", "2026-01-03")
    assert again["later"] == 351
    status = driver.ratchet("features", "--project", dated, "--json").data
    assert status["schemas"][0]["newest"] == "2026-01-17T15:00:00+00:00"
    said = driver.ratchet("features", "push", "--data", dated / "data.csv", "--project", dated)
    assert "400 rows" in said.out
    assert "features.db" in driver.ratchet("features", "--project", dated).out


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_join_adds_what_was_known(driver: Driver, dated: Path, suffix: str) -> None:
    rows, out = dated / "rows.csv", dated / f"joined.{suffix}"
    rows.write_text(
        "customer,seen,outcome\n"
        "C000010,2026-01-01T10:00:00,a\n"
        "C000010,2026-01-01T09:59:59,b\n"
        "nobody,2026-05-01T00:00:00,c\n"
        "C000001,2026-02-01T00:00:00,d\n"
    )

    def join(*words: object) -> object:
        return driver.ratchet(
            "features", "join", "--rows", rows, "--history", dated / "data.csv",
            "--out", out, "--project", dated, "--json", *words,
        )  # fmt: skip

    done = join().data
    assert (done["rows"], done["found"]) == (4, 2)
    assert done["added"] == ["tenure", "charges", "contract", "support", "churn", "since"]
    read = pl.read_csv if suffix == "csv" else pl.read_parquet
    found = read(out)
    assert found["outcome"].to_list() == ["a", "b", "c", "d"]
    raw = pl.read_csv(dated / "data.csv")
    assert found["charges"].to_list() == [raw["charges"][10], None, None, raw["charges"][1]]
    assert join("--max-age", "10d").data["found"] == 1
    assert join("--max-age", "ages").code == 2
    assert join("--time", "nothing").error["code"] == "column_missing"
    assert sorted(dated.glob("*joined*")) == [out]


def test_a_join_refuses_to_write_over_what_it_reads(driver: Driver, project: Path) -> None:
    data = project / "data.csv"
    before = data.read_bytes()
    for out, code in ((data, 2), (project / "x.json", 2)):
        done = driver.ratchet(
            "features", "join", "--rows", data, "--history", data, "--out", out,
            "--time", "tenure", "--project", project, "--json",
        )  # fmt: skip
        assert done.code == code
    assert data.read_bytes() == before
    lacking = driver.ratchet(
        "features", "join", "--rows", data, "--history", data, "--out", project / "x.csv",
        "--project", project, "--json",
    )  # fmt: skip
    assert "--time" in lacking.error["fix"]


def test_a_bigger_table_is_pushed_in_pieces(driver: Driver, project: Path) -> None:
    (project / "data.csv").write_text(customers(20_000))
    frame = pl.read_csv(project / "data.csv")
    twice = pl.concat([frame, frame.with_columns(tenure=pl.col("tenure") + 100)])
    twice.write_parquet(project / "twice.parquet")
    pushed = driver.ratchet(
        "features", "push", "--data", project / "twice.parquet", "--project", project, "--json"
    ).data
    assert pushed["rows"] == 40_000
    shown = driver.ratchet("features", "show", "C000005", "--project", project, "--json").data
    assert shown["values"]["tenure"] >= 100
