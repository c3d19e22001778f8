"""A search's trials in the ledger's database: killed, gone on with, shared."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import search_program

from postgres_server import start_postgres
from ratchet.errors import StorageError
from ratchet.training.results import TrialRecord
from ratchet.training.search.store import OptunaStore, store_digest
from ratchet.training.search.trial import trial_key

PROGRAM = Path(search_program.__file__)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
    else:
        yield request.getfixturevalue("server").url


def record(number=1, candidate="made", status="finished", **more):
    given = {
        "number": number,
        "candidate": candidate,
        "algorithm": "made",
        "origin": "search",
        "params": {"level": 0.1 * number, "kind": None},
        "tuned": {"level": 0.1 * number},
        "status": status,
        "metric": "roc_auc",
        "mean": None if status == "failed" else 0.7 + 0.01 * number,
        "folds": () if status == "failed" else ({"roc_auc": 0.1 + 0.2, "log_loss": 0.5},),
        "seconds": 0.25,
        "started": 1.0 * number,
        "rows": 300,
        "rounds": 17,
        "error": "it broke" if status == "failed" else "",
    }
    return TrialRecord(**{**given, **more})


def test_what_was_saved_is_loaded_by_anybody_to_the_last_bit(url, tmp_path):
    digest = store_digest("rows", str(tmp_path))
    one = OptunaStore(url, tmp_path / "scores", digest)
    saved = [
        record(1),
        record(2, status="pruned"),
        record(3, status="failed"),
        record(4, candidate="another"),
        record(5, tuned={"kind": None, "flag": True, "level": np.float64(0.5).item()}),
    ]
    oof = np.random.default_rng(0).random((300, 2))
    for item in saved:
        one.save(item, f"key{item.number}", oof if item.number == 1 else None)
    other = OptunaStore(url, tmp_path / "scores", digest)
    assert list(other.load()) == saved
    assert np.array_equal(other.oof("key1"), oof)
    assert other.oof("key2") is None
    stranger = OptunaStore(url, tmp_path / "scores", store_digest("other rows"))
    assert stranger.load() == ()
    for store in (one, other, stranger):
        store.close()


def test_optuna_itself_can_read_the_studies(tmp_path):
    import optuna

    url = f"sqlite:///{tmp_path}/ledger.db"
    store = OptunaStore(url, tmp_path / "scores", "digest")
    store.save(record(1), "key", None)
    store.save(record(2, metric="log_loss", candidate="other"), "key2", None)
    store.close()
    study = optuna.load_study(storage=url, study_name="digest/made")
    assert study.best_params == {"level": 0.1}
    assert study.direction.name == "MAXIMIZE"
    assert optuna.load_study(storage=url, study_name="digest/other").direction.name == "MINIMIZE"
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def test_a_database_that_is_none_is_refused_in_words(tmp_path):
    (tmp_path / "ledger.db").write_text("this is no database " * 100)
    store = OptunaStore(f"sqlite:///{tmp_path}/ledger.db", tmp_path, "digest")
    with pytest.raises(StorageError, match="cannot be kept") as caught:
        store.load()
    assert caught.value.name == "search_store"
    assert str(tmp_path) in caught.value.where
    store.close()


def start(url, folder, kind, amount):
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(PROGRAM), url, str(folder), kind, str(amount)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
    )


def lines(process):
    return [json.loads(line) for line in process.stdout]


def test_kill_9_in_the_middle_loses_no_finished_trial(url, tmp_path):
    process = start(url, tmp_path, "trials", 200)
    told = []
    for line in process.stdout:
        told.append(json.loads(line))
        if sum("trial" in item for item in told) >= 9:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = OptunaStore(url, tmp_path, store_digest(str(tmp_path)))
    before = store.load()
    assert len(before) >= 9
    trained = search_program.train(store, trials=24)
    after = {item.number: item for item in trained.trials}
    assert len(after) == 24
    for item in before:
        # It is there as it was, with the time that it took then: nothing was tried again.
        assert after[item.number].folds == item.folds
        assert after[item.number].seconds == pytest.approx(item.seconds)
    undisturbed = search_program.train(None, trials=24)
    shown = [(item.candidate, dict(item.tuned), item.mean) for item in trained.trials]
    assert shown == [(item.candidate, dict(item.tuned), item.mean) for item in undisturbed.trials]
    assert trained.choice.best.params == undisturbed.choice.best.params
    store.close()


def test_the_time_before_a_kill_counts(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    process = start(url, tmp_path, "seconds", 4)
    begun = time.monotonic()
    for line in process.stdout:
        if "trial" in json.loads(line) and time.monotonic() - begun > 2.5:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = OptunaStore(url, tmp_path, store_digest(str(tmp_path)))
    before = store.load()
    spent = max(item.started + item.seconds for item in before)
    begun = time.monotonic()
    trained = search_program.train(store, seconds=4.0)
    assert time.monotonic() - begun < 4.0 - spent + 0.8
    keys = {trial_key(item.candidate, item.tuned, item.rows) for item in trained.trials}
    assert {trial_key(item.candidate, item.tuned, item.rows) for item in before} <= keys
    store.close()


def test_several_processes_share_one_search(url, tmp_path):
    """They make the tables at the same time, and each ends with all trials."""
    first, second = (start(url, tmp_path, "seconds", 8) for _ in range(2))
    found: dict[int, list] = {}
    readers = [
        threading.Thread(target=lambda place=place, item=item: found.update({place: lines(item)}))
        for place, item in enumerate((first, second))
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert (first.wait(), second.wait()) == (0, 0)
    first.stdout.close()
    second.stdout.close()
    store = OptunaStore(url, tmp_path, store_digest(str(tmp_path)))
    kept = {trial_key(item.candidate, item.tuned, item.rows) for item in store.load()}
    for place in (0, 1):
        trials = [TrialRecord.from_json(item) for item in found[place][-1]["trials"]]
        keys = {trial_key(item.candidate, item.tuned, item.rows) for item in trials}
        told = sum("trial" in line for line in found[place])
        assert told >= len(keys) - 2
        over = {
            trial_key(item.candidate, item.tuned, item.rows)
            for item in trials
            if item.status != "stopped"
        }
        assert over <= kept
        assert kept
    store.close()


def test_a_kill_while_tables_are_made_does_no_harm(tmp_path):
    """Whatever was there by then, the next one makes the rest."""
    for wait in (0.0, 0.15, 0.3):
        folder = tmp_path / str(wait)
        folder.mkdir()
        url = f"sqlite:///{folder}/ledger.db"
        process = start(url, folder, "trials", 3)
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = OptunaStore(url, folder, store_digest(str(folder)))
        store.save(record(1), "key", None)
        assert any(item.number == 1 for item in store.load())
        store.close()
        with sqlite3.connect(folder / "ledger.db") as raw:
            assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        raw.close()
