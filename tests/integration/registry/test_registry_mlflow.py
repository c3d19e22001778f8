"""A real MLflow store: runs, versions, aliases, and any MLflow client scoring the bundle."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from registry_bundles import make_bundle, make_frame

from ratchet.data.task import Task
from ratchet.errors import ConfigError, ConflictError, DataError, StorageError, UnreachableError
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import open_ledger
from ratchet.packaging.bundle import Bundle
from ratchet.packaging.model import Model
from ratchet.registry import mlflow_runs
from ratchet.registry.mlflow import MlflowTracking
from ratchet.registry.promotion import apply, plan_promotion, plan_rollback, reconcile
from ratchet.registry.pyfunc import _load_pyfunc
from ratchet.registry.runs import CandidateLog, RunLog
from ratchet.registry.versions import NewVersion

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one MLflow store for all tests: making one takes a second."""
    return tmp_path_factory.mktemp("mlflow store é")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def tracking(store: Path, request: pytest.FixtureRequest) -> MlflowTracking:
    """The store, with an experiment and model name of the test's own."""
    name = request.node.name.replace("[", "-").replace("]", "")[:60]
    return MlflowTracking(f"sqlite:///{store / 'mlflow.db'}", (store / "artifacts").as_uri(), name)


def client_of(tracking: MlflowTracking) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking.uri, registry_uri=tracking.uri)


def runs_of(tracking: MlflowTracking) -> list[Any]:
    client = client_of(tracking)
    experiment = client.get_experiment_by_name(tracking.experiment)
    return list(client.search_runs([experiment.experiment_id]))


def a_run(run_id: str = "r1", **changes: Any) -> RunLog:
    values: dict[str, Any] = {
        "run_id": run_id,
        "started": AT,
        "ended": AT + timedelta(seconds=30),
        "params": {"seed": 42, "columns": ["a", "b"]},
        "metrics": {"roc_auc": 0.84, "undefined": float("nan"), "absent": None},
        "tags": {"ratchet.outcome": "promoted"},
        "candidates": (
            CandidateLog(
                "lightgbm",
                {"num_leaves": 31, "text": "x" * 9000},
                {"cv_roc_auc": 0.845, "test_recall (Yes, really)": 0.5},
            ),
            CandidateLog("svm", tags={"error": "did not converge"}, failed=True),
        ),
    }
    return RunLog(**values | changes)


def log_and_register(
    tracking: MlflowTracking, bundle: Bundle, run_id: str = "r1", version: int = 1
) -> tuple[str, NewVersion]:
    tracked = tracking.log_run(a_run(run_id))
    new = NewVersion(version, run_id, bundle.path, bundle.digest, tracked, "A model.")
    return tracking.register(tracking.experiment, new).version, new


# Runs


def test_a_run_is_logged_with_its_candidates(tracking: MlflowTracking, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "roc.svg").write_text("<svg/>", encoding="utf-8")
    tracked = tracking.log_run(a_run(), tmp_path)
    client = client_of(tracking)
    parent = client.get_run(tracked)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "r1"
    assert parent.info.end_time - parent.info.start_time == 30_000
    assert parent.data.params == {"seed": "42", "columns": '["a", "b"]'}
    assert parent.data.metrics == {"roc_auc": 0.84}
    assert parent.data.tags["ratchet.outcome"] == "promoted"
    assert [each.path for each in client.list_artifacts(tracked, "plots")] == ["plots/roc.svg"]
    children = {
        run.info.run_name: run
        for run in runs_of(tracking)
        if run.data.tags.get("mlflow.parentRunId") == tracked
    }
    assert set(children) == {"lightgbm", "svm"}
    best = children["lightgbm"]
    assert best.data.params["num_leaves"] == "31"
    assert len(best.data.params["text"]) == 6000
    assert best.data.metrics == {"cv_roc_auc": 0.845, "test_recall _Yes_ really_": 0.5}
    assert children["svm"].info.status == "FAILED"
    assert children["svm"].data.tags["error"] == "did not converge"
    tracking.tag_run(tracked, {"ratchet.outcome": "rejected"})
    assert client.get_run(tracked).data.tags["ratchet.outcome"] == "rejected"


def test_a_run_is_logged_once(tracking: MlflowTracking) -> None:
    first = tracking.log_run(a_run())
    assert tracking.log_run(a_run()) == first
    assert len(runs_of(tracking)) == 3
    assert tracking.log_run(a_run("r2")) != first


