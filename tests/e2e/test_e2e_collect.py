"""Served, labelled, collected, and trained on: through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forked_ratchet import Driver
from project_state import give_tracking
from ratchet import clock
from ratchet.data.lake import Lake
from ratchet.data.predictions.log import LogPolicy, PredictionLog
from ratchet.data.predictions.records import Feedback, Served, encode
from ratchet_cli import customers, houses, small_project
from served_rows import micros

REGRESSION = """\
project: houses
data:
  source: {type: csv, path: data.csv}
  target: price
  id: house
training:
  algorithms: {ridge: {}}
  tuning: {folds: 3, trials: 0}
gates:
  minimum: {r2: 0.3}
  budget: {latency_p95: 500ms, size: 50MB, memory: 2GB}
"""
PRODUCTION = "{type: production, base: {type: csv, path: data.csv}}"


def answered(text: str, id_column: str, target: str) -> list[tuple[Served, Any]]:
    """A table's rows as if they had been served a day ago, each with its true label."""
    made = []
    began = clock.now() - timedelta(days=1)
    for number, row in enumerate(pl.read_csv(text.encode()).to_dicts()):
        label, entity = row.pop(target), row.pop(id_column)
        at = micros(began) + number
        served = Served(f"p{number:05d}", at, 1, "champion", row, [0.5, 0.5], None, entity=entity)
        made.append((served, label))
    return made


def log(folder: Path, records: Iterable[Served | Feedback]) -> None:
    """What a server wrote that ended since."""
    opened = PredictionLog.open(folder / ".ratchet" / "serving" / "log", LogPolicy())
    opened.append([encode(record) for record in records])
    opened.close()


def say(prediction: str, label: Any, hours_ago: float = 1.0) -> Feedback:
    at = micros(clock.now() - timedelta(hours=hours_ago))
    return Feedback(f"{prediction} {label}", at, label, prediction=prediction)


def set_source(folder: Path, source: str) -> None:
    file = folder / "ratchet.yaml"
    file.write_text(file.read_text().replace("{type: csv, path: data.csv}", source))


@pytest.fixture
def project(tracking: Path, tmp_path: Path) -> Path:
    return give_tracking(small_project(tmp_path / "small", rows=400), tracking)


def test_labels_that_come_back_are_trained_on(driver: Driver, project: Path) -> None:
    def ask(*words: object) -> dict[str, Any]:
        return driver.ratchet(*words, "--project", project, "--json").data

    assert ask("run")["outcome"] == "promoted"
    given = answered(customers(300, seed=5, start=1000), "customer", "churn")
    log(project, [served for served, _ in given])
    log(project, [say(served.id, label) for served, label in given[:200]])

    # What waits in the log counts, too.
    assert ask("data", "labels")["predictions"] == 300
    done = ask("data", "collect")
    assert (done["change"], done["version"], done["rows"]) == ("created", 0, 200)
    assert (done["added"], done["unmatched"], done["notes"]) == (200, 0, [])
    assert ask("data", "collect")["change"] == "unchanged"
    labels = ask("data", "labels")
    assert (labels["predictions"], labels["labelled"]) == (300, 200)
    assert all(day["delay_median"] == pytest.approx(23 * 3600, abs=60) for day in labels["days"])

    # The project's source is still the file: nothing is new for a run.
    assert ask("run")["outcome"] == "skipped"
    set_source(project, PRODUCTION)
    run = ask("run")
    assert run["outcome"] in ("promoted", "candidate", "rejected")
    assert run["snapshot"]["rows"] == 600
    assert ask("run")["outcome"] == "skipped"
    assert ask("plan")["action"] == "skip"

    # A correction and two late labels.
    first, truth = given[0]
    late = [say(served.id, label, 0.5) for served, label in given[200:202]]
    log(project, [say(first.id, "no" if truth == "yes" else "yes", 0.5), *late])
    assert ask("plan")["action"] == "skip"  # nothing was collected yet
    done = ask("data", "collect")
    assert (done["change"], done["added"], done["corrected"]) == ("replaced", 2, 1)
    assert ask("plan")["action"] == "look"
    run = ask("run")
    assert run["snapshot"]["rows"] == 602
    assert run["outcome"] != "skipped"

    # What is trained on is what was served.
    lake = Lake(str(project / ".ratchet" / "lake"))
    rows = lake.scan(lake.latest("data")).collect()  # type: ignore[arg-type]
    assert rows.columns == ["customer", "tenure", "charges", "contract", "support", "churn"]
    row = rows.filter(pl.col("customer") == "C001001").row(0, named=True)
    served, label = given[1]
    assert row == {**served.features, "customer": "C001001", "churn": label}


