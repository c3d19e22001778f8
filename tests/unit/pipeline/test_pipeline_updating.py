import pytest

from ratchet.pipeline.updating import JUDGED, MADE, climbs, ladder

CHAMPION = {"version": 3}


def test_without_a_champion_there_is_nothing_to_go_on_from():
    for update in ("auto", "refit", "incremental", "retune"):
        assert ladder(update, None) == ("retune",)


@pytest.mark.parametrize(
    ("update", "rungs"),
    [
        ("auto", ("incremental", "refit", "retune")),
        ("incremental", ("incremental", "refit", "retune")),
        ("refit", ("refit", "retune")),
        ("retune", ("retune",)),
    ],
)
def test_the_last_rung_is_always_possible(update, rungs):
    assert ladder(update, CHAMPION) == rungs


def test_only_auto_climbs_for_a_better_model():
    assert climbs(JUDGED, "auto")
    assert not climbs(JUDGED, "refit")
    assert climbs(MADE, "refit")
    assert climbs(MADE, "auto")
    assert not climbs("evaluate", "auto")
