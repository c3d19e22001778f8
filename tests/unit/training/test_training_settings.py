import pytest
from pydantic import ValidationError

from ratchet.training.settings import ThresholdSettings, TrainingSettings, TuningSettings


def test_an_empty_section_names_four_algorithms():
    for raw in ({}, {"algorithms": {}}, {"algorithms": None}):
        settings = TrainingSettings.model_validate(raw)
        named = ["lightgbm", "random_forest", "extra_trees", "logistic_regression"]
        assert list(settings.algorithms) == named
        assert settings.folds_for(3) == 5


@pytest.mark.parametrize(
    ("raw", "seconds", "searches"),
    [
        ({}, 60.0, True),
        ({"time": "10m"}, 600.0, True),
        ({"trials": 50}, None, True),
        ({"trials": 50, "time": "2m"}, 120.0, True),
        ({"trials": 0}, None, False),
        ({"folds": 0}, 60.0, False),
    ],
)
def test_a_search_ends_by_time_or_by_trials(raw, seconds, searches):
    tuning = TuningSettings.model_validate(raw)
    assert (tuning.seconds, tuning.searches) == (seconds, searches)


@pytest.mark.parametrize(
    "raw",
    [
        {"value": 0.3},
        {"maximize": "f1"},
        {"cost": {"false_positive": 1, "false_negative": 5}},
        {"precision": 0.8},
        {"recall": 0.9},
    ],
)
def test_a_threshold_is_chosen_in_one_way(raw):
    given = ThresholdSettings.model_validate(raw).model_dump(exclude_none=True)
    assert given == raw


@pytest.mark.parametrize(
    "raw", [{}, {"value": 0.3, "maximize": "f1"}, {"value": 1.2}, {"maximize": "auc"}]
)
def test_a_threshold_is_not_chosen_in_two_or_none(raw):
    with pytest.raises(ValidationError):
        ThresholdSettings.model_validate(raw)


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
        {"tuning": {"time": "soon"}},
        {"memory": "much"},
        {"update": "sometimes"},
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
    for model in (TrainingSettings, TuningSettings, ThresholdSettings):
        for name, field in model.model_fields.items():
            assert field.description, name


def test_a_time_without_a_unit_is_told_how_to_be_written():
    with pytest.raises(ValidationError, match="write 5s or 5m"):
        TuningSettings.model_validate({"time": 5})
