from __future__ import annotations

import pytest
from pydantic import ValidationError

from ratchet.triggers.settings import TriggersSettings, rows_of


def read(**given: object) -> TriggersSettings:
    return TriggersSettings.model_validate(given)


def test_a_schedule_is_one_text_or_a_list() -> None:
    (only,) = read(schedule="0 2 * * 0").schedule
    assert (only.name, only.cron, only.timezone) == ("schedule", "0 2 * * 0", "UTC")
    both = read(
        schedule=[
            {"name": "nightly", "cron": "0 2 * * *", "timezone": "Europe/Berlin"},
            {"name": "weekly", "cron": "@weekly", "set": {"training.update": "retune"}},
        ]
    )
    assert both.rules[-2:] == ("nightly", "weekly")
    assert both.schedule[1].set == {"training.update": "retune"}
    assert read(schedule=None).schedule == ()
    assert read(schedule={"cron": "@daily"}).schedule[0].cron == "@daily"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schedule": "0 2 * *"}, "wrong number of fields"),
        ({"schedule": "0 0 31 2 *"}, "no schedule"),
        ({"schedule": "* * * * * *"}, "wrong number of fields"),
        ({"schedule": {"cron": "@daily", "timezone": "Berlin"}}, "no time zone"),
        ({"schedule": {"cron": "@daily", "timezone": "../etc/passwd"}}, "no time zone"),
        ({"schedule": {"cron": "@daily", "name": "drift"}}, "taken"),
        ({"schedule": {"cron": "@daily", "name": "And"}}, "lower-case"),
        ({"schedule": ["0 2 * * *"]}, "valid dictionary"),
        ({"schedule": [{"cron": "@daily"}, {"cron": "@weekly"}]}, "need a name each"),
        ({"new_rows": 0}, "at least one row"),
        ({"new_rows": "many"}, "no share"),
        ({"max_age": "old"}, "no duration"),
        ({"combine": "drift and"}, "ends too early"),
        ({"combine": "drift or weekl"}, "no such rule"),
        ({"combine": "drift; import os"}, "cannot be read"),
        ({"combine": "(" * 200 + "drift" + ")" * 200}, "nested too deeply"),
        ({"combine": "all"}, "at least one rule"),
        ({"combine": "external"}, "no such rule"),
        ({"performance": {"roc_auc": {}}}, "give `drop`"),
        ({"performance": {"auc": {"drop": 0.1}}}, "Extra inputs"),
        ({"drift": {"action": "promote"}}, "investigate"),
        ({"budget": {"per": "year"}}, "month"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read(**given)


def test_rows_are_a_number_or_a_share() -> None:
    assert rows_of(10_000, None) == 10_000
    assert rows_of("50%", 7) == 4
    assert rows_of("50%", None) is None


def test_all_is_about_what_is_written() -> None:
    policy = read(new_rows=100, external=True, drift=None, combine="all")
    assert policy.written == ("external", "new_rows")
    assert "max_age" in policy.rules


def test_the_metrics_are_those_of_the_catalogue() -> None:
    from ratchet.evaluation.catalog import METRICS
    from ratchet.triggers.rule_settings import MetricRule, PerformanceRules

    for metric in METRICS:
        rules = PerformanceRules.model_validate({metric.name: {"drop": 0.1}})
        assert rules.limits == {metric.name: MetricRule(drop=0.1)}
