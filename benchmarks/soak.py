"""A server under load for minutes, while everything around it changes; and nothing may be lost.

    python benchmarks/soak.py [--seconds N] [--workers N ...] [--clients N]

Real `ratchet serve` processes; clients in threads ask in all three protocols, for whole records and
for ids from Redis, and send labels by prediction and by entity and time. Meanwhile: three swaps of
the model, two changes of weights, a version whose bundle was altered, Redis stopped and started.
Every answer is 200, but for ids 503 while Redis is away. Then the server is killed with -9 in the
middle of the load and started again. At the end the rows of the lake's `predictions` are those that
the clients were promised, each once, and every label has found its prediction.

It fails where one of these does not hold; the figures are of the load that this machine bore.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from ratchet_cli import ratchet  # noqa: E402
from soak import Plan, Report, Soak  # noqa: E402

GROWTH_MB = 8.0
"""What noise there is in the memory of a process that keeps nothing."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0.002)
    told = parser.parse_args()
    for workers in told.workers:
        plan = Plan(told.seconds, workers, told.clients, told.pause, compact="15s")
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            report = Soak(Path(folder), plan, ratchet).run()
        show(report, told.seconds)
        if report.growth_mb > GROWTH_MB:
            print(f"  the memory grew by more than {GROWTH_MB:g} MB")
            return 1
    return 0


def show(report: Report, seconds: float) -> None:
    print(
        f"{report.workers} worker(s), {seconds:g} s: {report.requests:,} requests, "
        f"{report.rows:,} acknowledged predictions, {report.labels:,} labels"
    )
    print(
        f"  in the lake: {report.in_lake:,}, none missing, none twice (of {report.doubtful} rows "
        f"the answer was on its way when the server was killed)"
    )
    print(f"  503 for ids while Redis was away: {report.refused:,}; nothing else was refused")
    print(f"  p50 {report.p50_ms:.2f} ms, p99 {report.p99_ms:.2f} ms, as the clients saw it")
    sizes = [size for _, size in report.memory_mb]
    print(
        f"  largest process: {max(sizes):.0f} MB resident, grew by {report.growth_mb:+.1f} MB; "
        f"at most {max(report.files)} open files"
    )
    for key, count in sorted(report.statuses.items()):
        print(f"    {key:<18} {count:>9,}")


if __name__ == "__main__":
    sys.exit(main())
