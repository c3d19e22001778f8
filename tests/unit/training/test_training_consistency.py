"""Settings of training that contradict each other are refused before anything is read."""

import pytest

from ratchet.errors import ConfigError
from ratchet.training.consistency import check_training
from ratchet.training.settings import TrainingSettings

COSTS = {"cost": {"false_positive": 1, "false_negative": 5}}
LINEAR = {"logistic_regression": {}}


def check(kind=None, **given):
    check_training(TrainingSettings.model_validate(given), kind)


@pytest.mark.parametrize(
    ("given", "kind", "what", "fix"),
    [
        (
            {"algorithms": LINEAR, "tuning": "off", "threshold": COSTS},
            None,
            "threshold cannot be chosen without",
            "`training.tuning: {trials: 0, folds: 5}`",
        ),
        (
            {"algorithms": LINEAR, "tuning": {"folds": 0}, "threshold": COSTS},
            None,
            "threshold cannot be chosen without",
            "set training.tuning.folds to 5",
        ),
        ({"tuning": {"folds": 0}}, None, "cannot be compared", "training.tuning.folds"),
        ({"metric": "rmse"}, "binary", "rmse is no metric", "roc_auc"),
        ({"tuning": {"metric": "f1"}}, "regression", "f1 is no metric", "rmse"),
        ({"threshold": COSTS}, "regression", "no meaning", "remove training.threshold"),
        ({"calibration": "isotonic"}, "regression", "no meaning", "remove training.calibration"),
        ({"algorithms": {"ridge": {}}}, "binary", "cannot learn this target", "lightgbm"),
        ({"algorithms": {"lightgbmm": {}}}, None, "no algorithm", "`lightgbm`"),
    ],
)
def test_a_contradiction_is_refused(given, kind, what, fix):
    with pytest.raises(ConfigError, match=what) as caught:
        check(kind, **given)
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, None),
        ({}, "binary"),
        ({}, "multiclass"),
        ({}, "regression"),
        ({"metric": "rmse"}, None),
        ({"algorithms": {"ridge": {}}}, None),
        ({"threshold": COSTS}, "binary"),
        ({"algorithms": LINEAR, "tuning": "off"}, "binary"),
        ({"tuning": "off", "threshold": COSTS}, "binary"),
        ({"calibration": "none"}, "regression"),
    ],
)
def test_what_can_be_meant_is_let_pass(given, kind):
    check(kind, **given)
