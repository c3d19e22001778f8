"""Generated churn data whose truth is known, month after month.

A telephone company looks at its customers: each row is one customer on one day, and whether
he left within the month after. The probability of leaving is a logistic function of the
columns, so the best any model can do is known (``bayes_auc``: about 0.85 before drift).
Months are drawn independently of each other: the first N months of a longer scenario are
those of a shorter one, so that a file grows at its end only.

With ``target="next_bill"`` what is asked for is a number, the customer's next bill: its mean is a
known function of the columns, and ``BILL_NOISE`` the error that no model can beat.

Options make it hard in the ways that production is hard: the concept drifts, the customers
change, labels come late, values are missing or mistyped, rows repeat, a month is poisoned.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

TARGET, ID, TIME = "churned", "customer_id", "snapshot_date"
BILL = "next_bill"
BILL_NOISE = 6.0
"""Standard deviation of a bill around its mean."""
CONTRACTS = ("Month-to-month", "One year", "Two year")
SERVICES = ("DSL", "Fiber optic", "None")
PAYMENTS = ("Bank transfer", "Credit card", "Electronic check", "Mailed check")
REGIONS = ("North", "East", "South", "West")


@dataclass(frozen=True, slots=True)
class Dirt:
    """How dirty the data is; every share is of the rows of a month.

    ``missing``: total_charges, age and payment_method blank or ``?``. ``mistyped``: text
    where total_charges has a number (in CSV only). ``repeated``: rows that come twice.
    """

    missing: float = 0.0
    mistyped: float = 0.0
    repeated: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is generated; equal scenarios give equal data.

    Args:
        seed: another seed, other customers.
        rows: customers per month.
        first: the first month; its day is not looked at.
        drift_month: 0-based month from which the concept is another one; None for never.
        drift: how far it moves, from 0 (not at all) to 1 (support calls stop mattering,
            and fiber customers with long contracts become those who leave).
        covariate_drift: from ``drift_month`` on (or from the start), charges grow by this
            share per month and customers move to fiber.
        covariate_months: after so many months of that they stay as they are; None for never.
        campaign: from ``drift_month`` on this share of the customers came by a campaign: they
            are new, and hold contracts of two years.
        fee: what every bill holds more from ``drift_month`` on.
        horizon: days until it shows what became of a customer.
        label_delay: days until the last label of a day is known, after those.
        dirt: how dirty.
        poisoned: 0-based months whose values are garbage.
        target: what is asked for: whether the customer leaves, or what the next bill is.
    """

    seed: int = 7
    rows: int = 2000
    first: date = date(2025, 1, 1)
    drift_month: int | None = None
    drift: float = 1.0
    covariate_drift: float = 0.0
    covariate_months: int | None = None
    campaign: float = 0.0
    fee: float = 0.0
    horizon: int = 30
    label_delay: int = 0
    dirt: Dirt = field(default_factory=Dirt)
    poisoned: tuple[int, ...] = ()
    target: Literal["churned", "next_bill"] = "churned"


@dataclass(frozen=True, slots=True)
class Month:
    """One month: the ``frame`` in canonical types, and what nobody knows in production.

    ``probability`` is the true chance of "Yes" per row, or the true mean of a number, float64
    (n_rows,); ``known_on`` the day each label is known. Rows that repeat repeat these too.
    """

    frame: pl.DataFrame
    probability: np.ndarray
    known_on: pl.Series


def make_month(scenario: Scenario, month: int) -> Month:
    """The 0-based ``month`` of a scenario, in order of its days."""
    rng = np.random.default_rng([scenario.seed, month])
    frame = _customers(scenario, month, rng)
    drift = _drift_of(scenario, month)
    if scenario.target == BILL:
        probability = _mean_bill(frame, drift) + (scenario.fee if _begun(scenario, month) else 0)
        bills = np.maximum(probability + rng.normal(0, BILL_NOISE, frame.height), 0)
        frame = frame.with_columns(pl.Series(BILL, np.round(bills, 2)))
    else:
        probability = _probability(frame, drift)
        labels = rng.random(frame.height) < probability
        frame = frame.with_columns(pl.Series(TARGET, np.where(labels, "Yes", "No")))
    delays = scenario.horizon + rng.integers(0, scenario.label_delay + 1, frame.height)
    known = pl.Series("known_on", frame.get_column(TIME).to_numpy() + delays)
    if month in scenario.poisoned:
        frame = _poison(frame, rng)
    frame = _hide(frame, scenario.dirt, rng)
    order = _with_repeats(frame.height, scenario.dirt.repeated, rng)
    return Month(frame[order], probability[order], known[order])


