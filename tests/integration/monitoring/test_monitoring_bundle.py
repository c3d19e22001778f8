"""The profile that the pipeline puts into a bundle: of what, the same each time, never altered."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ratchet
from forked_ratchet import leave_undrawn
from project_state import give_tracking
from ratchet.data.schema import Column
from ratchet.errors import DataError
from ratchet.features.derived import Derivation, DerivedFeature
from ratchet.monitoring.drift import score_window
from ratchet.monitoring.past import thresholds_at
from ratchet.monitoring.profile import LABEL, SCORE, Profile, answer_columns
from ratchet.packaging.bundle import MANIFEST, PROFILE, read_manifest
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.pipeline.steps.profiling import raw_importance
from ratchet.project import load_project
from ratchet_cli import customers, small_project


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, tracking):
    folder = small_project(tmp_path_factory.mktemp("profiled") / "small", rows=900)
    give_tracking(folder, tracking)
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch.setattr)
        ended = run(load_project(folder, variables={}), Request())
    assert ended.outcome == "promoted", ended.reason
    return Path(ended.model["bundle"])


@pytest.fixture(scope="module")
def profile(bundle):
    return Profile.from_bytes(ratchet.Model.load(bundle).profile())


def test_a_bundle_holds_the_columns_the_answers_and_what_matters(bundle, profile):
    assert PROFILE in read_manifest(bundle).files
    assert list(profile.columns) == ["tenure", "charges", "contract", "support", SCORE, LABEL]
    rows = profile.columns["tenure"].present
    assert profile.rows == rows
    # The scores are those of the other rows, which the model never saw.
    assert profile.columns[SCORE].present == profile.columns[LABEL].present == 900 - rows
    assert max(profile.importance, key=profile.importance.get) in ("tenure", "charges", "contract")
    assert (bundle / PROFILE).stat().st_size < 200_000


def test_served_rows_are_quiet_and_other_customers_are_not(bundle, profile):
    model = ratchet.Model.load(bundle)

    def served(rows):
        found = model.predict(rows)
        answers = answer_columns(found.classes, found.scores, found.labels)
        window = profile.window()
        window.fold(rows.with_columns(**answers))
        return score_window(profile, window)

    rows = pl.read_csv(customers(1_500, seed=0, start=5_000).encode())
    assert not served(rows).drifted
    older = served(rows.with_columns(tenure=pl.col("tenure") + 40))
    assert older["tenure"].drifted
    assert older[SCORE].drifted
    assert older.columns[0].is_answer
    assert older.importance_share > 0


@pytest.mark.parametrize("content", [None, b"another"])
def test_a_profile_that_is_gone_or_altered_is_refused(bundle, tmp_path, content):
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    (copy / PROFILE).unlink()
    if content is not None:
        (copy / PROFILE).write_bytes(content)
    with pytest.raises(DataError, match=PROFILE):
        ratchet.Model.load(copy)


def test_an_earlier_bundle_has_no_profile():
    folder = Path(__file__).parents[2] / "unit" / "packaging" / "format_1" / "bundle"
    assert (folder / MANIFEST).exists()
    assert ratchet.Model.load(folder).profile() is None


def test_the_order_of_time_calibrates_the_first_windows(tmp_path):
    folder = small_project(tmp_path / "timed", rows=5_000)
    table = pl.read_csv(folder / "data.csv")
    moments = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 12, 31), interval="1h", eager=True
    )
    table = table.with_columns(at=moments.head(5_000))
    table.write_csv(folder / "data.csv")
    ended = run(load_project(folder, assignments=["data.time=at"], variables={}), Request())
    profile = Profile.from_bytes(ratchet.Model.load(ended.model["bundle"]).profile())
    found = thresholds_at(profile, 500)
    assert {"tenure", "charges", "contract", "support"} <= set(found.distances)
    # The rows do not move with time, so that little movement is allowed.
    assert max(found.distances.values()) < 0.25


def test_importance_goes_back_to_raw_columns():
    class Made:
        derivation = Derivation(
            (
                DerivedFeature("rate", "expression", "a / b", ("a", "b")),
                DerivedFeature("band", "expression", "floor(rate * c)", ("rate", "c")),
            )
        )
        inputs = (Column("a", "number"),)

    found = raw_importance(
        {"a": 1.0, "rate": 0.4, "band": 0.3, "c × d": 0.2, "b": -5.0}, ["a", "b", "c", "d"], [Made]
    )
    assert found == pytest.approx({"a": 1.3, "b": 0.3, "c": 0.2, "d": 0.1})
    assert np.isclose(sum(found.values()), 1.9)
