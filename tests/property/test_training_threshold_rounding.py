import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ratchet.training.thresholds import round_down

DOUBLES = arrays(np.float64, st.integers(1, 50), elements=st.floats(allow_nan=False))
SINGLES = arrays(np.float32, 50, elements=st.floats(width=32, allow_nan=False))


@given(DOUBLES, SINGLES)
def test_no_float32_value_changes_sides(thresholds, values):
    rounded = round_down(thresholds)
    assert np.array_equal(rounded.astype(np.float32).astype(np.float64), rounded)
    # The float32 values around each threshold are the ones at risk.
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
        above = np.nextafter(near, np.float32(np.inf))
        below = np.nextafter(near, np.float32(-np.inf))
    around = np.concatenate([near, above, below, values])
    finite = around[np.isfinite(around)]
    before = finite[:, None].astype(np.float64) <= thresholds
    assert np.array_equal(before, finite[:, None] <= rounded.astype(np.float32))