def test_what_a_killed_process_left_is_put_aside(
    tracking: MlflowTracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mlflow_runs, "end_run", die)
    with pytest.raises(KeyboardInterrupt):
        tracking.log_run(a_run())
    assert len(runs_of(tracking)) == 2
    monkeypatch.undo()
    tracked = tracking.log_run(a_run(params={"seed": 43}))
    assert len(runs_of(tracking)) == 3
    assert client_of(tracking).get_run(tracked).data.params == {"seed": "43"}


def test_many_parameters_are_logged_in_parts(tracking: MlflowTracking) -> None:
    tracked = tracking.log_run(a_run(params={f"p{n}": n for n in range(250)}, candidates=()))
    assert len(client_of(tracking).get_run(tracked).data.params) == 250


def test_a_deleted_experiment_is_not_written_to(tracking: MlflowTracking) -> None:
    tracking.log_run(a_run(candidates=()))
    client = client_of(tracking)
    number = client.get_experiment_by_name(tracking.experiment).experiment_id
    client.delete_experiment(number)
    again = MlflowTracking(tracking.uri, tracking.artifacts, tracking.experiment)
    with pytest.raises(ConflictError, match=f"--experiment-id {number}"):
        again.log_run(a_run("r2"))


# Versions


def test_a_bundle_becomes_a_version_any_client_understands(
    tracking: MlflowTracking, bundle: Bundle
) -> None:
    import mlflow

    number, new = log_and_register(tracking, bundle)
    client = client_of(tracking)
    version = client.get_model_version(tracking.experiment, number)
    assert version.run_id == new.tracked_run
    assert version.description == "A model."
    assert version.tags["ratchet.bundle_digest"] == bundle.digest
    assert version.tags["ratchet.version"] == "1"
    loaded = mlflow.pyfunc.load_model(version.source)
    assert loaded.loader_module == "ratchet.registry.pyfunc"
    assert loaded.metadata.run_id == new.tracked_run
    signature = loaded.metadata.signature
    assert signature.inputs.input_names() == [
        "tenure",
        "charges",
        "contract",
        "paperless",
        "joined",
    ]
    outputs = ["prediction", "probability_No", "probability_Yes"]
    assert signature.outputs.input_names() == outputs
    assert loaded.metadata.metadata["ratchet_inputs"]["tenure"] == "integer"
    assert list(loaded.predict(loaded.input_example).columns) == outputs
    folder = Path(version.source.removeprefix("file://").replace("%20", " ").replace("%C3%A9", "é"))
    kept = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert kept[0].startswith("mlflow==")
    assert kept[1:] == ["lightgbm==4.7.0", "ratchet-ml==0.1.0"]
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))}
    outputs_of_run = client.get_run(new.tracked_run).outputs.model_outputs
    assert [each.model_id for each in outputs_of_run] == [loaded.metadata.model_id]
    environment = (folder / "conda.yaml").read_text(encoding="utf-8")
    assert "lightgbm==4.7.0" in environment


def test_registering_again_finds_the_version(tracking: MlflowTracking, bundle: Bundle) -> None:
    first, new = log_and_register(tracking, bundle)
    again = tracking.register(tracking.experiment, new)
    assert again.version == first
    assert again.uri == f"models:/{tracking.experiment}/{first}"
    second, _ = log_and_register(tracking, bundle, "r2", 2)
    assert [each.version for each in tracking.versions(tracking.experiment)] == [first, second]


