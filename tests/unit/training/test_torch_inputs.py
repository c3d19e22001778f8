"""How columns become the network's inputs; nothing here needs PyTorch."""

import numpy as np
import pytest

from ratchet.training.algorithms.torch_inputs import Inputs, learn_inputs
from ratchet.training.algorithms.torch_network import read_arrays, write_arrays
from ratchet.training.fitted import TrainingRows


def rows_of(*columns, categorical=()):
    X = np.column_stack(columns).astype(np.float32)
    names = tuple(f"x{i}" for i in range(X.shape[1]))
    return TrainingRows(X, np.zeros(len(X), np.int32), None, categorical, names, 2)


def pieces(inputs, X):
    """The pieces of rows before their means are taken off."""
    count = len(inputs.piece_column)
    return (inputs.encode(X.astype(np.float32)) + inputs.mean)[:, :count]


def test_a_number_fills_its_pieces_one_after_the_other():
    inputs = learn_inputs(rows_of(np.linspace(0, 100, 1_001)), bins=4, seed=0)
    given = pieces(inputs, np.array([[-5.0], [0], [12.5], [50], [75], [900]]))
    wanted = [[0, 0, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert np.allclose(given, wanted, atol=0.01)


def test_few_values_have_a_piece_each_and_a_constant_none():
    inputs = learn_inputs(rows_of([0, 1, 5, 5, 0], [2, 2, 2, 2, 2]), bins=8, seed=0)
    assert inputs.piece_column.tolist() == [0, 0]
    assert inputs.piece_low.tolist() == [0, 1]
    assert inputs.smooth_column.tolist() == [0]


def test_a_heavy_value_does_not_swallow_the_pieces_of_the_others():
    values = np.concatenate([np.zeros(9_000), np.linspace(1, 1_000, 1_000)])
    inputs = learn_inputs(rows_of(values), bins=10, seed=0)
    assert len(inputs.piece_column) >= 9
    assert (inputs.piece_low > 0).sum() >= 8


def test_missing_numbers_are_the_median_and_told_where_training_had_some():
    inputs = learn_inputs(rows_of([1, 2, 3, np.nan], [1, 2, 3, 4]), bins=8, seed=0)
    assert inputs.absent_column.tolist() == [0]
    gone, middle = inputs.encode(np.array([[np.nan, np.nan], [2, 2.5]], np.float32))
    told = len(inputs.piece_column) + len(inputs.smooth_column)
    assert gone[told] - middle[told] == 1
    assert np.array_equal(np.delete(gone, told), np.delete(middle, told))


def test_categories_have_an_input_or_a_vector_each():
    few = np.arange(60) % 3
    many = np.arange(60).astype(float)
    many[5] = np.nan
    inputs = learn_inputs(rows_of(few, many, categorical=(0, 1)), bins=8, seed=0)
    assert inputs.one_value.tolist() == [0, 1, 2]
    assert inputs.table_size.tolist() == [60]
    unseen = np.array([[7, 60], [np.nan, np.nan], [1, 59], [0, -3]], np.float32)
    assert inputs.places(unseen)[:, 0].tolist() == [60, 60, 59, 60]
    given = inputs.encode(unseen) + inputs.mean
    assert given.round(9).tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_inputs_have_mean_zero_on_the_rows_learned_from():
    rng = np.random.default_rng(0)
    rows = rows_of(rng.normal(size=5_000), rng.integers(0, 5, 5_000), categorical=(1,))
    inputs = learn_inputs(rows, bins=8, seed=0)
    assert np.abs(inputs.encode(rows.X).mean(axis=0)).max() < 1e-9


def test_arrays_bring_it_back_as_it_was():
    rng = np.random.default_rng(0)
    rows = rows_of(rng.normal(size=500), rng.integers(0, 40, 500), categorical=(1,))
    inputs = learn_inputs(rows, bins=8, seed=0)
    again = Inputs.of(read_arrays(write_arrays(inputs.arrays())))
    assert again.features == 2
    assert np.array_equal(again.encode(rows.X), inputs.encode(rows.X))
    assert np.array_equal(again.places(rows.X), inputs.places(rows.X))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x04K\x01."])
def test_what_is_no_array_file_is_refused(content):
    with pytest.raises(ValueError, match="read"):
        read_arrays(content)


def test_a_file_that_needs_pickle_is_refused(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, made=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(path.read_bytes())
