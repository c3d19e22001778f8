"""Lives of a rollout, step by step, each step in a process that may be killed in it.

A life is prepared once in a folder; ``step`` takes the step that it is about, ``settle`` does what
the loop's next look would do, ``standing`` tells how everything stands. The functions take texts,
so that ``forked_ratchet.Driver.call`` can call them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ratchet.alerts.messages import compose
from ratchet.alerts.settings import AlertSettings
from ratchet.ledger.rollouts import CHANGED, Rollout
from ratchet.registry.promotion import reconcile
from ratchet.rollout import approval, drive
from ratchet.serving.router import Router
from rollout_world import CLASSES, Behaviour, World

ALERTS = (AlertSettings(url="https://example.org/x", name="team", on=("promoted", "rolled_back")),)
DAY = 24 * 60


class Shown:
    """Aliases kept in a file, as a registry elsewhere keeps them."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "aliases.json"

    def aliases(self, model: str) -> dict[str, str]:
        return dict(json.loads(self.place.read_text())) if self.place.exists() else {}

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        shown = self.aliases(model)
        if version is None:
            shown.pop(alias, None)
        else:
            shown[alias] = version
        self.place.write_text(json.dumps(shown))


@dataclass(frozen=True)
class Life:
    """What comes before the step (``before``), the step itself, and which write it makes."""

    before: Callable[[World], None]
    step: Callable[[World, Path], None]
    write: str = "move_rollout"


def tell(occasion: Any, reason: str, rollout: Rollout) -> Any:
    at = datetime.fromisoformat("2026-11-02T08:00:00+00:00")
    return compose(
        ALERTS, occasion, project="p", reason=reason, at=at, run_id=rollout.run_id, facts={}
    )


def _advance(world: World, folder: Path) -> None:
    drive.advance(
        world.ledger,
        lambda: world.lake,
        classes=lambda version: CLASSES,
        now=world.at,
        registry=lambda: Shown(folder),
        tell=tell,
    )


def _start(strategy: Any) -> Callable[[World, Path], None]:
    def start(world: World, folder: Path) -> None:
        world.start(strategy=strategy)
        drive.show_aliases(world.ledger, lambda: Shown(folder))

    return start


def _approve(world: World, folder: Path) -> None:
    if any(each.status == "awaiting_approval" for each in world.ledger.rollouts()):
        approval.approve(
            world.ledger,
            2,
            by="anna",
            reason="go",
            registry=lambda: Shown(folder),
            tell=tell,
        )


def _abort(world: World, folder: Path) -> None:
    if any(each.open for each in world.ledger.rollouts()):
        drive.abort(world.ledger, by="anna", reason="no", registry=lambda: Shown(folder))


def _served(world: World) -> None:
    world.serve(DAY, 1000)


def _canary(world: World) -> None:
    world.start()
    world.serve(40, 1200)


def _half(world: World) -> None:
    world.start(steps=(50, 100))
    world.serve(40, 1200)


def _bad(world: World) -> None:
    world.behaviours[2] = Behaviour(errors=0.5)
    _canary(world)


def _promoted(world: World, hours: float, **behaviour: float) -> None:
    """Promoted, and watched until the labels of its first day are in."""
    world.label_delay = lambda rng, truth: np.full(len(truth), hours * 3600.0)
    world.behaviours[2] = Behaviour(**behaviour)
    world.serve(2 * DAY, 2500)
    world.start(steps=(50, 100))
    world.serve(40, 1200)
    step = world.advance()
    assert step is not None
    assert step.did == "promoted", step
    world.serve(1.5 * DAY, 2500)


def _waiting(world: World) -> None:
    world.start(strategy="manual")


LIVES = {
    "start": Life(_served, _start("canary"), "begin_rollout"),
    "shadow": Life(_served, _start("shadow"), "begin_rollout"),
    "widen": Life(_canary, _advance),
    "promote": Life(_half, _advance),
    "back": Life(_bad, _advance),
    "watched_back": Life(lambda world: _promoted(world, 6, noise=1.5), _advance),
    "watched_clean": Life(lambda world: _promoted(world, 1), _advance),
    "approve": Life(_waiting, _approve),
    "abort": Life(_canary, _abort),
}


def prepare(folder: Path, name: str) -> None:
    """Live up to the step; the aliases are in line."""
    world = World(folder)
    LIVES[name].before(world)
    align(world, folder)
    world.ledger.close()


def align(world: World, folder: Path) -> None:
    """Bring the aliases in line, and note what time it is."""
    reconcile(world.ledger, Shown(folder))
    (folder / "at.txt").write_text(world.at.isoformat())


def _opened(folder: str, url: str = "", minutes: str = "0") -> World:
    at = datetime.fromisoformat((Path(folder) / "at.txt").read_text())
    return World(Path(folder), at=at + timedelta(minutes=float(minutes)), url=url)


def step(folder: str, name: str, url: str = "") -> None:
    """Take the step that a life is about."""
    LIVES[name].step(_opened(folder, url), Path(folder))


def settle(folder: str, name: str) -> None:
    """The next look: the aliases are brought in line, and the step is asked for again."""
    world = _opened(folder, minutes="1")
    reconcile(world.ledger, Shown(Path(folder)))
    LIVES[name].step(world, Path(folder))
    _advance(world, Path(folder))


def standing(folder: str, url: str = "") -> dict[str, Any]:
    """How everything stands; what must hold at any time is seen to."""
    world = _opened(folder, url)
    ledger = world.ledger
    traffic, champion = ledger.traffic(), ledger.champion()
    assert traffic is not None
    assert champion is not None
    live = ledger.live_rollout()
    challenger = ledger.current("challenger")
    assert ledger.verify_chain().intact
    # Whoever asks is answered, by the champion or by who is being rolled out.
    router = Router(traffic)
    answering = {router.pick(f"e{number}").version for number in range(2000)}
    allowed = {champion.version} | ({live.version} if live is not None and live.open else set())
    assert answering <= allowed, (answering, allowed)
    assert traffic.champion == champion.version
    assert champion.version in answering
    if not traffic.plain:
        assert live is not None, "a split that nobody looks after"
        assert live.record == traffic.seq
    carried = live is not None and live.open and live.status != "awaiting_approval"
    assert (challenger is not None) == carried
    promoted = [row.run_id for row in ledger.deployments("champion") if row.action == "promote"]
    assert len(promoted) == len(set(promoted)), "a run promotes once"
    told = ledger.outbox()
    return {
        "champion": champion.version,
        "arms": {arm.name: [arm.version, arm.share] for arm in traffic.arms},
        "shadow": list(traffic.shadow),
        "deployed": [[row.alias, row.version, row.action] for row in ledger.deployments()],
        "rollouts": [
            [each.version, each.status, each.stage, each.share, each.watch]
            for each in ledger.rollouts()
        ],
        "versions": [[each.version, each.status] for each in ledger.versions()],
        "changes": len(ledger.events(kind=CHANGED)),
        "told": [[entry.occasion, entry.key] for entry in told],
        "aliases": Shown(Path(folder)).aliases("p"),
    }
