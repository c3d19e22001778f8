"""Decisions on test rows, from the run to the ledger: what is counted, and what people are told."""

import json
import shutil
from pathlib import Path

import pytest

from ratchet.ledger.store import Ledger
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import load_project
from ratchet_cli import customers, small_project

OTHER = "training.algorithms={random_forest: {n_estimators: 20}}"


def go(folder: Path, *assignments: str, **asked):
    return run(load_project(folder, assignments=assignments, variables={}), Request(**asked))


def uses(folder: Path):
    with load_project(folder, variables={}).open_ledger() as ledger:
        assert ledger.verify_chain().intact
        return ledger.holdout_uses()


def of_champion(ended):
    return next(gate for gate in ended.gates if gate["name"] == "champion")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = small_project(tmp_path_factory.mktemp("decided") / "small")
    first = go(folder)
    assert first.outcome == "promoted", first.reason
    return folder


@pytest.fixture
def project(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "small"))


def test_the_first_model_is_compared_with_nothing_and_uses_nothing(project):
    assert uses(project) == ()


def test_a_decision_is_counted_in_full_and_told_in_half_standard_errors(project):
    ended = go(project, OTHER)
    (use,) = uses(project)
    assert (use.run_id, use.use, use.champion, use.rule) == (ended.run_id, 1, 1, "unseen")
    assert use.level == pytest.approx(0.05)
    gate = of_champion(ended)
    assert gate["verdict"] == use.verdict
    assert gate["passed"] is use.passed
    told = ended.comparison["difference"]
    assert told == use.shown
    assert abs(told - use.difference) <= use.se / 4 * (1 + 1e-9)
    assert told / (use.se / 2) == pytest.approx(round(told / (use.se / 2)))
    left = json.loads((project / ".ratchet/runs" / ended.run_id / "run.json").read_text())
    for report in (json.dumps(ended.to_json()), json.dumps(left)):
        assert str(told) in report
        assert str(use.difference) not in report


def test_the_same_comparison_is_one_decision_and_another_model_is_the_next(project):
    go(project, OTHER)
    # Other limits, and the same model trained once more.
    go(project, OTHER, "gates.minimum.roc_auc=0.99")
    go(project, OTHER, force=True)
    assert len(uses(project)) == 1
    ended = go(project, "training.algorithms={random_forest: {n_estimators: 30}}")
    assert [use.use for use in uses(project)] == [1, 2]
    assert "decision 2 on these test rows" in of_champion(ended)["reason"]
    assert len({use.holdout_id for use in uses(project)}) == 1


def test_a_model_that_scores_as_the_champion_uses_nothing(project):
    ended = go(project, "training.seed=7")
    assert ended.outcome == "skipped", ended.reason
    assert uses(project) == ()


def test_rows_that_decided_too_often_decide_no_more(project):
    for trees in (10, 20, 30):
        ended = go(
            project,
            f"training.algorithms={{random_forest: {{n_estimators: {trees}}}}}",
            "gates.champion.alpha=0.01",
        )
    assert [use.level for use in uses(project)][2] is None
    gate = of_champion(ended)
    assert (gate["verdict"], gate["passed"]) == ("not_enough_evidence", False)
    assert "have decided 2 times and are used up" in gate["reason"]


def test_a_run_that_dies_before_the_verdict_counts_once(project, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "judge_holdout_use", die)
        with pytest.raises(Killed):
            go(project, OTHER)
    (left,) = uses(project)
    assert left.verdict is None
    ended = go(project, OTHER)
    (use,) = uses(project)
    assert (use.run_id, use.use) == (ended.run_id, 1) == (left.run_id, 1)
    assert use.verdict == of_champion(ended)["verdict"]


def with_days(text: str, first: int) -> str:
    """The table with a column that says when: ten rows a day."""
    head, *lines = text.splitlines()
    days = [
        f"{line},2024-{1 + n // 280:02d}-{1 + n // 10 % 28:02d}"
        for n, line in enumerate(lines, first)
    ]
    return "\n".join([f"{head},day", *days]) + "\n"


def test_with_time_only_rows_newer_than_both_models_training_decide(tmp_path):
    folder = small_project(tmp_path / "timed")
    settings = (folder / "ratchet.yaml").read_text()
    (folder / "ratchet.yaml").write_text(
        settings.replace("  id: customer\n", "  id: customer\n  time: day\n")
    )
    (folder / "data.csv").write_text(with_days(customers(1200), 0))
    assert go(folder).outcome == "promoted"
    assert uses(folder) == ()
    go(folder, OTHER)
    more = with_days(customers(600, start=1200), 1200).partition("\n")[2]
    with (folder / "data.csv").open("a") as file:
        file.write(more)
    ended = go(folder, OTHER)
    first, second = uses(folder)
    assert (first.rule, first.use, first.rows.count) == ("newer", 1, 240)
    # The rows that decided before train now; the newest decide, for the first time.
    assert (second.rule, second.use) == ("fresh", 1)
    assert second.rows.first > first.rows.last
    assert "newer than all that both models were trained on" in of_champion(ended)["reason"]
