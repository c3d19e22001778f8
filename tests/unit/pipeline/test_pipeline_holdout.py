"""Which test rows decide between a new model and the one that serves."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.settings import SplitSettings
from ratchet.data.split import assign
from ratchet.data.split_report import report_split
from ratchet.data.task import Task
from ratchet.gates.reuse import level_at_use
from ratchet.ledger.holdouts import share_used
from ratchet.ledger.steps import Step
from ratchet.ledger.store import open_ledger
from ratchet.pipeline import store
from ratchet.pipeline.steps.holdout import (
    SEEN,
    choose_holdout,
    holdout_rows,
    remember_seen,
    row_key,
    sketch,
)
from ratchet.pipeline.steps.rows import Rows

TASK = Task("binary", ("no", "yes"))
START = dt.date(2024, 1, 1)


def table(days, *, per_day=10, first=0, seed=0):
    """Rows of some days, with an id and a label of chance."""
    count = days * per_day
    rng = np.random.default_rng([seed, first])
    return pl.DataFrame(
        {
            "id": [f"C{first * per_day + n}" for n in range(count)],
            "day": [START + dt.timedelta(days=first + n // per_day) for n in range(count)],
            "x": rng.normal(size=count),
            "y": rng.choice(["no", "yes"], count),
        }
    )


class Project:
    """A ledger, run folders, and runs that were split."""

    def __init__(self, folder):
        self.state = folder
        self.ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", project="p")

    def run(self, run_id, frame, *, champion=None, update="retune", **settings):
        """The context of a run after its split step, and its rows."""
        roles = Roles("y", id=settings.pop("id", "id"), time=settings.pop("time", None))
        wanted = SplitSettings(**settings)
        parts = assign(frame, roles, wanted, TASK)
        report = report_split(frame, parts, roles, wanted, TASK)
        key = row_key(roles, report.method, frame.columns)
        partial = store.fresh_folder(self.state / "runs" / run_id, "split")
        remember_seen(partial, [frame], parts, key)
        output = store.keep(partial, "split", {**report.to_json(), "row_key": list(key)})
        self.ledger.start_run(run_id, trigger="manual")
        folder = output.folder.relative_to(self.state).as_posix()
        self.ledger.record_step(
            Step(run_id, "split", "finished", output_digest=output.digest, folder=folder)
        )
        test = frame.filter(parts == 2)
        workspace = SimpleNamespace(part=lambda snapshot, parts, name: test)
        schema = TableSchema.from_polars(frame.schema)
        rows = Rows(None, schema, roles, TASK, parts.to_numpy(), workspace)
        context = SimpleNamespace(
            run_id=run_id,
            champion={"version": 3, "run_id": champion} if champion else None,
            update=update,
            project=SimpleNamespace(state=self.state),
            ledger=self.ledger,
            outputs={"split": output},
        )
        return context, rows

    def end(self, run_id, *, update="retune", champion=None):
        summary = {"update": update, "champion": {"run_id": champion} if champion else None}
        self.ledger.finish_run(run_id, "promoted", "better", summary=summary)


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    made.ledger.close()


def choose(context, rows, confidence=0.95):
    y = rows.task.encode(rows.workspace.part(None, None, "test")["y"])
    return choose_holdout(context, rows, y, lambda use: level_at_use(1 - confidence, use))


def note(context, rows, found, comparison=None):
    return context.ledger.note_holdout_use(
        context.run_id,
        context.update,
        holdout_rows(context, rows, found.chosen),
        comparison=comparison or context.run_id,
        champion=3,
        metric="roc_auc",
        rule=found.rule,
    )


def days_of(rows, found):
    test = rows.workspace.part(None, None, "test").filter(found.chosen)
    return test["day"].min(), test["day"].max()


# Where the split follows time


def test_newer_rows_decide_and_once_used_make_room_for_fresh_ones(project):
    project.run("r0", table(200), time="day")
    first, rows = project.run("r1", table(300), champion="r0", time="day")
    found = choose(first, rows)
    # The champion learned until day 160 of 200, the new model until day 240 of 300.
    assert (found.rule, found.count) == ("newer", 600)
    assert days_of(rows, found)[0] == START + dt.timedelta(days=240)
    assert found.note == "newer than all that both models were trained on"
    assert note(first, rows, found).use == 1
    # Half of the next test rows decided before: the fresh half alone proves smaller gains.
    second, rows = project.run("r2", table(375), champion="r0", time="day")
    found = choose(second, rows)
    assert (found.rule, found.count) == ("fresh", 750)
    assert days_of(rows, found)[0] == START + dt.timedelta(days=300)
    assert note(second, rows, found).use == 1


def test_fresh_rows_alone_or_all_of_them_whichever_proves_the_smaller_gain(project):
    project.run("r0", table(200), time="day")
    first, rows = project.run("r1", table(300), champion="r0", time="day")
    note(first, rows, choose(first, rows))
    # 640 test rows, 200 of them fresh: with the old ones, at a stricter level, more is proven.
    second, rows = project.run("r2", table(320), champion="r0", time="day")
    found = choose(second, rows)
    assert (found.rule, found.count) == ("newer", 640)
    assert note(second, rows, found).use == 2
    # 740 test rows, 500 of them fresh: now they do alone.
    third, rows = project.run("r3", table(370), champion="r0", time="day")
    found = choose(third, rows)
    assert (found.rule, found.count) == ("fresh", 500)
    assert "240 more were left out: they are not newer than earlier decisions" in found.note
    assert note(third, rows, found).use == 1


def test_a_run_that_goes_on_chooses_the_same_rows(project):
    project.run("r0", table(200), time="day")
    context, rows = project.run("r1", table(300), champion="r0", time="day")
    before = choose(context, rows)
    use = note(context, rows, before)
    again = choose(context, rows)
    assert again.rule == before.rule
    assert (again.chosen == before.chosen).all()
    assert note(context, rows, again) == use


def test_rows_older_than_the_champions_training_do_not_decide(project):
    """The champion was trained on more of the table than the new model is."""
    project.run("r0", table(300), time="day", test=0.2)
    context, rows = project.run("r1", table(300), champion="r0", time="day", test=0.5)
    found = choose(context, rows)
    assert (found.rule, found.count) == ("newer", 600)
    assert days_of(rows, found)[0] == START + dt.timedelta(days=240)


def test_too_few_newer_rows_fall_back_to_rows_the_champion_never_saw(project):
    project.run("r0", table(300), time="day", test=0.05)
    context, rows = project.run("r1", table(300), champion="r0", time="day", test=0.2)
    found = choose(context, rows)
    assert (found.rule, found.count) == ("unseen", 150)
    assert found.note == (
        "only 150 of them are newer than all that both models were trained on, too few to decide "
        "alone; 450 more were left out: version 3 was trained on them"
    )


def test_too_few_rows_of_a_class_are_too_few(project):
    frame = table(400).with_columns(
        y=pl.when(pl.col("day") >= START + dt.timedelta(days=360))
        .then(pl.lit("no"))
        .otherwise(pl.col("y"))
    )
    project.run("r0", frame, time="day", test=0.1)
    context, rows = project.run("r1", frame, champion="r0", time="day", test=0.2)
    assert choose(context, rows).rule == "unseen"


def test_numbers_tell_time_too(project):
    def numbered(rows):
        return table(rows // 10).with_columns(day=pl.int_range(rows))

    project.run("r0", numbered(2000), time="day")
    context, rows = project.run("r1", numbered(3000), champion="r0", time="day")
    found = choose(context, rows)
    assert (found.rule, found.count) == ("newer", 600)
    assert holdout_rows(context, rows, found.chosen).last == "2999"


# Where it does not


def test_rows_the_champion_was_trained_on_do_not_decide(project):
    """A grown table is divided anew: some of the champion's training rows are test rows now."""
    small, grown = table(50, seed=1), table(60, seed=1)
    grown = pl.concat([small, grown.filter(~pl.col("id").is_in(small["id"].implode()))])
    before, _ = project.run("r0", small, by="stratified", id=None)
    context, rows = project.run("r1", grown, champion="r0", by="stratified", id=None)
    found = choose(context, rows)
    assert found.rule == "unseen"
    assert 0 < found.count < len(found.chosen)
    left_out = int((~found.chosen).sum())
    assert found.note == f"{left_out:,} more were left out: version 3 was trained on them"
    seen = np.load(before.outputs["split"].file(SEEN))
    assert len(seen) == 400
    kept = rows.workspace.part(None, None, "test").filter(found.chosen)
    assert not set(sketch(kept, grown.columns)) & {f"{value:016x}" for value in seen.tolist()}


