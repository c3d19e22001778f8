"""What mostly fails is tried ever more rarely, and what works every time."""

import itertools

from ratchet.serving.rarely import Rarely


def tries(rarely, outcomes):
    """In which of the turns it was tried; each has its outcome."""
    tried = []
    for turn, works in enumerate(outcomes):
        if rarely.due():
            tried.append(turn)
            (rarely.worked if works else rarely.failed)()
    return tried


def test_what_works_is_tried_every_time():
    assert tries(Rarely(), [True] * 50) == [*range(50)]


def test_what_fails_is_tried_ever_more_rarely_but_never_given_up():
    tried = tries(Rarely(), [False] * 1_000)
    gaps = [after - before for before, after in itertools.pairwise(tried)]
    assert gaps[:6] == [2, 4, 8, 16, 32, 64]
    assert set(gaps[6:]) == {65}


def test_one_failure_costs_one_try():
    outcomes = [True] * 10 + [False] + [True] * 10
    assert tries(Rarely(), outcomes) == [turn for turn in range(21) if turn != 11]
    rarely = Rarely()
    tries(rarely, [False] * 100)
    tries(rarely, [True] * 100)
    assert tries(rarely, [False, True, True, True]) == [0, 2, 3]
