"""Budget: measuring time and size, and holding them against the limits."""

import pytest

from ratchet.errors import StorageError
from ratchet.gates.budget import (
    Cost,
    judge_budget,
    measure_latency,
    measure_size,
    show_bytes,
    show_seconds,
)
from ratchet.gates.settings import BudgetSettings


class Machine:
    """A clock and a call that takes the seconds it is told, one after the other."""

    def __init__(self, seconds):
        self.seconds = iter(seconds)
        self.now = 100.0

    def call(self):
        self.now += next(self.seconds)

    def timer(self):
        return self.now


def test_latency_is_the_95th_percentile():
    machine = Machine([9.0] * 2 + [0.001 * k for k in range(1, 21)])
    found = measure_latency(machine.call, rounds=1, calls=20, warm_up=2, timer=machine.timer)
    assert found == pytest.approx(0.019)


def test_a_disturbed_round_does_not_count():
    machine = Machine([0.5] * 20 + [0.002] * 20 + [0.3] * 20)
    found = measure_latency(machine.call, rounds=3, calls=20, warm_up=0, timer=machine.timer)
    assert found == pytest.approx(0.002)


def test_latency_of_a_real_call_is_small_and_positive():
    assert 0 <= measure_latency(lambda: None, rounds=2, calls=5) < 0.05


def test_size_is_all_files_together(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model.onnx").write_bytes(b"x" * 1000)
    (tmp_path / "recipe.json").write_bytes(b"y" * 24)
    assert measure_size(tmp_path) == 1024


def test_a_folder_that_is_not_there_takes_nothing_and_an_unreadable_one_is_told(
    tmp_path, monkeypatch
):
    from pathlib import Path

    (tmp_path / "model").write_bytes(b"x")

    def broken(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rglob", broken)
    with pytest.raises(StorageError, match="cannot be read"):
        measure_size(tmp_path)


def test_each_limit_is_judged_and_told_in_its_unit():
    settings = BudgetSettings(latency_p95="5ms", size="50MB", memory="500MB")
    cost = Cost(latency_p95=0.0021, size=60_000_000, memory=120_000_000)
    latency, size, memory = judge_budget(cost, settings)
    assert (latency.passed, size.passed, memory.passed) == (True, False, True)
    assert latency.reason == "one row takes 2.1 ms, at most 5 ms"
    assert size.reason == "the bundle takes 60 MB, more than 50 MB"
    assert (latency.value, latency.threshold) == (0.0021, 0.005)


def test_on_the_limit_passes():
    (result,) = judge_budget(
        Cost(size=1000), BudgetSettings(latency_p95=None, size="1KB", memory=None)
    )
    assert result.passed


def test_what_was_not_measured_fails_and_what_is_not_limited_is_left_out():
    settings = BudgetSettings(latency_p95=None)
    results = judge_budget(Cost(size=10, problem="the bundle does not load"), settings)
    assert [r.name for r in results] == ["size", "memory"]
    assert [r.passed for r in results] == [True, False]
    assert results[1].reason == "not measured: the bundle does not load"


def test_places_are_those_of_the_settings():
    results = judge_budget(Cost(), BudgetSettings(), where=lambda *path: ".".join(path))
    assert [r.where for r in results] == [
        "gates.budget.latency_p95",
        "gates.budget.size",
        "gates.budget.memory",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12 B"), (1500, "1.5 kB"), (5e7, "50 MB"), (2.5e9, "2.5 GB")]
)
def test_sizes_read_well(value, text):
    assert show_bytes(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.00012, "0.12 ms"), (0.25, "250 ms"), (2, "2 s")])
def test_times_read_well(value, text):
    assert show_seconds(value) == text