def test_with_ids_no_row_moves_and_all_test_rows_decide(project):
    project.run("r0", table(50))
    context, rows = project.run("r1", table(100), champion="r0")
    found = choose(context, rows)
    assert (found.rule, found.note) == ("unseen", "")
    assert found.chosen.all()


def test_another_seed_takes_the_champions_rows_out(project):
    project.run("r0", table(100), seed=1)
    context, rows = project.run("r1", table(100), champion="r0", seed=2)
    found = choose(context, rows)
    assert 0.1 < found.chosen.mean() < 0.3


def test_what_a_model_went_on_from_counts_as_learned(project):
    project.run("r0", table(100), seed=1)
    project.end("r0")
    project.run("r1", table(100), champion="r0", seed=2)
    project.end("r1", update="incremental", champion="r0")
    context, rows = project.run("r2", table(100), champion="r1", seed=3)
    # Each row is in the test rows of one of the two earlier runs with a chance of a fifth.
    assert 0.01 < choose(context, rows).chosen.mean() < 0.1


def test_what_is_lost_is_said_and_the_rows_decide_all_the_same(project):
    project.run("r0", table(100), time="day")
    (project.state / "runs/r0/split" / SEEN).unlink()
    context, rows = project.run("r1", table(300), champion="r0", time="day")
    assert choose(context, rows).rule == "newer", "the moment is known still"
    (project.state / "runs/r0/split/facts.json").unlink()
    found = choose(context, rows)
    assert found.rule == "unseen"
    assert found.chosen.all()
    assert found.note == (
        "until when version 3 was trained is not known; what version 3 was trained on is not known "
        "in full any more"
    )


