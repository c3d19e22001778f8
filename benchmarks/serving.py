"""What a request costs: Ratchet's server beside those that teams use, and beside the floor.

    python benchmarks/serving.py [--seconds 2] [--rounds 9] [--contenders NAME ...]

The same Telco LightGBM model, one worker each on a core of its own, wrk (Debian's package) on
another core, loopback. All servers run all the time, and one after the other is asked for
``seconds``, so that a slow moment of the machine meets all of them; what is compared is compared
within a round, and the median of the rounds is told. Each has an environment of its own, made here
under the cache folder. The floor is a bare ASGI app that decodes the JSON, runs the
ONNX session and encodes the answer; Ratchet validates, routes and logs as well. Printed for 1 and
32 connections and for bodies of 1,000 rows, as objects and, where a protocol has that, by column
(the same rows; the Open Inference Protocol, and MLflow's ``inputs``): CPU milliseconds a request,
requests a second, the median and the 99th percentile of the latency, those of CPU and percentile
as multiples of the floor's too, and the CPU of ``mlflow models serve`` as a multiple of each; and
CPU-seconds until ready, and the resident memory of a server and its processes.

A request's CPU is that of the serving processes. What it costs to move the log into the lake
later, which a process beside Ratchet's server does with low priority, is told by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data" / "telco_churn" / "data.parquet"
CACHE = Path(tempfile.gettempdir()) / "ratchet-serving"
SERVERS = HERE / "servers"
TICK = os.sysconf("SC_CLK_TCK")
LOADS = {
    "1 connection": (1, 1, False),
    "32 connections": (32, 1, False),
    "1,000 rows": (1, 1_000, False),
    "1,000 rows, by column": (1, 1_000, True),
}
"""Name to connections, rows of a body, and whether it holds them by column."""
BODIES = 100

Records = list[dict[str, Any]]


def _records(rows: Records) -> Any:
    return {"records": rows}


def _one_or_many(rows: Records) -> Any:
    return {"record": rows[0]} if len(rows) == 1 else {"records": rows}


def _for_mlflow(rows: Records) -> Any:
    return {"dataframe_records": rows}


def _columns_for_mlflow(rows: Records) -> Any:
    return {"inputs": {name: [row[name] for row in rows] for name in rows[0]}}


def _tensors(rows: Records) -> Any:
    kinds = {str: "BYTES", int: "INT64", float: "FP64"}
    return {
        "inputs": [
            {
                "name": name,
                "shape": [len(rows)],
                "datatype": kinds[type(rows[0][name])],
                "data": [row[name] for row in rows],
            }
            for name in rows[0]
        ]
    }


@dataclass(frozen=True)
class Contender:
    """A server: what it needs, how it starts on a port, and what it is asked."""

    name: str
    packages: tuple[str, ...]
    command: Callable[[Path, str, int], list[str]]
    path: str
    body: Callable[[Records], Any]
    ready: str = "/"
    by_column: tuple[str, Callable[[Records], Any]] | None = None


def _script(name: str) -> Callable[[Path, str, int], list[str]]:
    return lambda cache, python, port: [python, str(SERVERS / name), str(port)]


def _ratchet(cache: Path, python: str, port: int) -> list[str]:
    project = str(cache / "project")
    return [python, "-m", "ratchet", "serve", "--project", project, "--port", str(port)]


def _unmoved(cache: Path, python: str, port: int) -> list[str]:
    return [*_ratchet(cache, python, port), "--set", "serving.log.compact=10h"]


def _unlogged(cache: Path, python: str, port: int) -> list[str]:
    return [python, str(SERVERS / "unlogged.py"), str(cache / "project"), str(port)]


def _mlflow(cache: Path, python: str, port: int) -> list[str]:
    return [
        str(Path(python).parent / "mlflow"), "models", "serve", "--model-uri",
        str(cache / "model" / "mlflow"), "--env-manager", "local", "--port", str(port),
        "--host", "127.0.0.1", "--workers", "1",
    ]  # fmt: skip


def _bento(cache: Path, python: str, port: int) -> list[str]:
    return [
        python, "-m", "bentoml", "serve", "bento_service:Churn", "--port", str(port),
        "--host", "127.0.0.1", "--working-dir", str(SERVERS),
    ]  # fmt: skip


def _mlserver(cache: Path, python: str, port: int) -> list[str]:
    folder = cache / "mlserver-model"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1", "http_port": port, "grpc_port": _free_port(),
        "metrics_port": _free_port(), "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "churn", "implementation": "mlserver_runtime.Churn"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(Path(python).parent / "mlserver"), "start", str(folder)]


_OPEN_INFERENCE = ("/v2/models/churn/infer", _tensors)

CONTENDERS = (
    Contender("floor", (), _script("floor.py"), "/", _one_or_many),
    Contender("ratchet", (), _ratchet, "/v1/predict", _one_or_many, "/readyz", _OPEN_INFERENCE),
    Contender(
        "without log", (), _unlogged, "/v1/predict", _one_or_many, "/readyz", _OPEN_INFERENCE
    ),
    Contender(
        "mlflow",
        ("mlflow>=3.13,<4", "scikit-learn", "lightgbm", "pandas", "cloudpickle"),
        _mlflow,
        "/invocations",
        _for_mlflow,
        "/ping",
        ("/invocations", _columns_for_mlflow),
    ),
    Contender(
        "fastapi",
        ("fastapi", "uvicorn[standard]", "scikit-learn", "lightgbm", "pandas"),
        _script("fastapi_sklearn.py"),
        "/predict",
        _records,
    ),
    Contender(
        "bentoml", ("bentoml", "onnxruntime", "numpy"), _bento, "/predict", _records, "/readyz"
    ),
    Contender(
        "mlserver",
        ("mlserver", "onnxruntime", "numpy"),
        _mlserver,
        "/v2/models/churn/infer",
        _tensors,
        "/v2/models/churn/ready",
        _OPEN_INFERENCE,
    ),
)


@dataclass(frozen=True)
class Measured:
    cpu_ms: float
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--contenders", nargs="+", default=[item.name for item in CONTENDERS])
    parser.add_argument("--cache", type=Path, default=CACHE)
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("this needs wrk: apt-get install wrk")
    _prepare(asked.cache)
    items = [item for item in CONTENDERS if item.name in asked.contenders]
    found: dict[str, dict[str, list[Measured]]] = {item.name: {} for item in items}
    ready: dict[str, float] = {}
    resident: dict[str, list[float]] = {item.name: [] for item in items}
    with ExitStack() as stack:
        running = []
        for item in items:
            server, port, ready[item.name] = stack.enter_context(_serving(item, asked.cache))
            running.append((item, server, port))
        for load, (_, _, by_column) in LOADS.items():
            for turn in range(asked.rounds):
                for item, server, port in running:
                    if by_column and item.by_column is None:
                        continue
                    made = _load(item, server, port, load, asked, warm=not turn)
                    found[item.name].setdefault(load, []).append(made)
                    resident[item.name].append(_resident(server) / 2**20)
    _show(found, ready, resident)
    if "ratchet" in found:
        _show_moving(asked)


# -- the servers ----------------------------------------------------------------------------


@contextmanager
def _serving(item: Contender, cache: Path) -> Iterator[tuple[int, int, float]]:
    """The server's process id, port, and CPU-seconds until it was ready."""
    port = _free_port()
    python = _environment(item, cache)
    paths = {"MODEL": str(cache / "model"), "PYTHONPATH": str(SERVERS)}
    own = {**os.environ, **paths, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    own["PATH"] = f"{Path(python).parent}{os.pathsep}{own['PATH']}"
    command = item.command(cache, python, port)
    if (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", "0", *command]
    with (cache / f"{item.name}.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=own, cwd=cache, start_new_session=True
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{item.ready}", cache / f"{item.name}.log")
            yield process.pid, port, _cpu(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    sys.exit(f"{url} never answered:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _environment(item: Contender, cache: Path) -> str:
    if not item.packages:
        return sys.executable
    folder = cache / item.name
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"installing {', '.join(item.packages)} (minutes)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *item.packages], check=True)
        (folder / ".ready").touch()
    return str(python)


# -- the load -------------------------------------------------------------------------------


def _load(
    item: Contender,
    server: int,
    port: int,
    load: str,
    asked: argparse.Namespace,
    *,
    warm: bool,
) -> Measured:
    connections, rows, by_column = LOADS[load]
    path, body = item.by_column if by_column and item.by_column else (item.path, item.body)
    kind = f"{rows}.columns" if by_column else f"{rows}"
    script = _bodies(asked.cache / f"{item.name}.{kind}.lua", body, rows)
    if warm:
        _wrk(script, port, path, connections, 1.0)
    before = _serving_cpu(server)
    told = _wrk(script, port, path, connections, asked.seconds)
    spent = _serving_cpu(server) - before
    count, seconds, p50, p99, errors = (float(part) for part in told.split())
    if errors or not count:
        print(f"{item.name}: {errors:.0f} of {count:.0f} answers were no 2xx", file=sys.stderr)
    count = max(count, 1.0)
    return Measured(1e3 * spent / count, count / seconds, p50, p99, int(errors))


def _wrk(script: Path, port: int, path: str, connections: int, seconds: float) -> str:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
    if (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", "1", *command]
    done = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.search(r"told (.*)", done.stdout).group(1)  # type: ignore[union-attr]


def _bodies(script: Path, body: Callable[[Records], Any], rows: int) -> Path:
    """A wrk script that sends one body after the other."""
    if script.exists():
        return script
    table = _customers()
    many = BODIES if rows == 1 else 10
    parts = (table.slice((place * rows) % (table.height - rows), rows) for place in range(many))
    texts = [json.dumps(body(part.to_dicts())) for part in parts]
    quoted = ",\n".join(f"[==[{text}]==]" for text in texts)
    script.write_text(
        f"local bodies = {{\n{quoted}\n}}\nlocal place = 0\n"
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        "function request()\n  place = place % #bodies + 1\n"
        "  return wrk.format(nil, nil, nil, bodies[place])\nend\n"
        "function done(summary, latency)\n  local e = summary.errors\n"
        '  print(string.format("told %d %f %f %f %d", summary.requests, summary.duration / 1e6,\n'
        "    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,\n"
        "    e.status + e.timeout + e.read + e.write + e.connect))\nend\n"
    )
    return script


def _customers() -> pl.DataFrame:
    table = pl.read_parquet(DATA).drop("customerID", "Churn")
    return table.drop_nulls()


def _show_moving(asked: argparse.Namespace) -> None:
    """What it costs to move rows from the log into the lake, in CPU microseconds each."""
    print(f"\n{'moving the log, CPU us a row':30}{'rows':>10}")
    for load in LOADS:
        _move(asked.cache)
        item = replace(
            next(each for each in CONTENDERS if each.name == "ratchet"), command=_unmoved
        )
        with _serving(item, asked.cache) as (server, port, _):
            _load(item, server, port, load, asked, warm=False)
            os.kill(server, signal.SIGKILL)  # or it would move the log itself
        rows, seconds = _move(asked.cache)
        print(f"{load:24}{1e6 * seconds / rows:6.1f}{rows:10}")


def _move(cache: Path) -> tuple[int, float]:
    """Move what waits: its rows, and the CPU-seconds beyond those of moving nothing."""
    spent, rows = [], 0
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "ratchet", "data", "compact", "--json", "--project"]
        done = subprocess.run(
            [*command, str(cache / "project")], check=True, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        rows += int(json.loads(done.stdout)["data"]["served"])
    return rows, spent[0] - spent[1]


# -- processes ------------------------------------------------------------------------------


def _family(pid: int) -> Iterable[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))


def _cpu(pid: int) -> float:
    """CPU-seconds of a process and those it started."""
    total = 0
    for member in _family(pid):
        parts = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(part) for part in parts[11:15])
    return total / TICK


def _serving_cpu(pid: int) -> float:
    """CPU-seconds of a process and those beside it that answer too."""
    total = 0
    for member in _family(pid):
        command = Path(f"/proc/{member}/cmdline").read_bytes().split(b"\0")
        if b"compact" not in command:
            parts = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            total += int(parts[11]) + int(parts[12])
    return total / TICK


def _resident(pid: int) -> int:
    total = 0
    for member in _family(pid):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{member}/status").read_text())
        total += int(found.group(1)) * 1024 if found else 0
    return total


# -- the model ------------------------------------------------------------------------------


def _prepare(cache: Path) -> None:
    """The project whose champion is served, and its model for the others."""
    model = cache / "model"
    if (model / ".ready").exists():
        return
    project = cache / "project"
    shutil.rmtree(project, ignore_errors=True)
    shutil.rmtree(model, ignore_errors=True)
    project.mkdir(parents=True)
    model.mkdir()
    pl.read_parquet(DATA).drop_nulls().write_parquet(project / "data.parquet")
    settings = {
        "project": "churn",
        "data": {
            "source": {"type": "parquet", "path": "data.parquet"},
            "target": "Churn",
            "id": "customerID",
        },
        "training": {"algorithms": {"lightgbm": {}}, "tuning": "off"},
    }
    (project / "ratchet.yaml").write_text(yaml.safe_dump(settings))
    subprocess.run(
        [sys.executable, "-m", "ratchet", "run", "--project", str(project)],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    (bundle,) = (project / ".ratchet" / "bundles").iterdir()
    shutil.copy(bundle / "model.onnx", model)
    (model / "encoder.json").write_text(json.dumps(_encoder(bundle)))
    table = cache / "customers.csv"
    pl.read_parquet(DATA).drop_nulls().drop("customerID").write_csv(table)
    for name, script, out in (
        ("fastapi", "fit_pipeline.py", model / "pipeline.joblib"),
        ("mlflow", "log_mlflow.py", model / "mlflow"),
    ):
        python = _environment(next(item for item in CONTENDERS if item.name == name), cache)
        subprocess.run([python, SERVERS / script, table, out], check=True)
    (model / ".ready").touch()


def _encoder(bundle: Path) -> list[tuple[str, dict[str, float]]]:
    """The recipe as plain look-ups: each column's name, and the codes of its categories."""
    found: list[tuple[str, dict[str, float]]] = []
    for step in json.loads((bundle / "recipe.json").read_text())["encoders"]:
        if step["encoder"] == "lookup":
            codes = (row[0] for row in step["rows"])
            found.append((step["source"][0], dict(zip(step["categories"], codes, strict=True))))
        else:
            found.append((step["columns"][0], {}))
    return found


# -- the tables -----------------------------------------------------------------------------


def _show(
    found: dict[str, dict[str, list[Measured]]],
    ready: dict[str, float],
    resident: dict[str, list[float]],
) -> None:
    for load in LOADS:
        print(f"\n{load}")
        heads = ("CPU ms", "x floor", "mlflow x", "req/s", "p50 ms", "p99 ms", "x floor")
        print(f"{'':12}{''.join(f'{head:>9}' for head in heads)}{'errors':>8}")
        for name, rounds in found.items():
            if load not in rounds:
                continue
            made = _median(rounds[load])
            cpu, p99 = _times(rounds[load], found.get("floor", {}).get(load))
            theirs = found.get("mlflow", {}).get(load)
            less = 1 / _times(rounds[load], theirs)[0]
            print(
                f"{name:12}{made.cpu_ms:9.3f}{cpu:9.2f}{less:9.1f}{made.per_second:9.1f}"
                f"{made.p50_ms:9.2f}{made.p99_ms:9.2f}{p99:9.2f}{made.errors:8}"
            )
    # At times a process beside Ratchet's server moves the log into the lake: that is the most.
    print(f"\n{'':12}{'ready after CPU s':>19}{'resident MB':>13}{'at most':>9}")
    for name in found:
        usual, most = statistics.median(resident[name]), max(resident[name])
        print(f"{name:12}{ready[name]:19.2f}{usual:13.0f}{most:9.0f}")


def _times(rounds: list[Measured], floor: list[Measured] | None) -> tuple[float, float]:
    """How many times another's CPU and 99th percentile: the medians over the rounds."""
    if floor is None:
        return float("nan"), float("nan")
    pairs = list(zip(rounds, floor, strict=True))
    return (
        statistics.median(own.cpu_ms / least.cpu_ms for own, least in pairs),
        statistics.median(own.p99_ms / least.p99_ms for own, least in pairs),
    )


def _median(rounds: list[Measured]) -> Measured:
    return Measured(
        *(statistics.median(getattr(item, field) for item in rounds)
          for field in ("cpu_ms", "per_second", "p50_ms", "p99_ms")),
        errors=sum(item.errors for item in rounds),
    )  # fmt: skip


if __name__ == "__main__":
    main()
