"""The ``gates`` section: defaults, units, and what is refused."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from ratchet.config.fields import walk
from ratchet.gates.settings import BudgetSettings, ChampionSettings, GatesSettings


def test_defaults_are_those_of_the_design():
    settings = GatesSettings()
    assert settings.minimum == {}
    assert settings.above_chance
    assert (settings.champion.margin, settings.champion.confidence) == (0.0, 0.95)
    assert settings.champion.require == "non_inferior"
    assert settings.budget.latency_seconds == 0.005
    assert settings.budget.size_bytes == 50_000_000
    assert settings.budget.memory_bytes == 500_000_000
    assert settings.parity_tolerance == 1e-6


def test_every_key_is_described():
    assert all(len(node.description) > 10 for node in walk(GatesSettings))


def test_units_are_parsed_and_null_leaves_a_limit_out():
    budget = BudgetSettings(latency_p95="0.5ms", size="1.5GB", memory=None)
    assert budget.latency_seconds == 0.0005
    assert budget.size_bytes == 1_500_000_000
    assert budget.memory_bytes is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"minimum": {"roc_acu": 0.7}}, "did you mean `roc_auc`"),
        ({"minimum": {"roc_auc": 75}}, "roc_auc is from 0 to 1, so 75 is out of reach"),
        ({"minimum": {"roc_auc": -0.1}}, "greater than or equal to 0"),
        ({"minimum": {"roc_auc": float("nan")}}, "finite"),
        ({"minimum": {"roc_auc": True}}, "valid number"),
        ({"minimum": {"brier": 2.5}}, "brier is from 0 to 2"),
        ({"champion": {"margin": -0.01}}, "greater than or equal to 0"),
        ({"champion": {"confidence": 95}}, "less than 1"),
        ({"champion": {"confidence": 0.5}}, "greater than 0.5"),
        ({"champion": {"metric": "auc"}}, "unknown metric 'auc'"),
        ({"champion": {"require": "better"}}, "'non_inferior' or 'superior'"),
        ({"champion": {"require": "superior", "margin": 0.1}}, "has no meaning"),
        ({"champion": {"metric": "f1", "margin": 5}}, "more than f1 can differ"),
        ({"budget": {"latency_p95": "5"}}, "is no duration"),
        ({"budget": {"latency_p95": "0ms"}}, "out of range"),
        ({"budget": {"size": "50"}}, "is no size"),
        ({"budget": {"memory": "50 apples"}}, "is no size"),
        ({"parity_tolerance": 0}, "greater than 0"),
        ({"maximum": {}}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(raw, said):
    with pytest.raises(ValidationError) as caught:
        GatesSettings.model_validate(raw)
    assert said in str(caught.value)


def test_an_unknown_metric_is_told_with_its_own_place():
    with pytest.raises(ValidationError) as caught:
        GatesSettings.model_validate({"minimum": {"roc_auc": 0.7, "f2": 0.5}})
    assert caught.value.errors()[0]["loc"][:2] == ("minimum", "f2")


def test_log_loss_may_have_any_margin_and_limit():
    settings = GatesSettings(
        minimum={"log_loss": 3.0}, champion=ChampionSettings(metric="log_loss", margin=1.5)
    )
    assert settings.minimum == {"log_loss": 3.0}


def test_the_settings_load_nothing_heavy():
    code = (
        "import sys, ratchet.gates.settings; "
        "heavy = {'numpy', 'polars', 'sklearn', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
