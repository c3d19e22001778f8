"""Real models of the past: kept on disk, gone on with, the same in one process and in two."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ratchet.backtest import matrix as matrix_module
from ratchet.backtest.learning import choose_learning, fit_at
from ratchet.backtest.matrix import fill_matrix, key_of
from ratchet.backtest.run import Question, backtest
from ratchet.backtest.settings import Pace
from ratchet.backtest.stream import open_stream
from ratchet.data.scenarios import Scenario, make_table
from ratchet.errors import ConfigError, DataError
from ratchet.project import Project, load_project

PACE = Pace(timedelta(days=30), timedelta(days=5))
PROJECT = """\
project: churn
data:
  source: {type: parquet, path: data.parquet}
  target: churned
  id: customer_id
  time: snapshot_date
training:
  algorithms: {logistic_regression: {}}
  tuning: "off"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("replayed")
    table = make_table(Scenario(rows=250, drift_month=7), 14)
    table.write_parquet(made / "data.parquet")
    (made / "ratchet.yaml").write_text(PROJECT, encoding="utf-8")
    return made


@pytest.fixture
def project(folder: Path, tmp_path: Path) -> Project:
    (tmp_path / "ratchet.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "data.parquet").write_bytes((folder / "data.parquet").read_bytes())
    return load_project(tmp_path)


def parts(project: Project):
    stream = open_stream(project, None, PACE)
    return stream, choose_learning(stream, project.settings, project.root)


def test_what_is_kept_is_not_trained_again(project: Project) -> None:
    stream, learning = parts(project)
    first = fill_matrix(project, stream, learning)
    assert first.made == len(stream.points)
    again = fill_matrix(project, stream, learning)
    assert again.made == 0
    for point in stream.points:
        np.testing.assert_array_equal(first.fits[point].scores, again.fits[point].scores)
        assert first.fits[point].cpu == again.fits[point].cpu
    fresh = fill_matrix(project, stream, learning, fresh=True)
    assert fresh.made == len(stream.points)
    np.testing.assert_array_equal(first.fits[stream.first].scores, fresh.fits[stream.first].scores)


def test_a_replay_that_was_killed_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, learning = parts(project)
    done = []

    def die(*arguments: object, **named: object) -> object:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(arguments[2])
        return fit_at(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(matrix_module, "fit_at", die)
        with pytest.raises(KeyboardInterrupt):
            fill_matrix(project, stream, learning)
    kept = project.state / "backtest" / key_of(project, stream, learning)[:16]
    assert len(list(kept.glob("[0-9]*.json"))) == 3
    # Scores without the file that says they are whole are made again.
    (kept / f"{done[0]:05d}.json").unlink()
    assert fill_matrix(project, stream, learning).made == len(stream.points) - 2


def test_two_processes_make_the_same_models(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, learning = parts(project)
    alone = fill_matrix(project, stream, learning)
    monkeypatch.setattr(matrix_module, "_WORTH_PROCESSES", 0)
    two = learning.training.model_copy(update={"cores": 2})
    both = fill_matrix(
        project, stream, type(learning)(two, learning.features, learning.split, learning.root),
        fresh=True,
    )  # fmt: skip
    assert both.cores == 2
    assert both.made == len(stream.points)
    for point in stream.points:
        np.testing.assert_allclose(
            alone.fits[point].scores, both.fits[point].scores, rtol=0, atol=1e-7
        )
    assert not list((project.state / "backtest").rglob("*.arrow"))


def test_a_fault_in_a_worker_is_told_as_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, learning = parts(project)
    monkeypatch.setattr(matrix_module, "_WORTH_PROCESSES", 0)
    broken = learning.training.model_copy(
        update={"cores": 2, "algorithms": {"logistic_regression": {"C": "much"}}}
    )
    with pytest.raises(ConfigError, match="cannot be 'much'") as caught:
        fill_matrix(
            project,
            stream,
            type(learning)(broken, learning.features, learning.split, learning.root),
        )
    assert caught.value.fix == "give a number above 0"


def test_other_rows_or_settings_are_other_models(project: Project) -> None:
    stream, learning = parts(project)
    later = open_stream(project, None, Pace(timedelta(days=30), timedelta(days=6)))
    keys = {key_of(project, one, learning) for one in (stream, later)}
    assert len(keys) == 2
    assert key_of(project, open_stream(project, None, PACE), learning) in keys


def test_the_same_backtest_twice_is_the_same(project: Project) -> None:
    question = Question(pace=PACE)
    first, second = backtest(project, question), backtest(project, question)
    assert second.trained == 0
    told = [one.to_json() | {"seconds": 0, "trained": 0} for one in (first, second)]
    assert json.dumps(told[0], default=str) == json.dumps(told[1], default=str)
    assert first.algorithm == "logistic_regression"


def test_the_concept_that_changes_is_learned(project: Project) -> None:
    found = backtest(project, Question(pace=PACE))
    never, every = found.line("never"), found.line("every period")
    chosen = found.line(found.recommendation.policy)
    assert every.quality.value > never.quality.value + 0.02
    assert chosen.quality.value > never.quality.value + 0.02
    assert 0 < len(chosen.played.runs) < len(every.played.runs)


def test_of_several_algorithms_one_is_chosen_at_the_start(project: Project) -> None:
    stream, _ = parts(project)
    training = project.settings.training.model_copy(
        update={"algorithms": {"logistic_regression": {}, "lightgbm": {"num_iterations": 5}}}
    )
    settings = project.settings.model_copy(update={"training": training})
    learning = choose_learning(stream, settings, project.root)
    assert list(learning.training.algorithms) == ["logistic_regression"]


def test_too_few_periods_are_refused(project: Project) -> None:
    with pytest.raises(DataError, match="periods are left"):
        backtest(project, Question(pace=Pace(timedelta(days=120), timedelta(days=5))))


def test_numbers_are_replayed_too_and_costs_decide(tmp_path: Path) -> None:
    table = make_table(Scenario(rows=300, drift_month=6, target="next_bill"), 12)
    table.write_parquet(tmp_path / "data.parquet")
    text = PROJECT.replace("churned", "next_bill").replace("logistic_regression", "ridge")
    text = text.replace("  time: snapshot_date\n", "  exclude: [snapshot_date]\n")
    cost = "triggers: {cost: {retrain: 1000000, value: 1}}\n"
    (tmp_path / "ratchet.yaml").write_text(text + cost, encoding="utf-8")
    found = backtest(load_project(tmp_path), Question(pace=Pace(200, timedelta(days=1))))
    assert (found.metric, found.loss, found.unchanged) == ("rmse", "squared_error", None)
    chosen = found.line(found.recommendation.policy)
    assert chosen.played.runs == ()
    assert chosen.gain == 0
    assert "never retrained" in found.recommendation.headline
    assert found.line("every period").gain < -1e6
    assert found.stream.tell(found.stream.ends[0]) == "day 2"
