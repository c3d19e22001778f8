import pytest
from pydantic import ValidationError

from ratchet.training.settings import TrainingSettings, TuningSettings


def test_an_empty_section_names_three_algorithms():
    for raw in ({}, {"algorithms": {}}, {"algorithms": None}):
        settings = TrainingSettings.model_validate(raw)
        assert list(settings.algorithms) == ["lightgbm", "random_forest", "logistic_regression"]
        assert settings.folds_for(3) == 5


def test_an_algorithm_without_parameters_may_be_left_blank():
    settings = TrainingSettings.model_validate({"algorithms": {"svm": None}})
    assert settings.algorithms == {"svm": {}}


@pytest.mark.parametrize(
    "raw",
    [
        {"metric": "auc"},
        {"seed": -1},
        {"cores": 0},
        {"tuning": {"folds": 1}},
        {"tuning": "none"},
        {"class_weight": "heavy"},
        {"class_weight": {"a": 0}},
        {"algorithms": ["svm"]},
        {"algoritms": {}},
    ],
)
def test_what_makes_no_sense_is_refused(raw):
    with pytest.raises(ValidationError):
        TrainingSettings.model_validate(raw)


def test_off_compares_several_but_not_one():
    off = TrainingSettings(tuning="off")
    assert (off.folds_for(1), off.folds_for(2)) == (0, 5)
    assert TrainingSettings(tuning=TuningSettings(folds=3)).folds_for(2) == 3


def test_weights_keep_the_type_of_their_class():
    settings = TrainingSettings.model_validate({"class_weight": {True: 2, 7: 3, "no": 1}})
    assert [type(label) for label in settings.class_weight] == [bool, int, str]


def test_every_key_is_described():
    for model in (TrainingSettings, TuningSettings):
        for name, field in model.model_fields.items():
            assert field.description, name
