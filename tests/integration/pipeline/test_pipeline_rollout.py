"""How a model that passed its gates comes to serve, from the run's end on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ratchet.errors import StorageError
from ratchet.ledger.traffic import Arm
from ratchet.pipeline import rolling
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import load_project
from ratchet.registry.mlflow import MlflowTracking

BETTER = "training.algorithms={random_forest: {n_estimators: 30}}"


def opened(folder: Path, *assignments: str):
    return load_project(folder, assignments=assignments, variables={})


def go(folder: Path, *assignments: str, **asked):
    return run(opened(folder, *assignments), Request(**asked))


def state(folder: Path):
    with opened(folder).open_ledger() as ledger:
        traffic = ledger.traffic()
        assert ledger.verify_chain().intact
        assert traffic is not None
        arms = {arm.name: (arm.version, arm.share) for arm in traffic.arms}
        return arms, traffic.shadow, ledger.rollouts()


def aliases(folder: Path) -> dict[str, str]:
    return dict(opened(folder).open_tracking().aliases("small"))


SETTINGS = """
project: small
data:
  source: {type: csv, path: data.csv}
  target: bought
training: {algorithms: {logistic_regression: {}}, tuning: {folds: 3, trials: 0}}
gates:
  minimum: {roc_auc: 0.3}
  budget: {latency_p95: 500ms, size: 50MB, memory: 2GB}
"""


def rows(count: int) -> str:
    """What trees see best: whether two numbers have the same sign."""
    rng = np.random.default_rng(4)
    pairs = rng.normal(size=(count, 2))
    bought = (pairs.prod(axis=1) + 0.6 * pairs[:, 0] > 0) ^ (rng.random(count) < 0.05)
    lines = [
        f"{a:.4f},{b:.4f},{'yes' if y else 'no'}" for (a, b), y in zip(pairs, bought, strict=True)
    ]
    return "\n".join(["a,b,bought", *lines, ""])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project whose champion is poor."""
    folder = tmp_path_factory.mktemp("rolled") / "small"
    folder.mkdir()
    (folder / "data.csv").write_text(rows(800), encoding="utf-8")
    (folder / "ratchet.yaml").write_text(SETTINGS, encoding="utf-8")
    first = go(folder, "rollout.strategy=canary")
    assert first.outcome == "promoted", first.reason
    assert "first champion" in first.reason
    return folder


@pytest.fixture
def project(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "small"))


def test_as_a_canary_it_gets_a_part_and_is_continued_without_doing_it_twice(project, monkeypatch):
    def die(*given):
        raise StorageError("the disk is full")

    # The aliases are behind when the process ends; the run then goes on in another one.
    monkeypatch.setattr(MlflowTracking, "set_alias", die)
    ended = go(project, BETTER, "rollout.strategy=canary")
    monkeypatch.undo()
    assert ended.outcome == "candidate", ended.reason
    assert "version 2 answers 10 % of the traffic" in ended.reason
    assert ended.model is not None
    arms, shadow, (rollout,) = state(project)
    assert (arms, shadow) == ({"champion": (1, 90.0), "challenger": (2, 10.0)}, ())
    assert (rollout.run_id, rollout.status) == (ended.run_id, "running")
    again = go(project, BETTER, "rollout.strategy=canary")
    assert again.outcome == "skipped", "how it is rolled out changes no model"
    assert again.reason.startswith("nothing changed")
    loaded = opened(project)
    with loaded.open_ledger() as ledger:
        step = rolling.advance(loaded, ledger)
        assert step is not None
        assert (step.did, step.rollout.rollout_id) == ("held", rollout.rollout_id)
    assert aliases(project) == {"champion": "1"}, "they follow with the next change"


def test_as_a_shadow_it_answers_nobody(project):
    ended = go(project, BETTER, "rollout.strategy=shadow")
    assert "version 2 answers unseen, as a shadow" in ended.reason
    assert state(project)[:2] == ({"champion": (1, 100.0)}, (2,))
    assert aliases(project) == {"champion": "1", "challenger": "2"}


def test_it_waits_for_a_word_and_then_serves(project):
    ended = go(project, BETTER, "rollout.approval=true")
    assert (ended.outcome, "ratchet approve 2" in ended.reason) == ("candidate", True)
    assert state(project)[0] == {"champion": (1, 100.0)}
    loaded = opened(project)
    with loaded.open_ledger() as ledger:
        done, behind = rolling.approve(loaded, ledger, 2, by="anna", reason="go")
    assert (done.status, behind) == ("promoted", "")
    assert state(project)[0] == {"champion": (2, 100.0)}
    assert aliases(project) == {"champion": "2"}


def test_while_the_traffic_is_somebody_elses_it_waits(project):
    with opened(project).open_ledger() as ledger:
        ledger.set_traffic(
            [Arm("champion", 1, 50), Arm("control", 1, 50)],
            kind="experiment",
            by="anna",
            reason="prices",
            expected_seq=ledger.position(),
        )
    ended = go(project, BETTER, "rollout.strategy=canary")
    assert ended.outcome == "candidate"
    assert "waits, as the traffic is split: prices: then ratchet rollout start 2" in ended.reason
    assert set(state(project)[0]) == {"champion", "control"}


def test_a_failure_or_a_no_leaves_the_champion_and_no_rollout(project):
    ended = go(project, BETTER, "rollout.strategy=canary", "gates.minimum.roc_auc=0.9999")
    assert ended.outcome == "rejected"
    (project / "data.csv").unlink()
    assert go(project, BETTER, "rollout.strategy=canary").outcome == "failed"
    assert state(project) == ({"champion": (1, 100.0)}, (), ())
