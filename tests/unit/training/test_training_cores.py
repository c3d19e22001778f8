import os
import subprocess
import sys

import pytest

from ratchet.training.cores import CELLS_ONE_BY_ONE, available_cores, plan_cores


@pytest.mark.parametrize("cells", [10, 1_000_000, 12_000_000, 19_999_999, 30_000_000, 10**9])
@pytest.mark.parametrize("jobs", [1, 3, 15])
@pytest.mark.parametrize("cores", [1, 2, 4, 16, 64])
def test_threads_never_exceed_the_cores(cells, jobs, cores):
    plan = plan_cores(cells, jobs, cores)
    assert 1 <= plan.workers * plan.threads <= cores
    assert plan.workers <= jobs


def test_small_fits_run_side_by_side_and_large_ones_one_by_one():
    small, large = plan_cores(150_000, 15, 8), plan_cores(CELLS_ONE_BY_ONE + 1, 15, 8)
    assert (small.workers, small.threads) == (8, 1)
    assert (large.workers, large.threads) == (1, 8)


def test_this_process_has_a_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_openmp_is_calm_before_a_library_is_loaded():
    """The variable is read when the library is loaded, so it has to be there first."""
    script = (
        "import builtins, os, sys\n"
        "seen = {}\n"
        "real = builtins.__import__\n"
        "def watch(name, *a, **k):\n"
        "    if name in ('lightgbm', 'sklearn') and name not in seen:\n"
        "        seen[name] = os.environ.get('OMP_WAIT_POLICY')\n"
        "    return real(name, *a, **k)\n"
        "builtins.__import__ = watch\n"
        "import numpy as np\n"
        "from ratchet.training.algorithms.lightgbm import LightGBM\n"
        "from ratchet.training.fitted import TrainingRows\n"
        "assert 'lightgbm' not in sys.modules and 'sklearn' not in sys.modules\n"
        "X = np.arange(60, dtype=np.float32).reshape(-1, 1)\n"
        "rows = TrainingRows(X, (X[:, 0] > 30).astype(np.int32), None, (), ('x',), 2)\n"
        "params = {'num_iterations': 2, 'learning_rate': 0.1}\n"
        "LightGBM().fit(rows, params=params, seed=1, threads=1, validation=None)\n"
        "assert seen['lightgbm'] == 'PASSIVE', seen\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