def test_a_regression_collects_numbers(driver: Driver, tracking: Path, tmp_path: Path) -> None:
    folder = tmp_path / "houses"
    folder.mkdir()
    (folder / "ratchet.yaml").write_text(REGRESSION)
    (folder / "data.csv").write_text(houses(200))
    give_tracking(folder, tracking)
    given = answered(houses(50, seed=5, start=1000), "house", "price")
    log(folder, [served for served, _ in given])
    log(folder, [say(served.id, label) for served, label in given])
    # No run yet: the columns are those of the file that comes first.
    set_source(folder, PRODUCTION)
    done = driver.ratchet("data", "collect", "--project", folder, "--json").data
    assert (done["rows"], done["notes"]) == (50, [])
    run = driver.ratchet("run", "--project", folder, "--json").data
    assert run["snapshot"]["rows"] == 250
    assert run["outcome"] == "promoted"


@pytest.mark.parametrize(
    "kill",
    [
        {"call": "ratchet.data.predictions.collect:commit", "when": "before", "nth": 1},
        {"call": "ratchet.data.predictions.collect:commit", "when": "after", "nth": 1},
        {"call": "ratchet.data.parts:_write_file", "when": "after", "nth": 1},
    ],
    ids=["before the commit", "after the commit", "after the file"],
)
def test_a_killed_collect_loses_and_doubles_nothing(
    driver: Driver, tmp_path: Path, kill: dict[str, Any]
) -> None:
    project = small_project(tmp_path / "small", rows=50)
    given = answered(customers(40, seed=5, start=1000), "customer", "churn")
    log(project, [served for served, _ in given])
    log(project, [say(served.id, label) for served, label in given])
    words = ("data", "collect", "--project", project, "--json")
    assert driver.ratchet(*words, kill=kill).code == -9
    done = driver.ratchet(*words).data
    assert (done["version"], done["rows"]) == (0, 40)
    lake = Lake(str(project / ".ratchet" / "lake"))
    frame = lake.scan(lake.latest("collected")).collect()  # type: ignore[arg-type]
    assert sorted(frame["_prediction_id"]) == [served.id for served, _ in given]


def test_files_and_moments_on_the_command_line(driver: Driver, tmp_path: Path) -> None:
    project = small_project(tmp_path / "small", rows=50)

    def ask(*words: object) -> Any:
        return driver.ratchet("data", *words, "--project", project, "--json")

    assert ask("compact").data["segments"] == 0
    told = ask("labels").data
    assert (told["days"], told["predictions"], told["unmatched"]) == ([], 0, 0)
    nothing = ask("collect").data
    assert (nothing["change"], nothing["version"]) == ("unchanged", None)
    more = project / "more.csv"
    more.write_text(customers(30, seed=9, start=5000))
    done = ask("collect", "--external", more).data
    assert (done["external"], done["rows"]) == (30, 30)
    assert ask("collect", "--external", more).data["change"] == "unchanged"
    for words, code, error in (
        (("collect", "--as-of", "2020-01-01"), 2, "as_of_past"),
        (("collect", "--as-of", "2999-01-01"), 2, "as_of_future"),
        (("collect", "--as-of", "soon"), 2, "usage"),
        (("collect", "--external", project / "gone.csv"), 2, "usage"),
        (("collect", "--external", project / "ratchet.yaml"), 2, "format_unknown"),
        (("labels", "--as-of", "soon"), 2, "usage"),
    ):
        found = ask(*words)
        assert (found.code, found.error["code"]) == (code, error), words
    more.write_text(customers(30).replace(",churn", ",left"))
    refused = ask("collect", "--external", more)
    assert (refused.code, refused.error["code"]) == (3, "column_missing")


def test_what_people_see(driver: Driver, project: Path) -> None:
    def see(*words: object) -> str:
        return driver.ratchet("data", *words, "--project", project).out

    given = answered(customers(10, start=1000), "customer", "churn")
    log(project, [served for served, _ in given])
    log(project, [say("p00001", "yes"), say("nobody", "no")])
    assert see("compact").startswith("10 predictions, 2 labels, 0 failures moved into the lake")
    assert "1 labels match no prediction in the lake" in see("labels")
    assert '"no" for nobody' in see("labels")
    told = see("collect")
    assert told.startswith("created: version 0, 1 rows (1 added)")
    assert "data.source: {type: production" in told
    assert see("collect").startswith("unchanged: version 0, 1 rows (nothing new was labelled)")


def test_the_table_before_may_be_left_out(driver: Driver, tmp_path: Path) -> None:
    project = small_project(tmp_path / "small", rows=50)
    set_source(project, "{type: production}")
    words = ("--project", project, "--json")
    unknown = driver.ratchet("data", "collect", *words)
    assert (unknown.code, unknown.error["code"]) == (4, "schema_unknown")
    assert "ratchet.yaml" in unknown.error["where"]
    empty = driver.ratchet("check", *words)
    assert (empty.code, empty.error["code"]) == (3, "no_rows")
    kinds = {"customer": "string", "tenure": "integer", "churn": "string"}
    given = answered(customers(20, start=1000), "customer", "churn")
    log(project, [served for served, _ in given])
    log(project, [say(served.id, label) for served, label in given])
    file = project / "ratchet.yaml"
    file.write_text(
        file.read_text().replace("  target:", f"  columns: {json.dumps(kinds)}\n  target:")
    )
    assert driver.ratchet("data", "collect", *words).data["rows"] == 20
    assert driver.ratchet("check", *words).data["rows"] == 20
