import polars as pl
import pytest

from ratchet.data.settings import DataSettings, SourceSettings
from ratchet.data.task import Task, guess_positive, infer_task
from ratchet.errors import DataError


def settings(**given: object) -> DataSettings:
    source = SourceSettings(type="csv", path="x.csv")
    return DataSettings.model_validate({"source": source, "target": "y", **given})


def y(*values: object) -> pl.Series:
    return pl.Series("y", values, strict=False)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (("No", "Yes", None), ("No", "Yes")),
        (("Yes", "Yes", "No"), ("No", "Yes")),
        ((0, 1, 1), (0, 1)),
        ((True, False), (False, True)),
        ((0.0, 1.0), (0.0, 1.0)),
        (("good", "good", "bad"), ("good", "bad")),
        ((1, 2, 2), (2, 1)),
        (("a", "b"), ("a", "b")),
    ],
)
def test_binary_classes_are_negative_then_positive(
    values: tuple[object, ...], classes: tuple[object, ...]
) -> None:
    assert infer_task(y(*values), settings()) == Task("binary", classes)  # type: ignore[arg-type]


@pytest.mark.parametrize("positive", ["no", "No"])
def test_positive_is_chosen_by_the_settings(positive: str) -> None:
    assert infer_task(y("No", "Yes"), settings(positive=positive)).classes == ("Yes", "No")


def test_positive_may_be_written_in_another_type() -> None:
    assert infer_task(y("0", "1"), settings(positive=0)).classes == ("1", "0")
    assert infer_task(y(0, 1), settings(positive="0")).classes == (1, 0)
    assert infer_task(y(True, False), settings(positive="false")).classes == (True, False)


def test_more_classes_and_numbers() -> None:
    assert infer_task(y("b", "a", "c"), settings()) == Task("multiclass", ("a", "b", "c"))
    assert infer_task(y(*range(15)), settings()).kind == "multiclass"
    assert infer_task(y(*range(30)), settings()).kind == "regression"
    assert infer_task(y(0.5, 1.5, 2.5), settings()).kind == "regression"
    assert infer_task(y(*range(30)), settings(task="multiclass")).kind == "multiclass"
    assert infer_task(y(0, 1), settings(task="regression")) == Task("regression", ())


@pytest.mark.parametrize(
    ("target", "given", "code"),
    [
        (y(None, None), {}, "target_empty"),
        (y("a", "a"), {}, "one_class"),
        (y("a", "b", "c"), {"task": "binary"}, "wrong_task"),
        (y("a", "b"), {"task": "regression"}, "wrong_task"),
        (y(*[f"name {i}" for i in range(60)]), {}, "too_many_classes"),
        (y("No", "Yes"), {"positive": "Maybe"}, "positive_unknown"),
        (pl.Series("y", ["2024-01-01", "2024-01-02"]).str.to_date(), {}, "wrong_task"),
    ],
)
def test_targets_that_cannot_be_learned(
    target: pl.Series, given: dict[str, object], code: str
) -> None:
    with pytest.raises(DataError) as caught:
        infer_task(target, settings(**given))
    assert caught.value.name == code
    assert caught.value.fix


def test_codes_follow_the_classes() -> None:
    task = Task("binary", ("No", "Yes"))
    codes = task.encode(y("Yes", "No", "Yes"))
    assert codes.tolist() == [1, 0, 1]
    assert codes.dtype == "int32"
    assert Task("binary", (1, 0)).encode(y(1.0, 0.0)).tolist() == [0, 1]
    assert Task("multiclass", (1, 2, 3)).encode(y("3", "1")).tolist() == [2, 0]
    assert Task("binary", (False, True)).encode(y(True, False)).tolist() == [1, 0]


def test_unknown_and_missing_labels_are_named() -> None:
    task = Task("binary", ("No", "Yes"))
    with pytest.raises(DataError, match='"Perhaps", which is no known class'):
        task.encode(y("Yes", "Perhaps"))
    with pytest.raises(DataError, match="missing in 2 of 3 rows"):
        task.encode(y("Yes", None, None))


def test_numbers_are_learned_as_they_are() -> None:
    task = Task("regression", ())
    assert task.outputs == 1
    assert task.encode(y(1, 5)).tolist() == [1.0, 5.0]
    assert task.encode(y(1, 5)).dtype == "float64"
    for strange, says in (
        (y(1.0, float("inf")), "infinity in 1 rows"),
        (y(1.0, float("nan"), None), "missing in 2 of 3 rows"),
        (y("a", "b"), "does not fit data.task: regression"),
    ):
        with pytest.raises(DataError, match=says):
            task.encode(strange)


@pytest.mark.parametrize("classes", [("No", "Yes"), (0, 1), (False, True), (0.0, 1.0)])
def test_json_round_trip(classes: tuple[object, ...]) -> None:
    import json

    task = Task("binary", classes)  # type: ignore[arg-type]
    again = Task.from_json(json.loads(json.dumps(task.to_json())))
    assert again == task
    assert [type(c) for c in again.classes] == [type(c) for c in classes]


def test_the_guess_prefers_words_then_rarity() -> None:
    assert guess_positive({"yes": 9, "no": 1}) == "yes"
    assert guess_positive({"a": 9, "b": 1}) == "b"
    assert guess_positive({"a": 1, "b": 9}) == "a"
    assert guess_positive({"a": 5, "b": 5}) == "b"
