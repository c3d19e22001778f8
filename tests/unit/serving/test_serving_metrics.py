"""What is counted, by one process and by several."""

import json
import subprocess
import sys
from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from bare_server import wait_until
from ratchet.data.predictions.log import LogStats
from ratchet.serving.board import Board
from ratchet.serving.metrics import FOLDER, Later, Metrics
from ratchet.serving.trouble import Trouble

STATS = LogStats(
    waiting=10,
    records=1,
    written=1,
    syncs=4,
    sync_seconds=0.5,
    exposure=0.06,
    refused=2,
    faults=0,
    healthy=True,
)


def read(metrics):
    text, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_counts_and_times():
    metrics = Metrics()
    for _ in range(2):
        metrics.request("/v1/predict", 200, "champion", "3", 0.002)
    metrics.answered("champion", "3", 5)
    metrics.failed("champion", "3")
    metrics.feedback(7)
    found = read(metrics)
    labels = (("arm", "champion"), ("route", "/v1/predict"), ("status", "200"), ("version", "3"))
    assert found["ratchet_requests_total", labels] == 2
    bucket = (("le", "0.0025"), ("route", "/v1/predict"), ("version", "3"))
    assert found["ratchet_request_seconds_bucket", bucket] == 2
    arm = (("arm", "champion"), ("version", "3"))
    assert found["ratchet_predictions_total", arm] == 5
    assert found["ratchet_failed_requests_total", arm] == 1
    assert found["ratchet_feedback_total", ()] == 7
    assert not [name for name, _ in found if name.endswith("_created")]


def test_what_is_made_when_it_is_first_asked_for_or_soon_after_the_start():
    made = []

    def make():
        made.append(Board())
        return made[-1]

    metrics = Metrics()
    metrics.add(Later(make))
    assert not made
    assert read(metrics)["ratchet_worker_restarts_total", ()] == 0
    made[0]["worker_restarts"] += 1
    assert read(metrics)["ratchet_worker_restarts_total", ()] == 1
    assert len(made) == 1
    soon = Later(make, after=0.0)
    soon.start()
    wait_until(lambda: len(made) == 2)
    assert soon.made() is made[1]
    soon.stop()
    never = Later(make, after=60.0)
    never.start()
    never.stop()
    assert len(made) == 2


def test_how_models_and_log_stand():
    metrics = Metrics()
    ill = Trouble(3, 1, "it does not load")
    residence = SimpleNamespace(now=None, ledger_up=False, troubles=(ill,))
    metrics.observe(residence, STATS)
    residence.now = SimpleNamespace(traffic=SimpleNamespace(seq=9), residents={1: 0, 2: 0})
    metrics.observe(residence, STATS)
    found = read(metrics)
    assert found["ratchet_deployment_seq", ()] == 9
    assert found["ratchet_models_loaded", ()] == 2
    assert found["ratchet_ledger_up", ()] == 0
    assert found["ratchet_swap_failures_total", ()] == 1  # the same trouble is one
    assert found["ratchet_log_refused_total", ()] == 2
    assert found["ratchet_log_syncs_total", ()] == 4
    assert found["ratchet_log_waiting_bytes", ()] == 10


WORKER = """
import json, sys
from ratchet.serving.metrics import Metrics
metrics = Metrics()
metrics.request("/v1/predict", 200, "champion", "3", 0.002)
metrics.answered("champion", "3", 5)
print(json.dumps(metrics.render()[0].decode()))
"""


def test_several_processes_share_their_numbers(tmp_path):
    for workers in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", WORKER],
            env={FOLDER: str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        text = json.loads(done.stdout)
        assert f'ratchet_predictions_total{{arm="champion",version="3"}} {5.0 * workers}' in text
        count = 'ratchet_request_seconds_count{route="/v1/predict",version="3"}'
        assert f"{count} {1.0 * workers}" in text