# What tells rows apart


def test_rows_are_told_apart_by_id_by_id_and_time_or_by_everything():
    columns = ("id", "day", "x", "y")
    assert row_key(Roles("y", id="id"), "hash", columns) == ("id",)
    assert row_key(Roles("y", id="id", time="day"), "time", columns) == ("id", "day")
    assert row_key(Roles("y", id="id", time="day"), "hash", columns) == ("id",)
    assert row_key(Roles("y"), "stratified", columns) == columns


@pytest.mark.parametrize("key", [("id",), ("id", "day", "x", "y")])
@pytest.mark.parametrize(("first", "expected"), [(0, 1.0), (10, 0.9), (50, 0.5), (100, 0.0)])
def test_the_sketch_tells_how_many_rows_were_there_before(key, first, expected):
    whole = table(200, per_day=100)
    old, new = whole.head(10_000), whole.slice(first * 100, 10_000)
    found = share_used(sketch(new, key), sketch(old, key))
    assert found == pytest.approx(expected, abs=0.06)


def test_the_order_does_not_matter_and_small_tables_are_known_exactly():
    rows = table(2)
    assert sketch(rows, ["id"]) == sketch(rows.reverse(), ["id"])
    assert share_used(sketch(rows, ["id"]), sketch(table(3), ["id"])) == 1.0
    assert share_used(sketch(table(4), ["id"]), sketch(rows, ["id"])) == 0.5
    assert share_used([], sketch(rows, ["id"])) == 0.0
