import pytest
from pydantic import ValidationError

from ratchet.features.settings import FeaturesSettings


def test_by_default_only_dates_are_generated():
    settings = FeaturesSettings()
    assert settings.expressions == {}
    assert settings.functions is None
    assert settings.generate.dates == "auto"
    rest = settings.generate.model_dump(exclude={"dates"})
    assert not any(rest.values())


def test_a_setting_takes_true_or_a_list_of_columns():
    generate = FeaturesSettings.model_validate(
        {"generate": {"squares": True, "logs": ["a"], "bins": {"a": 5, "b": [1, 2.5]}}}
    ).generate
    assert generate.squares is True
    assert generate.logs == ("a",)
    assert generate.bins == {"a": 5, "b": (1.0, 2.5)}


@pytest.mark.parametrize(
    "section",
    [
        {"unknown": 1},
        {"generate": {"bins": {"a": 1}}},
        {"generate": {"bins": {"a": 1000}}},
        {"generate": {"bins": {"a": []}}},
        {"generate": {"bins": {"a": [3, 3]}}},
        {"generate": {"bins": {"a": [1, float("inf")]}}},
        {"generate": {"interactions": {"max": 0}}},
        {"generate": {"dates": "weekly"}},
        {"encoding": {"high_cardinality": "hash"}},
        {"encoding": {"folds": 1}},
        {"expressions": {"x": "  "}},
        {"expressions": {" ": "a + 1"}},
    ],
)
def test_settings_without_meaning_are_refused(section):
    with pytest.raises(ValidationError):
        FeaturesSettings.model_validate(section)


def test_every_setting_is_described():
    def undescribed(model):
        for name, field in model.model_fields.items():
            if not field.description:
                yield name
            inner = field.annotation
            if hasattr(inner, "model_fields"):
                yield from undescribed(inner)

    assert list(undescribed(FeaturesSettings)) == []
