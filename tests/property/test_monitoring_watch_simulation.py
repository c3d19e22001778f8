"""What looks at quiet days raise: the promise of the threshold, through the code of the loop.

Weeks in which nothing changes are looked at day by day with ``observe``, as the loop does: the
ledger tells what serves, the bundle holds the profile, the lake the windows, counted as they are
when predictions come. The first days are judged by the training rows' past, the others by the
quiet windows before them. On the last day a column moves, which a look must see.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import comb
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from ratchet.data.lake import Lake
from ratchet.data.predictions.tables import DAY
from ratchet.ids import digest_of_files
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import open_ledger
from ratchet.monitoring.monitor import observe
from ratchet.monitoring.past import past_distances
from ratchet.monitoring.profile import FILE, Profile, build_profile
from ratchet.monitoring.settings import MonitoringSettings
from ratchet.monitoring.windows import COLUMNS, TABLE
from ratchet.packaging.bundle import FORMAT, MANIFEST

START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = [f"c{place}" for place in range(8)]
ROWS, LEARNED, DAYS = 600, 32, 22
SHIFT = {"independent": 0.5, "days": 5.0}
ALPHA = 0.05


def day_of_rows(rng: np.random.Generator, kind: str) -> pl.DataFrame:
    """A day's rows: independent ones; or such that each day is one of its own."""
    values = rng.normal(size=(ROWS, len(NAMES)))
    if kind == "days":
        values += rng.normal(0, 0.3, len(NAMES))
    return pl.DataFrame(values, schema=NAMES, orient="row")


def write_bundle(folder: Path, profile: Profile) -> str:
    raw = profile.to_bytes()
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(raw)
    files = {FILE: {"sha256": sha256(raw).hexdigest(), "size": len(raw)}}
    digest = digest_of_files({FILE: files[FILE]["sha256"]})
    body = {"format": FORMAT, "digest": digest, "files": files}
    (folder / MANIFEST).write_text(json.dumps(body), encoding="utf-8")
    return digest


def write_windows(lake: Lake, profile: Profile, days: list[pl.DataFrame]) -> None:
    """As ``fold_new`` leaves them: the rows of an hour, in the profile's bins."""
    rows = []
    for place, frame in enumerate(days):
        window = profile.window()
        window.fold(frame)
        at = START + timedelta(days=place + 1, hours=12)
        rows.append(
            {
                "at": at,
                "version": 1,
                "arm": "champion",
                "rows": frame.height,
                "last": at + timedelta(minutes=59),
                "bins": profile.digest,
                "payload": window.to_bytes(),
            }
        )
    table = pl.DataFrame(rows, schema=dict(COLUMNS)).with_columns(pl.col("at").dt.date().alias(DAY))
    write_deltalake(lake.place(TABLE), table, partition_by=[DAY])


def replay(folder: Path, seed: int, kind: str) -> tuple[Counter[str], Counter[str], bool]:
    """Quiet looks and those of them that saw drift, by what they were judged by; the moved day."""
    rng = np.random.default_rng([seed, len(kind)])
    learned = pl.concat([day_of_rows(rng, kind) for _ in range(LEARNED)])
    profile = build_profile(learned, dict.fromkeys(NAMES, "number"))
    past = past_distances(profile, learned)
    profile = build_profile(learned, dict.fromkeys(NAMES, "number"), past=past)
    days = [day_of_rows(rng, kind) for _ in range(DAYS)]
    days.append(day_of_rows(rng, kind).with_columns(pl.col("c0") + SHIFT[kind]))
    lake = Lake(str(folder / "lake"))
    write_windows(lake, profile, days)
    looks: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    with open_ledger(f"sqlite:///{folder / 'ledger.db'}", project="p", now=lambda: START) as ledger:
        ledger.start_run("r1", trigger="first")
        ledger.record_gates("r1", [GateRecord("minimum", True, 0.8, 0.7)])
        ledger.add_version("r1", write_bundle(folder / "bundle", profile), "bundle")
        ledger.deploy(1, expected_previous=None, by="run", reason="first", run_id="r1")
        settings = MonitoringSettings.model_validate({"drift": {"alpha": ALPHA}})
        for day in range(1, DAYS + 2):
            moment = START + timedelta(days=day, hours=23)
            found = observe(ledger, lake, settings, bundles=folder, as_of=moment)
            (drift,) = found.drift
            assert drift.report is not None, drift.reason
            assert drift.rows == ROWS
            if day <= DAYS:
                # With ten full days before the one before it, a look goes by them.
                source = "live" if day > 11 else "training"
                looks[source] += 1
                seen[source] += drift.report.drifted
                seen[f"{source} alarm"] += drift.alarm
    return looks, seen, drift.report["c0"].drifted


def most_by_chance(looks: int, rate: float) -> int:
    """What so many looks exceed with one chance in a thousand (binomial)."""
    total, count = 0.0, -1
    while total < 0.999:
        count += 1
        total += comb(looks, count) * rate**count * (1 - rate) ** (looks - count)
    return count


@pytest.mark.parametrize("kind", ["independent", "days"])
@pytest.mark.parametrize("worlds", [2, pytest.param(12, marks=pytest.mark.exhaustive)])
def test_looks_at_quiet_days_stay_within_the_budget(kind: str, worlds: int, tmp_path: Path) -> None:
    looks: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for seed in range(worlds):
        quiet, drifted, moved = replay(tmp_path / str(seed), seed, kind)
        looks += quiet
        seen += drifted
        assert moved, "the same looks are not blind"
    for source, count in looks.items():
        assert seen[source] <= most_by_chance(count, ALPHA), (source, seen, looks)
        # Two windows in a row, or twice the limit: far less often than a single window.
        assert seen[f"{source} alarm"] <= most_by_chance(count, ALPHA / 5), (source, seen, looks)


def test_the_bound_is_that_of_the_binomial() -> None:
    scipy = pytest.importorskip("scipy.stats")
    for looks, rate in ((33, 0.05), (33, 0.01), (400, 0.05)):
        assert most_by_chance(looks, rate) == scipy.binom.ppf(0.999, looks, rate)
