"""Prediction ids."""

from ratchet.serving.ids import PredictionIds


def test_ids_are_unique_and_sort_by_time():
    first, second = PredictionIds(), PredictionIds()
    taken = [*first.take(1_795_000_000_000_000, 3), *first.take(1_795_000_000_000_001, 1)]
    taken += first.take(1_795_000_000_000_002, 2)
    assert len({*taken, *second.take(1_795_000_000_000_000, 3)}) == 9
    assert [each[:14] for each in taken] == sorted(each[:14] for each in taken)
    assert {len(each) for each in taken} == {30}


def test_the_counter_goes_round():
    ids = PredictionIds()
    ids._next = (1 << 24) - 2
    taken = ids.take(5, 4)
    assert len(set(taken)) == 4
    assert {len(each) for each in taken} == {30}


def test_many_ids_are_made_as_few_are():
    few, many = PredictionIds(), PredictionIds()
    many._process = few._process
    few._next = many._next = (1 << 24) - 500
    at = 1_795_000_000_000_000
    assert many.take(at, 1_000) == [own for _ in range(100) for own in few.take(at, 10)]
    assert many._next == few._next == 500
