"""What a tick of the loop costs when nothing happens in a thousand projects.

    python benchmarks/idle.py [--projects 1000] [--ticks 10]

Makes the projects in a temporary folder, twice: all with one ledger file, and each with its own.
Every project has a ledger with events, a lake and a prediction log, as after its first run; the
loop's own code is told that it has looked at them. Then ticks are timed: the processor time of the
loop's process, the process that looks included (it must not even be started).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from ratchet.loop.daemon import Daemon, Plan
from ratchet.loop.journal import Journal
from ratchet.loop.numbers import Numbers
from ratchet.loop.projects import TABLES, Opening
from ratchet.loop.wards import Ward

FILE = """\
project: project-{number}
data:
  source: {{type: csv, path: data.csv}}
  target: y
storage: {{ledger: "{ledger}"}}
"""


def make(folder: Path, projects: int, *, shared: bool) -> None:
    """The projects, each with everything that the loop looks at."""
    from ratchet.ledger.store import open_ledger

    for number in range(projects):
        root = folder / f"p{number:04d}"
        root.mkdir(parents=True)
        ledger = f"sqlite:///{folder}/ledger.db" if shared else "sqlite"
        (root / "ratchet.yaml").write_text(FILE.format(number=number, ledger=ledger))
        (root / "data.csv").write_text("x,y\n1,0\n2,1\n")
        for table in TABLES:
            (root / ".ratchet" / "lake" / table / "_delta_log").mkdir(parents=True)
        (root / ".ratchet" / "serving" / "log" / "stream").mkdir(parents=True)
        place = ledger if shared else f"sqlite:///{root}/.ratchet/ledger.db"
        with open_ledger(place, project=f"project-{number}") as opened:
            opened.record("made", {"number": number})


def looked_at(daemon: Daemon) -> None:
    """As if every project had just been looked at, and nothing was to be done."""
    daemon.tick()
    while daemon.looking.open:
        question = daemon.looking._waiting.popleft()
        ward: Ward = daemon.wards[question.about[0]]
        ward.looking, ward.state = False, "idle"


def measure(folder: Path, ticks: int) -> tuple[float, list[float], float]:
    """Processor seconds of the first tick and of idle ones, and the memory taken in MB."""
    lines: list[str] = []
    numbers = Numbers(folder / "metrics.prom")
    daemon = Daemon(Plan(folder, Opening(), 1 << 30, every=30.0), Journal(lines.append), numbers)
    began = time.process_time()
    looked_at(daemon)
    first = time.process_time() - began
    spent = []
    for _ in range(ticks):
        began = time.process_time()
        daemon.tick()
        spent.append(time.process_time() - began)
        assert not daemon.looking.open, "an idle project was to be looked at"
    assert daemon.looking.starts == 0
    daemon._stop()
    heavy = {"polars", "deltalake", "mlflow", "sklearn", "numpy"} & set(sys.modules)
    assert not heavy, f"an idle loop loaded {heavy}"
    return first, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--projects", type=int, default=1000)
    options.add_argument("--ticks", type=int, default=10)
    asked = options.parse_args()
    for shared in (True, False):
        with tempfile.TemporaryDirectory(prefix="ratchet-idle-") as name:
            folder = Path(name)
            make(folder, asked.projects, shared=shared)
            first, spent, memory = measure(folder, asked.ticks)
        kind = "one ledger" if shared else "own ledgers"
        print(
            f"{asked.projects} idle projects, {kind}: a tick takes {statistics.median(spent):.4f} "
            f"CPU-seconds (most {max(spent):.4f}); the first one {first:.2f}; {memory:.0f} MB"
        )


if __name__ == "__main__":
    main()
