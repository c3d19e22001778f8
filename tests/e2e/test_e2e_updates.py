"""New rows for a model that serves: trained further, refitted, searched for anew, or judged."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from forked_ratchet import Driver
from project_state import ask, give_tracking, kept
from ratchet_cli import add_rows, customers, small_project

BOOSTING = "training.algorithms={lightgbm: {}, chance: {class: sklearn.dummy.DummyClassifier}}"
FOREST = "training.algorithms={random_forest: {n_estimators: 30}}"
LENIENT = "gates.champion.margin=0.3"


def _run(driver: Driver, folder: Path, *settings: str, code: int = 0) -> dict[str, Any]:
    assignments = [word for setting in settings for word in ("--set", setting)]
    result = driver.ratchet("run", "--project", folder, "--json", *assignments)
    assert result.code == code, result.out
    return result.data


def _facts(folder: Path, data: dict[str, Any], step: str = "train") -> dict[str, Any]:
    file = folder / ".ratchet" / "runs" / data["run_id"] / step / "facts.json"
    return dict(json.loads(file.read_text()))


def _best(data: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in data["candidates"] if one["name"] == data["best"])


def _champion_gate(data: dict[str, Any]) -> dict[str, Any]:
    return next(gate for gate in data["gates"] if gate["name"] == "champion")


def _first(driver: Driver, tracking: Path, folder: Path, algorithms: str) -> Path:
    """A project with a first version, and 300 rows more than it knows."""
    give_tracking(small_project(folder, rows=500), tracking)
    data = _run(driver, folder, algorithms)
    assert data["outcome"] == "promoted"
    assert data["update"] == "retune"
    assert data["climbed"] == []
    add_rows(folder / "data.csv", customers(300, start=500))
    return folder


@pytest.fixture(scope="module")
def boosted(driver: Driver, tracking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _first(driver, tracking, tmp_path_factory.mktemp("boosted") / "small", BOOSTING)


@pytest.fixture(scope="module")
def grown(driver: Driver, tracking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _first(driver, tracking, tmp_path_factory.mktemp("grown") / "small", FOREST)


def _copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "small"))


def test_refit_trains_the_same_configuration_on_all_rows(
    boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(boosted, tmp_path)
    first = driver.ratchet("show", "last", "--project", folder, "--json").data["summary"]
    data = _run(driver, folder, BOOSTING, "training.update=refit", LENIENT)
    assert data["outcome"] == "promoted", data["reason"]
    assert (data["update"], data["climbed"]) == ("refit", [])
    # Only the serving model's own algorithm, with the parameters it had, and no search.
    assert [one["name"] for one in data["candidates"]] == ["lightgbm"]
    before, after = _best(first)["params"], _best(data)["params"]
    rounds = ("num_iterations", "early_stopping_rounds")
    assert {k: v for k, v in before.items() if k not in rounds} == {
        k: v for k, v in after.items() if k not in rounds
    }
    assert data["snapshot"]["rows"] == 800


def test_incremental_goes_on_with_the_new_rows_alone(
    boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(boosted, tmp_path)
    data = _run(driver, folder, BOOSTING, "training.update=incremental", LENIENT)
    assert data["outcome"] == "promoted", data["reason"]
    assert (data["update"], data["climbed"]) == ("incremental", [])
    previous = json.loads(
        (folder / ".ratchet" / "runs" / data["run_id"] / "train" / "_previous.json").read_text()
    )
    assert [member["algorithm"] for member in previous["members"]] == ["lightgbm"]
    # It has all the trees of the first version, and some more.
    older = next(
        path
        for path in (folder / ".ratchet" / "runs").glob("*/train/_previous.json")
        if data["run_id"] not in str(path)
    )
    (known,) = json.loads(older.read_text())["members"]
    assert previous["members"][0]["rounds"] > known["rounds"]
    page = Path(data["report"]).read_text(encoding="utf-8")
    assert "going on training the serving model" in page


def test_auto_takes_the_cheapest_that_passes(boosted: Path, tmp_path: Path, driver: Driver) -> None:
    folder = _copy(boosted, tmp_path)
    data = _run(driver, folder, BOOSTING, "training.update=auto", LENIENT)
    assert data["outcome"] == "promoted"
    assert (data["update"], data["climbed"]) == ("incremental", [])


def test_auto_climbs_over_what_cannot_go_on(grown: Path, tmp_path: Path, driver: Driver) -> None:
    """A forest grows no further: it is refitted, and that is told."""
    folder = _copy(grown, tmp_path)
    data = _run(driver, folder, FOREST, "training.update=auto", LENIENT)
    assert data["outcome"] == "promoted", data["reason"]
    assert data["update"] == "refit"
    (climb,) = data["climbed"]
    assert climb["update"] == "incremental"
    assert "can go on training" in climb["reason"]
    assert climb["reason"] in Path(data["report"]).read_text(encoding="utf-8")
    shown = driver.ratchet("show", "last", "--project", folder)
    assert f"incremental was not enough: {climb['reason']}" in shown.out


def test_auto_climbs_to_a_search_when_nothing_cheaper_is_good_enough(
    boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    """Each rung that is judged is a decision on the test rows, and is counted."""
    folder = _copy(boosted, tmp_path)
    data = _run(
        driver, folder, BOOSTING, "training.update=auto", "gates.minimum.roc_auc=0.99", code=3
    )
    assert data["outcome"] == "rejected"
    assert data["update"] == "retune"
    assert [climb["update"] for climb in data["climbed"]] == ["incremental", "refit"]
    assert all("minimum.roc_auc" in climb["reason"] for climb in data["climbed"])
    uses = ask(
        folder / ".ratchet" / "ledger.db",
        'select challenger, "use", run_id from ratchet_holdout_uses order by seq',
    )
    assert [use[:2] for use in uses] == [("incremental", 1), ("refit", 2), ("retune", 3)]
    assert {use[2] for use in uses} == {data["run_id"]}
    assert kept(folder).champion == 1
    assert "decision 3 on these test rows" in _champion_gate(data)["reason"]
    again = _run(driver, folder, BOOSTING, "training.update=auto", "gates.minimum.roc_auc=0.99")
    assert again["outcome"] == "skipped"


def test_without_its_training_files_a_model_is_searched_for_anew(
    boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(boosted, tmp_path)
    for trained in (folder / ".ratchet" / "runs").glob("*/train"):
        shutil.rmtree(trained)
    data = _run(driver, folder, BOOSTING, "training.update=incremental", LENIENT)
    assert data["outcome"] == "promoted", data["reason"]
    assert data["update"] == "retune"
    assert [climb["update"] for climb in data["climbed"]] == ["incremental", "refit"]
    for climb in data["climbed"]:
        assert "training files of the serving version 1 are not here" in climb["reason"]


def test_a_single_step_climbs_as_a_run_does(grown: Path, tmp_path: Path, driver: Driver) -> None:
    """``--step train`` leaves a model, not the reason why the cheapest way gave none."""
    folder = _copy(grown, tmp_path)
    settings = ("--set", FOREST, "--set", "training.update=auto", "--set", LENIENT)
    part = driver.ratchet("run", "--project", folder, "--json", "--step", "train", *settings).data
    assert part["best"] == "random_forest"
    assert part["update"] == "refit"
    rest = driver.ratchet("run", "--project", folder, "--json", *settings).data
    assert rest["run_id"] == part["run_id"]
    assert (rest["outcome"], rest["update"]) == ("promoted", "refit")


def test_killed_on_its_way_up_it_counts_every_decision_once(
    boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(boosted, tmp_path)
    options = [
        *("run", "--project", folder, "--json", "--set", BOOSTING),
        *("--set", "training.update=auto", "--set", "gates.minimum.roc_auc=0.99"),
    ]
    judged = "ratchet.ledger.store:Ledger.judge_holdout_use"
    died = driver.ratchet(*options, kill={"call": judged, "when": "before", "nth": 2})
    assert died.code == -signal.SIGKILL
    ended = driver.ratchet(*options).data
    assert ended["outcome"] == "rejected"
    assert [climb["update"] for climb in ended["climbed"]] == ["incremental", "refit"]
    uses = ask(
        folder / ".ratchet" / "ledger.db",
        'select challenger, "use", verdict from ratchet_holdout_uses order by seq',
    )
    assert [use[:2] for use in uses] == [("incremental", 1), ("refit", 2), ("retune", 3)]
    assert all(verdict for _, _, verdict in uses)


@pytest.mark.parametrize("new", [5, 100])
def test_too_few_new_rows_or_of_one_class_are_learned_with_the_others(
    new: int, boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(boosted, tmp_path)
    lines = (folder / "data.csv").read_text(encoding="utf-8").splitlines()[: 501 + new]
    alike = [f"{line.rpartition(',')[0]},no" for line in lines[501:]]
    text = "\n".join([*lines[:501], *(alike if new == 100 else lines[501:])]) + "\n"
    (folder / "data.csv").write_text(text, encoding="utf-8")
    result = driver.ratchet(
        *("run", "--project", folder, "--json", "--set", BOOSTING, "--set", LENIENT),
        *("--set", "training.update=incremental", "--set", "gates.minimum={}"),
    )
    # Whether the refitted model is better is the gate's to say; there is one.
    assert result.code in (0, 3), result.out
    assert result.data["update"] == "refit"
    assert result.data["metrics"]
    (climb,) = result.data["climbed"]
    assert climb["update"] == "incremental"
    assert ("5 new rows are too few" if new == 5 else "single class") in climb["reason"]


@pytest.mark.parametrize("change", ["replaced", "other settings"])
def test_without_new_rows_it_is_refitted(
    change: str, boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(boosted, tmp_path)
    text = customers(600, seed=4) if change == "replaced" else customers(500)
    (folder / "data.csv").write_text(text, encoding="utf-8")
    data = _run(
        driver, folder, BOOSTING, "training.update=incremental", "gates.minimum={}", LENIENT
    )
    assert data["update"] == "refit"
    (climb,) = data["climbed"]
    words = "replaced, not added to" if change == "replaced" else "there are no new rows"
    assert words in climb["reason"]


def test_an_incremental_model_is_gone_on_with_again(
    boosted: Path, tmp_path: Path, driver: Driver
) -> None:
    """What it learned in both lessons stays out of the rows that judge the third."""
    folder = _copy(boosted, tmp_path)
    settings = (BOOSTING, "training.update=incremental", LENIENT)
    assert _run(driver, folder, *settings)["update"] == "incremental"
    add_rows(folder / "data.csv", customers(300, start=800))
    third = _run(driver, folder, *settings)
    assert (third["update"], third["climbed"]) == ("incremental", [])
    assert third["champion"]["version"] == 2
    split = _facts(folder, third, "split")
    assert third["comparison"]["n"] == split["rows"]["test"]


# -- the same test rows again and again ----------------------------------------------------


def test_rows_that_decided_before_ask_for_stronger_proof(
    grown: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = _copy(grown, tmp_path)
    reasons = []
    for rounds in (3, 6, 9):
        algorithms = f"training.algorithms={{lightgbm: {{n_estimators: {rounds}}}}}"
        data = _run(driver, folder, algorithms, code=3)
        reasons.append(_champion_gate(data)["reason"])
    assert "on these test rows" not in reasons[0]
    assert "decision 2 on these test rows" in reasons[1]
    assert "decision 3 on these test rows" in reasons[2]
    uses = ask(
        folder / ".ratchet" / "ledger.db",
        'select "use", level, holdout_id from ratchet_holdout_uses order by seq',
    )
    assert [use for use, _, _ in uses] == [1, 2, 3]
    levels = [float(str(level)) for _, level, _ in uses]
    assert levels[0] > levels[1] > levels[2]
    assert len({holdout for _, _, holdout in uses}) == 1
    # Rows that nobody has decided by yet start anew.
    (folder / "data.csv").write_text(customers(900, start=5_000), encoding="utf-8")
    other = "training.algorithms={lightgbm: {n_estimators: 12}}"
    driver.ratchet("run", "--project", folder, "--json", "--set", other)
    newest = ask(
        folder / ".ratchet" / "ledger.db",
        'select "use" from ratchet_holdout_uses order by seq desc limit 1',
    )
    assert newest == ((1,),)