def make_table(scenario: Scenario, months: int, *, as_of: date | None = None) -> pl.DataFrame:
    """The first ``months`` months, one below the other.

    With ``as_of`` a label that is not known by that day is null.
    """
    made = [make_month(scenario, month) for month in range(months)]
    frame = pl.concat([month.frame for month in made])
    if as_of is None:
        return frame
    known = pl.concat([month.known_on for month in made])
    labels = frame.get_column(scenario.target)
    return frame.with_columns(labels.set(known > as_of, None))


def write_csv(scenario: Scenario, months: int, path: Path) -> None:
    """``make_table`` as a CSV in which missing values are ``?`` or a blank, in turn."""
    texts = []
    for month in range(months):
        frame = make_month(scenario, month).frame
        rng = np.random.default_rng([scenario.seed, month, 1])
        texts.append(_mistype(_as_text(frame, rng), scenario.dirt.mistyped, rng))
    pl.concat(texts).write_csv(path)


def bayes_auc(probability: np.ndarray) -> float:
    """The expected ROC-AUC of knowing the true probabilities: no model can be better.

    Over all pairs of rows, the chance that the row that turns out positive has the larger
    probability; ties count half.
    """
    values, position = np.unique(probability, return_inverse=True)
    positive = np.bincount(position, weights=probability, minlength=len(values))
    negative = np.bincount(position, weights=1 - probability, minlength=len(values))
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def _customers(scenario: Scenario, month: int, rng: np.random.Generator) -> pl.DataFrame:
    n = scenario.rows
    year, index = divmod(scenario.first.year * 12 + scenario.first.month - 1 + month, 12)
    days = np.sort(rng.integers(0, calendar.monthrange(year, index + 1)[1], n))
    months = max(month - (scenario.drift_month or 0) + 1, 0)
    if scenario.covariate_months is not None:
        months = min(months, scenario.covariate_months)
    moved = scenario.covariate_drift * months
    fiber = min(0.44 + moved, 0.9)
    came = _came(scenario, month)
    tenure = np.minimum(rng.gamma(1.3, 24.0, n), 72).astype(np.int64)
    tenure = np.where(came, tenure // 6, tenure)
    service = rng.choice(3, n, p=((1 - fiber) * 0.6, fiber, (1 - fiber) * 0.4))
    base = np.array([55.0, 90.0, 22.0])[service] * (1 + moved)
    charges = np.round(np.maximum(base + rng.normal(0, 12, n), 15), 2)
    return pl.DataFrame(
        {
            ID: [f"C{month * n + row:08d}" for row in range(n)],
            TIME: np.datetime64(date(year, index + 1, 1)) + days,
            "tenure": tenure,
            "age": np.clip(rng.normal(45, 15, n), 18, 90).astype(np.int64),
            "region": np.array(REGIONS)[rng.integers(0, 4, n)],
            "contract": np.array(CONTRACTS)[
                np.where(came, 2, rng.choice(3, n, p=(0.55, 0.21, 0.24)))
            ],
            "internet_service": np.array(SERVICES)[service],
            "payment_method": np.array(PAYMENTS)[rng.choice(4, n, p=(0.22, 0.22, 0.34, 0.22))],
            "paperless": rng.random(n) < 0.6,
            "monthly_charges": charges,
            "total_charges": np.round(charges * tenure * rng.uniform(0.95, 1.05, n), 2),
            "support_calls": rng.poisson(1.4, n),
            "late_payments": rng.poisson(0.5, n),
            "usage_gb": np.round(rng.gamma(2.0, 90.0, n) * (service != 2), 1),
        }
    )


def _came(scenario: Scenario, month: int) -> np.ndarray:
    """Whether each customer of a month came by the campaign (n_rows,)."""
    # Numbers of its own: without a campaign everything else stays as it is.
    rng = np.random.default_rng([scenario.seed, month, 2])
    came: np.ndarray = rng.random(scenario.rows) < (
        scenario.campaign if _begun(scenario, month) else 0.0
    )
    return came


@dataclass(frozen=True, slots=True)
class _Truth:
    """The logistic model behind the labels: weights in log odds."""

    base: float
    contract: tuple[float, float, float]
    service: tuple[float, float, float]
    tenure_year: float
    charge_per_10: float
    call: float
    late: float
    check: float
    usage_per_100: float
    long_fiber: float

    def log_odds(self, frame: pl.DataFrame) -> np.ndarray:
        def column(name: str) -> np.ndarray:
            return frame.get_column(name).cast(pl.Float64).to_numpy()

        def chosen(name: str, values: tuple[str, ...], weights: tuple[float, ...]) -> np.ndarray:
            return frame.get_column(name).replace_strict(values, weights).to_numpy()

        fiber = (frame.get_column("internet_service") == SERVICES[1]).to_numpy()
        long = (frame.get_column("contract") != CONTRACTS[0]).to_numpy()
        check = (frame.get_column("payment_method") == PAYMENTS[2]).to_numpy()
        odds: np.ndarray = (
            self.base
            + chosen("contract", CONTRACTS, self.contract)
            + chosen("internet_service", SERVICES, self.service)
            + self.tenure_year * np.log1p(column("tenure") / 12)
            + self.charge_per_10 * (column("monthly_charges") - 65) / 10
            + self.call * column("support_calls")
            + self.late * column("late_payments")
            + self.check * check
            + self.usage_per_100 * (column("usage_gb") - 140) / 100
            + self.long_fiber * (fiber & long)
        )
        return odds


_BEFORE = _Truth(
    base=-1.95,
    contract=(1.2, -0.9, -2.0),
    service=(0.0, 0.6, -0.6),
    tenure_year=-1.05,
    charge_per_10=0.12,
    call=0.53,
    late=0.45,
    check=0.65,
    usage_per_100=-0.35,
    long_fiber=0.0,
)
_AFTER = _Truth(
    base=-1.85,
    contract=(-0.2, 0.2, 0.4),
    service=(0.0, 0.5, -0.4),
    tenure_year=0.25,
    charge_per_10=0.3,
    call=-0.1,
    late=0.35,
    check=-0.3,
    usage_per_100=0.35,
    long_fiber=1.2,
)


def _probability(frame: pl.DataFrame, drift: float) -> np.ndarray:
    odds = (1 - drift) * _BEFORE.log_odds(frame) + drift * _AFTER.log_odds(frame)
    probability: np.ndarray = 1 / (1 + np.exp(-odds))
    return probability


def _mean_bill(frame: pl.DataFrame, drift: float) -> np.ndarray:
    """What the next bill is on average; after the drift usage is charged, and loyalty is not."""

    def column(name: str) -> np.ndarray:
        return frame.get_column(name).cast(pl.Float64).to_numpy()

    fiber = (frame.get_column("internet_service") == SERVICES[1]).to_numpy()
    long = (frame.get_column("contract") != CONTRACTS[0]).to_numpy()
    over = np.maximum(column("usage_gb") - 250, 0) / 10
    mean: np.ndarray = (
        column("monthly_charges") * (1 - (0.12 - 0.12 * drift) * long)
        + 9.0 * column("late_payments")
        + (0.5 + 1.0 * drift) * over * (1 + fiber)
        + 2.5 * column("support_calls") * (1 - drift)
        - 3.0 * np.log1p(column("tenure") / 12)
    )
    return mean


def _drift_of(scenario: Scenario, month: int) -> float:
    return scenario.drift if _begun(scenario, month) else 0.0


def _begun(scenario: Scenario, month: int) -> bool:
    """Whether the world is another one in a month."""
    return scenario.drift_month is not None and month >= scenario.drift_month


def _poison(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """What a broken export does: columns swapped, impossible values, strange categories."""
    strange = pl.Series(rng.random(frame.height) < 0.4)
    return frame.with_columns(
        tenure=-pl.col("tenure") * 30,
        monthly_charges=pl.col("total_charges"),
        total_charges=pl.col("monthly_charges"),
        contract=pl.when(strange).then(pl.lit("#REF!")).otherwise(pl.col("contract")),
        region=pl.lit("0"),
    )


def _hide(frame: pl.DataFrame, dirt: Dirt, rng: np.random.Generator) -> pl.DataFrame:
    if not dirt.missing:
        return frame
    columns = ("total_charges", "age", "payment_method")
    return frame.with_columns(
        frame.get_column(name).set(pl.Series(rng.random(frame.height) < dirt.missing), None)
        for name in columns
    )


def _with_repeats(rows: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Row numbers in which some rows follow themselves at once."""
    again = rng.random(rows) < share
    return np.repeat(np.arange(rows), again + 1)


def _as_text(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Every value as text; missing ones as ``?`` or a blank."""
    marks = pl.Series(np.where(rng.random(frame.height) < 0.5, "?", " "))
    return frame.select(
        pl.coalesce(pl.col(name).cast(pl.String), pl.lit(marks)).alias(name)
        for name in frame.columns
    )


def _mistype(frame: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    wrong = pl.Series(rng.random(frame.height) < share)
    if not wrong.any():
        return frame
    totals = frame.get_column("total_charges")
    return frame.with_columns(totals.set(wrong, "not available"))
