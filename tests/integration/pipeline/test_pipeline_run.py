"""The pipeline in one process: what trains, what is reused, what is skipped, and why."""

import json
import shutil
from pathlib import Path

import pytest

import ratchet
from ratchet.errors import ConfigError, ConflictError, DataError, UsageError
from ratchet.pipeline.allowance import Allowance
from ratchet.pipeline.plan import plan_run
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.pipeline.step import Silent
from ratchet.project import load_project
from ratchet_cli import customers, small_project


def go(folder: Path, *assignments: str, **asked):
    return run(load_project(folder, assignments=assignments, variables={}), Request(**asked))


class Noting(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def did(ended):
    return {step.name: step.status for step in ended.steps}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = small_project(tmp_path_factory.mktemp("trained") / "small")
    first = go(folder)
    assert first.outcome == "promoted", first.reason
    return folder, first


@pytest.fixture
def project(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "small"))


def test_the_first_run_promotes_and_leaves_its_files(trained):
    folder, first = trained
    assert set(did(first).values()) == {"done"}
    left = json.loads((folder / ".ratchet/runs" / first.run_id / "run.json").read_text())
    assert left["outcome"] == "promoted"
    assert left["model"]["version"] == 1
    lines = (folder / ".ratchet/runs" / first.run_id / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(did(first))
    model = ratchet.Model.load(first.model["bundle"])
    row = {"tenure": 3, "charges": 90.0, "contract": "month", "support": "no"}
    assert model.predict(row).labels == ["yes"]


def test_an_unchanged_project_is_skipped_with_what_was_compared(project, trained):
    ended = go(project)
    assert ended.outcome == "skipped"
    assert trained[1].run_id in ended.reason
    assert ended.snapshot["digest"][:12] in ended.reason
    assert did(ended)["train"] == "not run"
    assert plan_run(load_project(project, variables={})).action == "skip"


def test_other_gates_reuse_the_training(project):
    ended = go(project, "gates.minimum.roc_auc=0.99")
    assert ended.outcome == "rejected"
    assert "minimum.roc_auc" in ended.reason
    status = did(ended)
    assert status["train"] == "reused"
    assert status["gate"] == "stopped"
    assert ended.model is None


def test_other_training_settings_train_again(project):
    ended = go(project, "training.seed=7")
    assert did(ended)["split"] == "reused"
    assert did(ended)["train"] == "done"


def test_force_trains_again_and_finds_the_same_model(project, trained):
    ended = go(project, force=True)
    assert set(did(ended).values()) <= {"done", "stopped"}
    assert ended.outcome == "skipped"
    assert "byte for byte the champion" in ended.reason
    assert dict(ended.metrics) == dict(trained[1].metrics)


def test_new_rows_train_and_an_old_version_can_be_repeated(project, trained):
    with (project / "data.csv").open("a") as file:
        file.write(customers(150, start=600).partition("\n")[2])
    assert plan_run(load_project(project, variables={})).action == "look"
    more = go(project)
    assert more.snapshot["change"] == "appended"
    assert did(more)["train"] == "done"
    again = go(project, data_version=0, force=True)
    assert again.snapshot["version"] == 0
    assert dict(again.metrics) == dict(trained[1].metrics)


def test_the_same_rows_in_another_file_format_are_the_same(project, trained):
    import polars as pl

    frame = pl.read_csv(project / "data.csv")
    frame.write_parquet(project / "data.parquet")
    ended = go(project, data=project / "data.parquet")
    assert ended.snapshot["digest"] == trained[1].snapshot["digest"]
    assert ended.outcome == "skipped"


def test_bad_data_is_rejected_each_time_and_never_skipped(project):
    text = (project / "data.csv").read_text().splitlines()
    blank = [line.rsplit(",", 1)[0] + "," if n % 3 == 1 else line for n, line in enumerate(text)]
    (project / "data.csv").write_text("\n".join(blank) + "\n")
    for _ in range(2):
        ended = go(project)
        assert ended.outcome == "rejected"
        assert "churn" in ended.reason
        assert ended.exit_code == 3
        assert did(ended)["train"] == "not run"
    good = small_project(project)
    assert go(good).outcome == "skipped"


def test_a_changed_type_is_rejected(project):
    text = (project / "data.csv").read_text().splitlines()
    odd = [text[0], *(line.replace(",", ",about ", 1) for line in text[1:])]
    (project / "data.csv").write_text("\n".join(odd) + "\n")
    ended = go(project)
    assert ended.outcome == "rejected"
    assert "tenure" in ended.reason
    pinned = go(project, "data.columns.tenure=integer")
    assert pinned.outcome == "failed"
    assert isinstance(pinned.fault, DataError)
    assert pinned.exit_code == 3


def test_stale_data_is_told_even_when_nothing_changed(tmp_path):
    folder = small_project(tmp_path / "p", extra="checks: {max_age: 1s}\n")
    import os

    os.utime(folder / "data.csv", (1_600_000_000, 1_600_000_000))
    for _ in range(2):
        ended = go(folder)
        assert ended.outcome == "rejected"
        assert "max_age" in ended.reason


def test_a_step_can_be_done_alone_and_the_next_run_goes_on(project):
    part = go(project, "training.seed=8", until="train")
    assert part.outcome == "candidate"
    assert did(part)["evaluate"] == "not run"
    rest = go(project, "training.seed=8")
    assert rest.run_id == part.run_id
    assert did(rest)["train"] == "reused"
    assert did(rest)["gate"] in ("done", "stopped")


def test_what_is_not_there_is_refused_before_anything_is_written(project):
    before = sorted((project / ".ratchet/runs").iterdir())
    with pytest.raises(UsageError, match="no step"):
        go(project, until="dance")
    with pytest.raises(UsageError, match="no run"):
        go(project, resume="20200101-000000-0000")
    with pytest.raises(ConfigError, match="no_such"):
        go(project, "training.algorithms={no_such: {}}")
    assert sorted((project / ".ratchet/runs").iterdir()) == before


def test_one_run_at_a_time(project):
    opened = load_project(project, variables={})
    with (
        opened.open_ledger() as ledger,
        ledger.lease("another run"),
        pytest.raises(ConflictError, match=r"another run|held|busy"),
    ):
        run(opened)


def test_a_failing_candidate_is_reported_and_does_not_fail_the_run(project):
    ended = go(
        project,
        "training.algorithms={logistic_regression: {}, "
        "odd: {class: sklearn.naive_bayes.CategoricalNB}}",
        force=True,
    )
    by_name = {candidate["name"]: candidate for candidate in ended.candidates}
    assert by_name["odd"]["status"] == "failed"
    assert by_name["odd"]["error"]
    assert ended.best == "logistic_regression"


def test_an_alert_is_kept_when_nobody_listens(project):
    ended = go(
        project,
        "gates.minimum.roc_auc=0.99",
        "alerts=[{url: 'http://127.0.0.1:9/hook', on: [rejected], timeout: 1s}]",
    )
    assert ended.outcome == "rejected"
    with load_project(project, variables={}).open_ledger() as ledger:
        (kept,) = ledger.outbox()
    assert kept.status == "waiting"
    assert kept.attempts == 1
    assert "minimum.roc_auc" in kept.body["text"]


def test_a_champion_that_was_compared_with_nothing_says_so(tmp_path, monkeypatch):
    """The time is up before training begins: on the screen, in the log and in the record."""
    monkeypatch.setattr(Allowance, "training_ends", lambda self, budget, rows: -1.0)
    folder = small_project(tmp_path / "small", rows=300)
    said = Noting()
    loaded = load_project(
        folder,
        assignments=(
            "training.algorithms={logistic_regression: {}, lightgbm: {}, random_forest: {}}",
            "training.tuning={time: 40s, trials: 9}",
            "gates.minimum={roc_auc: 0.2}",
        ),
        variables={},
    )
    ended = run(loaded, reporter=said)
    assert ended.outcome == "promoted", ended.reason
    assert "compared with no other candidate, for want of time" in ended.reason
    trained = next(step for step in ended.steps if step.name == "train")
    assert "1 of 3 candidates; the time was up for the others" in trained.detail
    assert "1 trained, none of 3 trials finished, 2 dropped" in trained.detail
    (alone, *_) = ended.notes
    assert "trained without a comparison" in alone
    assert alone.endswith("raise training.tuning.time")
    assert set(ended.notes) <= set(said.notes)
    left = folder / ".ratchet/runs" / ended.run_id
    assert json.loads((left / "run.json").read_text())["notes"] == list(ended.notes)
    lines = map(json.loads, (left / "log.jsonl").read_text().splitlines())
    told = {line["step"]: line.get("notes") for line in lines}
    assert told["train"] == list(ended.notes)
    assert told["split"] is None
    facts = json.loads((left / "report.json").read_text())
    assert facts["model"]["uncalibrated"] == "not examined"


@pytest.mark.parametrize(
    "wrong",
    [
        ("training.algorithms={lightgbmm: {}}",),
        ("data.task=binary", "training.metric=rmse"),
        ("training.tuning=off", "training.threshold={maximize: f1}"),
    ],
)
def test_a_plan_refuses_what_a_run_would(tmp_path, wrong):
    folder = small_project(tmp_path / "small", rows=10)
    loaded = load_project(folder, assignments=wrong, variables={})
    with pytest.raises(ConfigError):
        plan_run(loaded)
    with pytest.raises(ConfigError):
        run(loaded)
    assert not (folder / ".ratchet").exists()
