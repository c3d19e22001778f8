"""The real server in front of one given bundle. Run as a program: ``protocol_server.py FOLDER``.

``FOLDER/.ratchet/bundle`` is the bundle; whatever ``FOLDER/settings.json`` says is ``serving``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bare_server import Served, served
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import open_ledger


@contextmanager
def serve_bundle(
    folder: Path, bundle: Path, *, id: str | None = None, target: str = "Churn", **settings: Any
) -> Iterator[Served]:
    """A server of ``bundle`` until the body ends; the project is called ``churn``."""
    state = folder / ".ratchet"
    state.mkdir(parents=True)
    shutil.copytree(bundle, state / "bundle")
    (folder / "settings.json").write_text(json.dumps({"port": 0, **settings}))
    (folder / "roles.json").write_text(json.dumps({"id": id, "target": target}))
    _promote(state)
    with served([__file__, folder], folder / "errors.txt") as server:
        yield server


def _promote(state: Path) -> None:
    from ratchet.packaging.model import Model

    model = Model.load(state / "bundle")
    with _ledger(state) as ledger:
        ledger.start_run("r1", trigger="manual")
        ledger.record_gates("r1", [GateRecord("minimum.roc_auc", True)])
        version = ledger.add_version(
            "r1",
            model.digest,
            "bundle",
            threshold=model.threshold,
            schema_digest=model.signature.inputs_digest,
        ).version
        ledger.deploy(version, expected_previous=None, by="test", reason="to be served")


def _ledger(state: Path) -> Any:
    return open_ledger(f"sqlite:///{state / 'ledger.db'}", project="churn")


def main(folder: Path) -> int:
    from ratchet.features.store.open_store import open_store
    from ratchet.serving.server import Plan, serve
    from ratchet.serving.settings import ServingSettings
    from ratchet.serving.site import Site
    from ratchet.serving.wiring import assemble

    state = folder / ".ratchet"
    roles = json.loads((folder / "roles.json").read_text())
    site = Site(
        project="churn",
        root=folder,
        state=state,
        settings=ServingSettings.model_validate_json((folder / "settings.json").read_text()),
        id=roles["id"],
        time=None,
        target=roles["target"],
        alerts=(),
        open_ledger=lambda: _ledger(state),
        open_lake=_nothing,
        open_features=lambda: open_store(f"sqlite:///{state / 'features.db'}", "churn"),
    )

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    plan = Plan(
        site,
        lambda board: assemble(site, board, tell=say),
        lambda ready: print(json.dumps(asdict(ready)), flush=True),
        say,
    )
    return serve(plan)


def _nothing() -> Any:
    raise AssertionError("not a part of this test")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
