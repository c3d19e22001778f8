"""The order of retraining policies on five kinds of streams (shared statistics, section 7).

A stream is 100 batches of 1,000 rows, a day each. A model is fitted to the last five batches, and
its share of wrong decisions on every batch is worked out beforehand for every day of training; so
a policy is played through `decide` itself in a moment. Labels come two days late. The cost of a
policy is its errors and its trainings over those of the best schedule in hindsight, in errors of
a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ratchet.triggers.decide import decide
from ratchet.triggers.facts import (
    Arrivals,
    Champion,
    DriftFacts,
    Facts,
    Measured,
    PastRun,
    PerformanceFacts,
)
from ratchet.triggers.settings import TriggersSettings
from ratchet.triggers.verdicts import Fire

BATCHES, ROWS, WINDOW, COLUMNS, LAG = 100, 1000, 5, 6, 2
COST = 0.2
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("stationary", "covariate", "gradual", "abrupt", "seasonal")
OFF = {
    "performance": None, "estimated": None, "drift": None, "new_rows": None, "max_age": None,
    "follow_up": None, "cooldown": None,
}  # fmt: skip
MONEY = {"retrain": COST * ROWS, "value": 1.0}
POLICIES = {
    "never": OFF,
    "every 5": OFF | {"schedule": "0 0 */5 * *"},
    "every 10": OFF | {"schedule": "0 0 */10 * *"},
    "psi": OFF | {"drift": {"share": 0.1, "windows": 1, "action": "retrain"}},
    "test": OFF | {"performance": {"regret": False}},
    "regret": OFF | {"performance": {"statistical": False}, "cost": MONEY},
    "default": {"new_rows": None, "max_age": None, "cost": MONEY},
}  # fmt: skip


@dataclass(frozen=True)
class Stream:
    wrong: np.ndarray  # (day trained, day served): share of wrong decisions
    psi: np.ndarray  # (day trained, day seen): largest PSI of a column


def make_stream(kind: str, seed: int) -> Stream:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    x = rng.normal(size=(BATCHES, ROWS, COLUMNS)).astype(np.float32)
    weights = rng.normal(size=COLUMNS)
    weights *= 2 / np.linalg.norm(weights)
    other = rng.normal(size=COLUMNS)
    other -= weights * (other @ weights) / (weights @ weights)
    other *= 2 / np.linalg.norm(other)
    day = np.arange(BATCHES)
    turn = np.zeros(BATCHES)
    if kind == "gradual":
        turn = day / BATCHES * (np.pi / 2)
    elif kind == "abrupt":
        turn = np.where(day < 40, 0.0, np.where(day < 75, np.pi / 4, np.pi / 2))
    elif kind == "seasonal":
        turn = 0.25 * np.sin(2 * np.pi * day / 6)
    if kind == "covariate":
        x[:, :, 0] += (4 * day / BATCHES - 2)[:, None]
    score = np.einsum("brc,bc->br", x, np.outer(np.cos(turn), weights))
    score += np.einsum("brc,bc->br", x, np.outer(np.sin(turn), other))
    if kind == "covariate":
        score += 1.5 * np.abs(x[:, :, 0]) - 2  # bent: a line fits only where it was
    y = rng.uniform(size=(BATCHES, ROWS)) < 1 / (1 + np.exp(-1.5 * score))
    return Stream(_errors(x, y), _psi(x))


def _errors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ones = np.concatenate([x, np.ones((*x.shape[:2], 1), x.dtype)], axis=2)
    sides = np.where(y, 1.0, -1.0).astype(np.float32)
    grams = np.einsum("bri,brj->bij", ones, ones)
    crosses = np.einsum("bri,br->bi", ones, sides)
    fits = []
    for t in range(BATCHES):
        within = slice(max(0, t - WINDOW + 1), t + 1)
        fits.append(np.linalg.solve(grams[within].sum(0), crosses[within].sum(0)))
    scores = ones.reshape(-1, COLUMNS + 1) @ np.array(fits, np.float32).T
    return ((scores > 0) != y.reshape(-1, 1)).reshape(BATCHES, ROWS, -1).mean(axis=1).T


def _psi(x: np.ndarray) -> np.ndarray:
    edges = np.quantile(x[:WINDOW].reshape(-1, COLUMNS), np.linspace(0.1, 0.9, 9), axis=0)
    shares = np.empty((BATCHES, COLUMNS, 10))
    for b in range(BATCHES):
        for c in range(COLUMNS):
            counts = np.bincount(np.searchsorted(edges[:, c], x[b, :, c]), minlength=10)
            shares[b, c] = (counts + 0.5) / (ROWS + 5)
    logs = np.log(shares)
    change, ratio = shares[None] - shares[:, None], logs[None] - logs[:, None]
    return (change * ratio).sum(-1).max(-1)


def oracle(stream: Stream) -> float:
    """Least cost of any schedule: by dynamic programming over when the last training was."""
    best = np.full(BATCHES, np.inf)
    best[WINDOW - 1] = 0.0
    for day in range(WINDOW, BATCHES):
        best[:day] += stream.wrong[:day, day]
        best[day] = best[:day].min() + COST
    return float(best.min())


def play(stream: Stream, policy: TriggersSettings, lag: int = LAG) -> tuple[float, int]:
    """Errors and costs of a policy, and how often it trained."""
    model, version, cost, runs = WINDOW - 1, 1, 0.0, []
    promoted = [(1, WINDOW - 1)]
    first = PastRun("r0", "first", "first:", "promoted", _at(model), _at(model), rows=WINDOW * ROWS)
    trained, answered, schedules = first, {}, {"schedule": _at(model)}
    for day in range(WINDOW, BATCHES):
        cost += stream.wrong[model, day]
        facts = Facts(
            at=_at(day),
            champion=Champion(version, trained.finished),
            trained=trained,
            last_run=trained,
            arrivals=Arrivals((day + 1) * ROWS, (day - model) * ROWS, True, str(day)),
            drift=_drift(stream, model, day),
            performance=_performance(stream, promoted, day, day - lag),
            schedules=schedules,
            answered=answered,
            cooldown_until=trained.started + timedelta(days=2) if policy.cooldown else None,
        )
        decision = decide(policy, facts)
        schedules = dict(decision.schedules)
        if isinstance(decision.verdict, Fire):
            run = f"r{len(runs) + 1}"
            assert decision.verdict.key not in answered
            answered = answered | {decision.verdict.key: run}
            model, version, cost = day, version + 1, cost + COST
            trained = replace(
                first, run_id=run, trigger=decision.verdict.trigger, started=_at(day),
                finished=_at(day),
            )  # fmt: skip
            runs.append(day)
            promoted.append((version, day))
    return cost, len(runs)


def _at(day: int) -> datetime:
    return START + timedelta(days=day)


def _drift(stream: Stream, model: int, day: int) -> DriftFacts:
    far = bool(stream.psi[model, day] > 0.2)
    return DriftFacts(str(day), 1.0 if far else 0.0, None, ("x",) if far else (), far)


def _performance(
    stream: Stream, promoted: list[tuple[int, int]], day: int, known: int
) -> PerformanceFacts:
    version, model = promoted[-1]

    def cohort(model: int, served: int, version: int | None = None) -> Measured:
        right = 1 - float(stream.wrong[model, served])
        se = float(np.sqrt(right * (1 - right) / ROWS))
        return Measured(right, se, ROWS, _at(served), version)

    # A model's own baseline is what it did on the two days after it was promoted.
    baselines = [
        Measured(
            (cohort(m, m + 1).value + cohort(m, m + 2).value) / 2,
            cohort(m, m + 1).se / np.sqrt(2), 2 * ROWS, _at(m), v,
        )
        for v, m in promoted
        if m + 2 <= known
    ]  # fmt: skip
    cohorts = tuple(cohort(model, served) for served in range(model + 1, known + 1))
    return PerformanceFacts(
        version, "accuracy", {"accuracy": cohorts}, {"accuracy": tuple(baselines)}
    )


@pytest.fixture(scope="module")
def played() -> dict[str, dict[str, tuple[float, float]]]:
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in POLICIES}
    for kind in KINDS:
        streams = [make_stream(kind, seed) for seed in range(2)]
        least = [oracle(stream) for stream in streams]
        for name, settings in POLICIES.items():
            policy = TriggersSettings.model_validate(settings)
            results = [play(stream, policy) for stream in streams]
            excess = np.mean([cost - best for (cost, _), best in zip(results, least, strict=True)])
            found[name][kind] = (float(excess), float(np.mean([runs for _, runs in results])))
    return found


def total(played, name: str) -> float:
    return sum(excess for excess, _ in played[name].values())


def test_what_is_worse_without_training_and_what_is_not(played) -> None:
    never = {kind: excess for kind, (excess, _) in played["never"].items()}
    assert never["stationary"] < 0.1
    assert never["seasonal"] < 0.5
    assert min(never["covariate"], never["gradual"], never["abrupt"]) > 2


def test_the_order_of_the_policies(played) -> None:
    sums = {name: total(played, name) for name in POLICIES}
    for name in ("test", "regret", "default"):
        assert sums[name] < 0.6 * sums["every 10"], sums
    assert sums["every 10"] < sums["every 5"] < sums["never"], sums
    # Inputs that moved: much work where it helps little, none where the concept changed.
    assert sums["psi"] > 0.8 * sums["never"], sums
    assert played["psi"]["gradual"] == played["never"]["gradual"]
    assert played["psi"]["abrupt"] == played["never"]["abrupt"]


def test_a_quiet_stream_is_left_alone(played) -> None:
    assert played["test"]["stationary"][1] == 0
    assert played["default"]["stationary"][1] <= 3  # in 95 days, against 21 every five days
    assert total(played, "default") < 0.3 * total(played, "every 5")


def test_after_an_alarm_at_once_the_follow_up_trains_on_the_new_concept() -> None:
    """Without label delay the first training still holds mostly rows of the old concept."""
    quality = OFF | {"performance": {"regret": False}, "cooldown": "2d"}
    alone, followed = (
        TriggersSettings.model_validate(quality | {"follow_up": follow})
        for follow in (None, {"rows": "100%", "after": None})
    )
    streams = [make_stream("abrupt", seed) for seed in range(3)]
    without = sum(play(stream, alone, lag=0)[0] for stream in streams)
    with_it = sum(play(stream, followed, lag=0)[0] for stream in streams)
    assert with_it < without
