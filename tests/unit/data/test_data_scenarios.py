import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.scenarios import (
    BILL,
    BILL_NOISE,
    TARGET,
    TIME,
    Dirt,
    Scenario,
    bayes_auc,
    make_month,
    make_table,
    write_csv,
)
from ratchet.data.schema import TableSchema
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.csv import CsvSource
from ratchet.errors import DataError


def test_the_best_possible_auc_is_as_promised() -> None:
    for month in range(3):
        made = make_month(Scenario(rows=20_000), month)
        assert bayes_auc(made.probability) == pytest.approx(0.85, abs=0.01)
        rate = (made.frame[TARGET] == "Yes").mean()
        assert 0.2 < rate < 0.35  # type: ignore[operator]
        assert rate == pytest.approx(made.probability.mean(), abs=0.01)


def test_bayes_auc_is_the_auc_of_the_truth() -> None:
    """Against counting pairs: labels drawn again and again from the probabilities."""
    rng = np.random.default_rng(3)
    p = rng.choice([0.1, 0.3, 0.3, 0.8], size=300)
    aucs = []
    for _ in range(300):
        y = rng.random(300) < p
        above = p[y][:, None] - p[~y][None, :]
        aucs.append(((above > 0) + 0.5 * (above == 0)).mean())
    assert bayes_auc(p) == pytest.approx(np.mean(aucs), abs=3 * np.std(aucs) / np.sqrt(300) + 0.002)


def test_the_same_scenario_gives_the_same_data() -> None:
    assert make_table(Scenario(), 2).equals(make_table(Scenario(), 2))
    assert not make_table(Scenario(seed=8), 2).equals(make_table(Scenario(), 2))
    schema = TableSchema.from_polars(make_table(Scenario(), 1).schema)
    assert len(schema) == 15
    assert {c.kind for c in schema.columns} >= {"string", "integer", "number", "boolean", "date"}


def test_a_longer_scenario_only_grows_at_its_end(tmp_path: Path) -> None:
    scenario = Scenario(rows=300, dirt=Dirt(0.05, 0.02, 0.02), drift_month=1)
    short, long = make_table(scenario, 2), make_table(scenario, 3)
    assert long.head(short.height).equals(short)
    write_csv(scenario, 2, tmp_path / "2.csv")
    write_csv(scenario, 3, tmp_path / "3.csv")
    assert (tmp_path / "3.csv").read_bytes().startswith((tmp_path / "2.csv").read_bytes())
    assert long["customer_id"].n_unique() == 900
    assert long[TIME].is_sorted()
    assert str(long[TIME].max()).startswith("2025-03-")


def test_concept_drift_turns_the_old_truth_useless() -> None:
    before, after = (make_month(Scenario(rows=20_000, drift_month=drift), 3) for drift in (None, 3))
    assert before.frame.drop(TARGET).equals(after.frame.drop(TARGET))
    y = (after.frame[TARGET] == "Yes").to_numpy()
    ranks = before.probability.argsort().argsort() + 1
    old = (ranks[y].sum() - y.sum() * (y.sum() + 1) / 2) / (y.sum() * (~y).sum())
    assert old < 0.6
    assert bayes_auc(after.probability) > 0.8
    half = make_month(Scenario(rows=20_000, drift_month=3, drift=0.5), 3)
    assert not np.allclose(half.probability, after.probability)


def test_covariate_drift_moves_the_columns_only() -> None:
    still, moved = (make_month(Scenario(covariate_drift=share), 5) for share in (0.0, 0.05))
    means = [month.frame["monthly_charges"].mean() for month in (still, moved)]
    assert means[1] > 1.15 * means[0]  # type: ignore[operator]


def test_labels_come_late() -> None:
    scenario = Scenario(rows=500, label_delay=10)
    known = make_month(scenario, 0).known_on
    day = make_month(scenario, 0).frame[TIME]
    delays = (known - day).dt.total_days()
    assert delays.min() == 30
    assert delays.max() == 40
    seen = make_table(scenario, 2, as_of=dt.date(2025, 2, 20))
    assert seen.filter(pl.col(TIME) < dt.date(2025, 1, 10))[TARGET].null_count() == 0
    assert seen.filter(pl.col(TIME) > dt.date(2025, 1, 21))[TARGET].null_count() > 500
    assert make_table(scenario, 2)[TARGET].null_count() == 0


