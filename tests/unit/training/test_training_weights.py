import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError
from ratchet.training.weights import row_weights

Y = np.array([0, 0, 0, 1], np.int32)


def test_balanced_classes_weigh_alike_in_sum():
    weight = row_weights(Y, "balanced", Task("binary", ("no", "yes")))
    assert weight[Y == 0].sum() == pytest.approx(weight[Y == 1].sum())
    assert weight.mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("classes", "given"),
    [
        (("no", "yes"), {"yes": 3}),
        ((0, 1), {1: 3}),
        ((0, 1), {"1": 3}),
        ((False, True), {True: 3}),
        ((False, True), {"true": 3}),
        ((0.0, 1.0), {1: 3}),
        (("0", "1"), {1: 3}),
    ],
)
def test_a_class_is_found_however_yaml_reads_it(classes, given):
    weight = row_weights(Y, given, Task("binary", classes))
    assert weight[3] / weight[0] == pytest.approx(3)
    assert weight[0] == weight[1]


def test_none_weighs_nothing():
    assert row_weights(Y, None, Task("binary", (0, 1))) is None


def test_an_unknown_class_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        row_weights(Y, {"yess": 2}, Task("binary", ("no", "yes")))
    assert "did you mean `yes`" in caught.value.fix
    assert caught.value.where == "training.class_weight.yess"
