"""``ratchet run``, as a user calls it; its bundle is scored, loaded by itself."""

import json
import subprocess
import sys
import time

import polars as pl
import yaml
from contest import Contest

from ratchet.packaging.model import Model
from ratchet.training.algorithms.catalogue import starting_algorithms

contest = Contest()
project = contest.out / "project"
project.mkdir()
parts = [
    pl.read_parquet(contest.folder / f"{part}.parquet").with_columns(
        pl.lit(part).alias("part_of_contest")
    )
    for part in ("train", "test")
]
pl.concat(parts).write_parquet(project / "data.parquet")
settings = {
    "project": "contest",
    "data": {
        "source": {"type": "parquet", "path": "data.parquet"},
        "target": contest.target,
        "positive": 1,
        "split": {"column": "part_of_contest"},
        # The test rows are the contest's, so rows that repeat stay where they are.
        "duplicates": "keep",
        **({"time": contest.meta["time"]} if contest.meta["time"] else {}),
    },
    "checks": {"duplicates": "off", "overlap": "off", "leakage": "off", "id_like": "off"},
    "training": {
        # Those that `ratchet init` writes into a new project file.
        "algorithms": {name: {} for name in starting_algorithms()},
        "tuning": {"time": f"{contest.budget:g}s"},
        "cores": contest.cores,
    },
}
(project / "ratchet.yaml").write_text(yaml.safe_dump(settings))
began = time.monotonic()
done = subprocess.run(
    [sys.executable, "-m", "ratchet", "run", "--json", "--project", str(project)],
    capture_output=True,
    text=True,
    check=False,
)
seconds = time.monotonic() - began
print(done.stderr[-3000:])
answer = json.loads(done.stdout)
if not answer["ok"]:
    sys.exit(str(answer))
told = answer["data"]
bundle = project / ".ratchet" / "runs" / told["run_id"] / "package" / "bundle"
model = Model.load(bundle)
test = parts[1].drop("part_of_contest")
row = test.row(0, named=True)
contest.tell(
    model.predict(test).probabilities[:, 1],
    seconds,
    lambda: model.predict(row),
    best=told["best"],
    outcome=told["outcome"],
    reason=told["reason"],
    told=told["seconds"],
    candidates=[
        {key: item[key] for key in ("name", "cv", "test", "trials", "error", "seconds")}
        for item in told["candidates"]
    ],
)