@pytest.mark.parametrize("place", ["upload", "version"])
def test_a_process_killed_while_registering_leaves_one_version(
    tracking: MlflowTracking, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    from mlflow.tracking import MlflowClient

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    method = {"upload": "finalize_logged_model", "version": "create_model_version"}[place]
    monkeypatch.setattr(MlflowClient, method, die)
    with pytest.raises(KeyboardInterrupt):
        log_and_register(tracking, bundle)
    assert tracking.versions(tracking.experiment) == ()
    monkeypatch.undo()
    number, _ = log_and_register(tracking, bundle)
    assert [each.version for each in tracking.versions(tracking.experiment)] == [number] == ["1"]
    client = client_of(tracking)
    experiment = client.get_experiment_by_name(tracking.experiment)
    models = client.search_logged_models([experiment.experiment_id])
    assert [str(each.status) for each in models] == ["READY"]


def test_a_folder_that_is_no_bundle_is_not_registered(
    tracking: MlflowTracking, tmp_path: Path
) -> None:
    tracked = tracking.log_run(a_run(candidates=()))
    new = NewVersion(1, "r1", tmp_path, "d", tracked)
    with pytest.raises(DataError, match="no bundle"):
        tracking.register(tracking.experiment, new)
    assert tracking.versions(tracking.experiment) == ()


# Aliases and promotion


def test_aliases_follow_the_ledger(
    tracking: MlflowTracking, bundle: Bundle, tmp_path: Path
) -> None:
    name = tracking.experiment
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", project=name) as ledger:
        assert tracking.aliases(name) == {}
        assert reconcile(ledger, tracking) == ()
        for number, run_id in enumerate(["r1", "r2"], start=1):
            ledger.start_run(run_id, trigger="manual")
            ledger.record_gates(run_id, [GateRecord("minimum.f1", True)])
            ledger.add_version(run_id, bundle.digest, str(bundle.path))
            registered, _ = log_and_register(tracking, bundle, run_id, number)
            ledger.link_version(number, registered)
            plan = plan_promotion(ledger, tracking, number, by="run", reason="x", run_id=run_id)
            apply(plan, ledger, tracking)
            assert tracking.aliases(name) == {"champion": registered}
        apply(
            plan_promotion(ledger, tracking, 1, alias="staging", by="a", reason="x"),
            ledger,
            tracking,
        )
        apply(plan_rollback(ledger, tracking, by="anna", reason="complaints"), ledger, tracking)
        assert tracking.aliases(name) == {"champion": "1", "staging": "1"}
        ledger.deploy(None, "staging", expected_previous=1, by="a", reason="x", action="remove")
        tracking.set_alias(name, "champion", "2")  # somebody's hand, or a crash
        assert len(reconcile(ledger, tracking)) == 2
        assert tracking.aliases(name) == {"champion": "1"}
        assert reconcile(ledger, tracking) == ()


# Scoring

SCORE = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
frame = pd.read_json(sys.argv[3], orient="table")
answer = model.predict(frame)
print("ANSWER" + answer.to_json(orient="split", double_precision=15))
print("PICKLED" + str("cloudpickle" in sys.modules and "sklearn" in sys.modules))
"""


def test_a_plain_mlflow_process_gives_the_same_scores(
    tracking: MlflowTracking, bundle: Bundle, tmp_path: Path
) -> None:
    number, _ = log_and_register(tracking, bundle)
    tracking.set_alias(tracking.experiment, "champion", number)
    rows = make_frame(seed=5, rows=50)
    file = tmp_path / "rows.json"
    rows.to_pandas().to_json(file, orient="table", index=False)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCORE,
            tracking.uri,
            f"models:/{tracking.experiment}@champion",
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = next(line for line in done.stdout.splitlines() if line.startswith("ANSWER"))
    answer = json.loads(told.removeprefix("ANSWER"))
    expected = Model.load(bundle.path).predict(rows)
    assert answer["columns"] == ["prediction", "probability_No", "probability_Yes"]
    assert [row[0] for row in answer["data"]] == expected.labels
    scores = np.array([row[1:] for row in answer["data"]])
    np.testing.assert_allclose(scores, expected.probabilities, rtol=0, atol=1e-14)


@pytest.fixture(scope="module")
def scorer(bundle: Bundle) -> Any:
    return _load_pyfunc(str(bundle.path))


def test_frames_as_pandas_makes_them_give_the_scores_of_the_typed_rows(
    scorer: Any, bundle: Bundle
) -> None:
    import pandas as pd

    rows = make_frame(seed=5, rows=60)
    expected = Model.load(bundle.path).predict(rows).probabilities
    columns = ["probability_No", "probability_Yes"]
    plain = rows.to_pandas()
    texts = plain.assign(
        tenure=plain["tenure"].astype(float),  # an integer column with a gap in it
        charges=plain["charges"].map(lambda value: " " if pd.isna(value) else f" {value} "),
        joined=plain["joined"].astype(str),
        paperless=plain["paperless"].map(lambda value: "?" if pd.isna(value) else str(value)),
    )
    for frame in (plain, texts, texts.astype(object), plain.convert_dtypes()):
        answer = scorer.predict(frame)
        np.testing.assert_array_equal(answer[columns].to_numpy(), expected)


def test_the_rows_keep_their_index_and_unknown_columns_are_ignored(scorer: Any) -> None:
    frame = make_frame(rows=4).to_pandas().assign(extra=1).set_index(np.array([7, 3, 9, 1]))
    answer = scorer.predict(frame)
    assert list(answer.index) == [7, 3, 9, 1]
    assert scorer.predict(frame.iloc[:0]).shape == (0, 3)
    alone = scorer.predict(frame[["tenure"]])
    assert alone["probability_Yes"].notna().all()


def test_a_value_of_another_kind_is_refused(scorer: Any) -> None:
    frame = make_frame(rows=3).to_pandas()
    with pytest.raises(DataError, match="charges"):
        scorer.predict(frame.assign(charges=["a lot", "12", None]))
    with pytest.raises(DataError, match="none of the columns"):
        scorer.predict(frame[["Churn"]])


def test_a_text_column_of_digits_is_text(tmp_path: Path) -> None:
    import pandas as pd

    frame = make_frame(seed=3).with_columns(
        contract=pl.col("contract").replace_strict({"month": "1", "year": "12", "two years": "24"})
    )
    bundle = make_bundle(tmp_path, frame=frame)
    rows = frame.filter(pl.col("contract").is_not_null()).head(30)
    expected = Model.load(bundle.path).predict(rows).probabilities[:, 1]
    plain = rows.to_pandas().assign(contract=pd.Series([int(text) for text in rows["contract"]]))
    answer = _load_pyfunc(str(bundle.path)).predict(plain)
    np.testing.assert_array_equal(answer["probability_Yes"].to_numpy(), expected)


@pytest.mark.parametrize(
    ("classes", "kind"),
    [((False, True), "boolean"), ((0, 1), "long"), ((0.5, 1.5), "double"), (("a", 1), "string")],
)
def test_the_prediction_has_the_type_of_the_classes(classes: Any, kind: str) -> None:
    from ratchet.packaging.signature import Signature
    from ratchet.registry.mlflow_model import _label_type

    assert _label_type(Signature((), "binary", classes)) == kind


def test_numbers_as_classes_are_named_as_json(tmp_path: Path) -> None:
    frame = make_frame(seed=4).with_columns(Churn=(pl.col("Churn") == "Yes").cast(pl.Int64))
    bundle = make_bundle(tmp_path, frame=frame, task=Task("binary", (0, 1)))
    answer = _load_pyfunc(str(bundle.path)).predict(frame.to_pandas())
    assert list(answer.columns) == ["prediction", "probability_0", "probability_1"]
    assert answer["prediction"].dtype == np.int64


# Quiet, and alone

QUIET = """
import socket, sys
from datetime import datetime, UTC
from pathlib import Path
def refuse(*_, **__):
    raise AssertionError("the network was used")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
from ratchet.registry.mlflow import MlflowTracking
from ratchet.registry.runs import CandidateLog, RunLog
from ratchet.registry.versions import NewVersion
folder, bundle, digest = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
tracking = MlflowTracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri(), "p")
assert "mlflow" not in sys.modules
at = datetime(2026, 11, 21, tzinfo=UTC)
run = tracking.log_run(RunLog("r1", at, at, candidates=(CandidateLog("a"),)), bundle)
tracking.register("p", NewVersion(1, "r1", bundle, digest, run))
tracking.set_alias("p", "champion", "1")
assert tracking.aliases("p") == {"champion": "1"}
"""


def test_a_new_store_is_made_without_a_word_and_without_the_network(
    bundle: Bundle, tmp_path: Path
) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS")  # telemetry looks for them
    }
    done = subprocess.run(
        [sys.executable, "-c", QUIET, tmp_path, bundle.path, bundle.digest],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "mlflow.db"]
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        rows = connection.execute(
            "select v.name, v.version, a.alias from model_versions v"
            " join registered_model_aliases a on a.name = v.name and a.version = v.version"
        ).fetchall()
    assert rows == [("p", 1, "champion")]


# Faults


def of(uri: str) -> MlflowTracking:
    return MlflowTracking(uri, None, "p")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="no SQLite database"):
        of(f"sqlite:///{tmp_path / 'mlflow.db'}").aliases("p")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="MLflow"):
        of(f"sqlite:///{tmp_path / 'state' / 'mlflow.db'}").aliases("p")


def test_a_store_of_another_mlflow(tmp_path: Path, store: Path, tracking: MlflowTracking) -> None:
    tracking.aliases("p")
    with (
        closing(sqlite3.connect(store / "mlflow.db")) as old,
        closing(sqlite3.connect(tmp_path / "mlflow.db")) as new,
    ):
        old.backup(new)
        new.execute("update alembic_version set version_num = '451aebb31d03'")
        new.commit()
    with pytest.raises(StorageError, match="mlflow db upgrade"):
        of(f"sqlite:///{tmp_path / 'mlflow.db'}").aliases("p")


def test_artifacts_that_cannot_be_written(store: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file", encoding="utf-8")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "roc.svg").write_text("<svg/>", encoding="utf-8")
    tracking = MlflowTracking(
        f"sqlite:///{store / 'mlflow.db'}", (tmp_path / "artifacts").as_uri(), "no artifacts"
    )
    with pytest.raises(StorageError):
        tracking.log_run(a_run(), tmp_path / "plots")


def test_a_server_that_is_down_is_told_at_once() -> None:
    with pytest.raises(UnreachableError, match="refused") as caught:
        of("http://anna:hush@127.0.0.1:1").aliases("p")
    assert "hush" not in str(caught.value.to_json())
    with pytest.raises(UnreachableError):
        of("postgresql://anna:hush@127.0.0.1:1/mlflow").aliases("p")


def test_an_address_that_leads_nowhere() -> None:
    with pytest.raises(ConfigError) as caught:
        of("http://anna:hush@host:port/").aliases("p")
    assert "hush" not in str(caught.value.to_json())


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.refuse()

    def do_POST(self) -> None:
        self.refuse()

    def refuse(self) -> None:
        body = b'{"error_code": "UNAUTHENTICATED", "message": "who are you"}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def refusing() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_refuses_us_names_the_way_in(refusing: int) -> None:
    with pytest.raises(UnreachableError, match="MLFLOW_TRACKING_USERNAME") as caught:
        of(f"http://anna:hush@127.0.0.1:{refusing}").aliases("p")
    assert "hush" not in str(caught.value.to_json())


# A real server, where full MLflow is installed (`pip install ratchet-ml[mlflow]`); another
# environment's may be named by RATCHET_TEST_MLFLOW.


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    named = os.environ.get("RATCHET_TEST_MLFLOW")
    if named is None and importlib.util.find_spec("flask") is None:
        pytest.skip("the MLflow server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *([named] if named else [sys.executable, "-m", "mlflow"]),
            *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"),
            *("--artifacts-destination", str(tmp_path / "artifacts")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Uvicorn running" in line:
            break
    drain = threading.Thread(target=process.stdout.read)
    drain.start()
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
    drain.join(30)
    process.stdout.close()


@pytest.mark.slow
def test_a_real_server_does_all_the_same(server: str, bundle: Bundle) -> None:
    import mlflow

    tracking = MlflowTracking(server, None, "served")
    number, new = log_and_register(tracking, bundle)
    assert tracking.register("served", new).version == number
    assert tracking.log_run(a_run()) == new.tracked_run
    tracking.set_alias("served", "champion", number)
    assert tracking.aliases("served") == {"champion": "1"}
    rows = make_frame(seed=5, rows=20)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server)
    try:
        answer = mlflow.pyfunc.load_model("models:/served@champion").predict(
            rows.drop("Churn").to_pandas()
        )
    finally:
        mlflow.set_tracking_uri(before)
    expected = Model.load(bundle.path).predict(rows).probabilities[:, 1]
    np.testing.assert_array_equal(answer["probability_Yes"].to_numpy(), expected)
    tracking.set_alias("served", "champion", None)
    assert tracking.aliases("served") == {}


def test_epochs_are_there_while_training_and_go_on_after_a_crash(tracking: MlflowTracking) -> None:
    log = tracking.live("20261121-a")
    log.epoch("torch", 1, {"train_loss": 0.7, "validation_loss": 0.8, "validation_accuracy": None})
    log.epoch("torch", 2, {"train_loss": 0.6, "validation_loss": 0.7})
    client = client_of(tracking)
    (run,) = client.search_runs([client.get_experiment_by_name(tracking.experiment).experiment_id])
    assert run.info.status == "RUNNING"
    # Another process, after the first one was killed.
    again = tracking.live("20261121-a")
    again.epoch("torch", 3, {"train_loss": 0.5})
    again.close()
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.7), (2, 0.6), (3, 0.5)]
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_live_epochs_are_not_taken_for_the_run_itself(tracking: MlflowTracking) -> None:
    log = tracking.live("20261121-b")
    log.epoch("torch", 1, {"train_loss": 0.7})
    log.close()
    tracked = tracking.log_run(RunLog("20261121-b", AT, AT + timedelta(seconds=9)))
    assert client_of(tracking).get_run(tracked).data.tags["ratchet.run_id"] == "20261121-b"
    assert tracking.log_run(RunLog("20261121-b", AT, AT)) == tracked
