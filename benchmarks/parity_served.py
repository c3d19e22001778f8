"""Whether every row is served the score that training gave it: four data sets, three protocols.

    python benchmarks/parity_served.py [--sets NAME ...] [--rows 20000]

A calibrated blend of LightGBM and a logistic regression is trained on up to ``--rows`` rows of a
set, exported, and made the champion of a project. All rows of the set are then scored by what
training holds, by `ratchet predict`, and by `ratchet serve` over HTTP: `/v1/predict`, MLflow's
`/invocations` and the Open Inference Protocol. Printed: the largest difference from training. The
promise is 1e-6.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from ratchet_cli import SHARED_DATA, ratchet  # noqa: E402
from served_parity import SETS, apart  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=[item.name for item in SETS])
    parser.add_argument("--rows", type=int, default=20_000)
    told = parser.parse_args()
    worst = 0.0
    for item in SETS:
        if item.name not in told.sets:
            continue
        table = item.read(SHARED_DATA).sample(fraction=1.0, shuffle=True, seed=1)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="parity-") as folder:
            found = apart(item, table, told.rows, Path(folder), ratchet)
        figures = "".join(f"  {name} {value:.1e}" for name, value in found.items())
        seconds = time.perf_counter() - began
        print(f"{item.name:16}{table.height:7,} rows {seconds:5.0f} s{figures}", flush=True)
        worst = max(worst, *found.values())
    print(f"largest difference of all: {worst:.2g}")
    return int(worst > 1e-6)


if __name__ == "__main__":
    sys.exit(main())
