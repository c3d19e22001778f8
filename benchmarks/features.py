"""What a look-up in the feature store costs, in SQLite and in Redis, and a push into them.

    python benchmarks/features.py [--entities N] [--rounds N]

Rows like Telco's, 16 texts and 3 numbers. Reads are timed by the wall clock (median) and in CPU
milliseconds, in turns between the stores; once straight, and once as the server does it, on an
event loop with 32 requests at a time. Redis is started here on a free port, and left out where it
is not installed.

Goals (median, one entity / 100 entities): SQLite 0.05 / 1 ms, Redis 0.3 / 3 ms. Feast on Redis took
3.3 / 40 ms on such a machine.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from ratchet.data.schema import Column  # noqa: E402
from ratchet.features.store.open_store import open_store  # noqa: E402
from ratchet.features.store.port import FeatureRow, FeatureSchema, FeatureStore  # noqa: E402
from ratchet.serving.lookup import Lookup  # noqa: E402
from redis_server import RedisServer  # noqa: E402

SCHEMA = FeatureSchema.of(
    [
        *(Column(f"category_{i:02d}", "string") for i in range(16)),
        *(Column(f"number_{i}", "number") for i in range(3)),
    ]
)
GOALS = {("sqlite", 1): 0.05, ("sqlite", 100): 1.0, ("redis", 1): 0.3, ("redis", 100): 3.0}
TEXTS = ("Yes", "No", "Month-to-month", "Electronic check", "No internet service")
AT_ONCE = 32


def rows(count: int) -> Iterator[FeatureRow]:
    dice = random.Random(7)
    for number in range(count):
        texts = dice.choices(TEXTS, k=16)
        yield FeatureRow(entity(number), 1, (*texts, dice.random(), float(number), 70.35))


def entity(number: int) -> str:
    return f"C{number:07d}"


def reads(store: FeatureStore, entities: int, size: int, times: int) -> tuple[float, float]:
    """Median wall and mean CPU milliseconds of a read."""
    dice = random.Random(size)
    walls = []
    cpu = time.process_time()
    for _ in range(times):
        ids = [entity(dice.randrange(entities)) for _ in range(size)]
        start = time.perf_counter()
        found = store.read(ids, SCHEMA)
        walls.append(time.perf_counter() - start)
        assert None not in found
    return statistics.median(walls) * 1e3, (time.process_time() - cpu) / times * 1e3


def served(store: FeatureStore, entities: int, times: int) -> float:
    """CPU milliseconds of a request for one entity, as the server looks it up."""
    dice = random.Random(11)
    lookup = Lookup(lambda: store)

    async def ask() -> None:
        for _ in range(times // AT_ONCE):
            found = await lookup.rows([entity(dice.randrange(entities))])
            assert found[0] is not None

    async def main() -> float:
        await ask()
        start = time.process_time()
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        return (time.process_time() - start) / (times // AT_ONCE * AT_ONCE) * 1e3

    return asyncio.run(main())


def push(store: FeatureStore, entities: int) -> float:
    """CPU microseconds per row of a push."""
    made = list(rows(entities))
    start = time.process_time()
    store.push(made, SCHEMA)
    store.publish(SCHEMA)
    return (time.process_time() - start) / entities * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = RedisServer(folder) if shutil.which("redis-server") else None
        try:
            return compare(folder, server, options.entities, options.rounds)
        finally:
            if server is not None:
                server.stop()


def compare(folder: Path, server: RedisServer | None, entities: int, rounds: int) -> int:
    urls = {"sqlite": f"sqlite:///{folder / 'features.db'}"}
    if server is not None:
        urls["redis"] = server.url
    stores = {name: open_store(url, "benchmark") for name, url in urls.items()}
    for name, store in stores.items():
        print(f"{name:<8} push          {push(store, entities):8.1f} us CPU a row")
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    asked: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, store in stores.items():
            for size, times in ((1, 2_000), (100, 100)):
                found.setdefault((name, size), []).append(reads(store, entities, size, times))
            asked.setdefault(name, []).append(served(store, entities, 3_200))
    missed = 0
    for (name, size), pairs in found.items():
        wall, cpu = (statistics.median(values) for values in zip(*pairs, strict=True))
        goal = GOALS[name, size]
        missed += wall > goal
        verdict = "ok" if wall <= goal else "MISSED"
        print(f"{name:<8} read {size:>3}  {wall:8.3f} ms, {cpu:.3f} CPU; goal {goal} {verdict}")
    for name, values in asked.items():
        cpu = statistics.median(values)
        print(f"{name:<8} on the event loop, {AT_ONCE} at once  {cpu:.3f} ms CPU")
    for store in stores.values():
        store.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