def test_dirt_is_in_the_shares_asked(tmp_path: Path) -> None:
    scenario = Scenario(rows=5000, dirt=Dirt(missing=0.1, mistyped=0.02, repeated=0.05))
    month = make_month(scenario, 0)
    assert month.frame["age"].null_count() == pytest.approx(525, abs=80)
    repeats = month.frame.height - month.frame.unique().height
    assert repeats == pytest.approx(250, abs=60)
    assert len(month.probability) == month.known_on.len() == month.frame.height
    path = tmp_path / "x.csv"
    write_csv(scenario, 1, path)
    kinds = TableSchema.from_polars(month.frame.schema)
    source = SourceSettings(type="csv", path=str(path))
    with pytest.raises(DataError, match=r'"total_charges".* do not fit .*"not available"'):
        list(CsvSource(source, tmp_path, {c.name: c.kind for c in kinds.columns}).batches())


def test_a_clean_scenario_survives_the_way_through_csv(tmp_path: Path) -> None:
    scenario = Scenario(rows=400, dirt=Dirt(missing=0.1))
    write_csv(scenario, 2, tmp_path / "x.csv")
    text = (tmp_path / "x.csv").read_text()
    assert ",?," in text
    assert ", ," in text
    source = CsvSource(SourceSettings(type="csv", path="x.csv"), tmp_path, None)
    assert pl.concat(list(source.batches())).equals(make_table(scenario, 2))


def test_a_poisoned_month_is_plainly_wrong() -> None:
    good, bad = (make_month(Scenario(poisoned=p), 1).frame for p in ((), (1,)))
    assert good["tenure"].min() >= 0  # type: ignore[operator]
    assert bad["tenure"].min() < -100  # type: ignore[operator]
    assert set(bad["contract"]) - set(good["contract"]) == {"#REF!"}
    assert bad["monthly_charges"].max() > 10 * good["monthly_charges"].max()  # type: ignore[operator]
    assert make_month(Scenario(poisoned=(1,)), 0).frame.equals(make_month(Scenario(), 0).frame)


def test_bills_vary_around_their_known_mean():
    scenario = Scenario(rows=4000, target=BILL)
    month = make_month(scenario, 0)
    error = month.frame[BILL].to_numpy() - month.probability
    assert TARGET not in month.frame.columns
    assert abs(error.mean()) < 0.3
    assert BILL_NOISE * 0.95 < error.std() < BILL_NOISE * 1.05
    assert month.probability.std() > 3 * BILL_NOISE


def test_bills_drift():
    calm = make_month(Scenario(rows=2000, target=BILL), 1).probability
    moved = make_month(Scenario(rows=2000, target=BILL, drift_month=1), 1).probability
    assert np.abs(moved - calm).mean() > 3


def test_a_covariate_drift_may_come_to_its_end() -> None:
    scenario = Scenario(rows=3000, drift_month=2, covariate_drift=0.2)
    settled = replace(scenario, covariate_months=1)
    for month in (0, 1, 2):
        assert make_month(settled, month).frame.equals(make_month(scenario, month).frame)
    means = [make_month(settled, month).frame["monthly_charges"].mean() for month in (1, 2, 5)]
    assert means[1] == pytest.approx(means[2], rel=0.05)
    assert means[1] > 1.2 * means[0]  # type: ignore[operator]
    grown = make_month(scenario, 5).frame["monthly_charges"].mean()
    assert grown > 1.3 * means[2]  # type: ignore[operator]


def test_a_campaign_brings_new_customers_with_long_contracts_and_changes_nothing_before() -> None:
    still = Scenario(rows=3000, drift_month=1, drift=0.0)
    moved = replace(still, campaign=0.4)
    assert make_month(moved, 0).frame.equals(make_month(still, 0).frame)
    before, after = (make_month(one, 1).frame for one in (still, moved))
    long = [(frame["contract"] == "Two year").mean() for frame in (before, after)]
    assert long == pytest.approx([0.24, 0.24 + 0.4 * 0.76], abs=0.04)
    assert after["tenure"].mean() < 0.8 * before["tenure"].mean()  # type: ignore[operator]
    assert after["support_calls"].equals(before["support_calls"])


def test_a_fee_is_on_every_bill_from_its_month_on() -> None:
    free = Scenario(rows=500, drift_month=1, drift=0.0, target="next_bill")
    fee = replace(free, fee=30.0)
    assert make_month(fee, 0).frame.equals(make_month(free, 0).frame)
    more = make_month(fee, 1).probability - make_month(free, 1).probability
    assert more == pytest.approx(np.full(500, 30.0))


def test_what_becomes_of_a_customer_shows_after_the_horizon() -> None:
    made = make_month(Scenario(rows=500, horizon=7, label_delay=5), 0)
    waits = (made.known_on - made.frame[TIME]).dt.total_days()
    assert (waits.min(), waits.max()) == (7, 12)
