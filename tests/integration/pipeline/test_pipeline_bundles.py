"""A version whose bundle was altered is refused before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from forked_ratchet import Driver
from made_bundle import make_bundle
from ratchet.errors import DataError
from ratchet.packaging.bundle import verify_bundle
from ratchet.pipeline import rolling
from ratchet.pipeline.steps.register import _keep_bundle
from ratchet.project import load_project
from ratchet_cli import small_project

FORCED = ("--force", "--reason", "to see")


def files(weights: bytes) -> dict[str, bytes]:
    """Those of a bundle."""
    return {"model.1.onnx": weights, "card.md": b"# small\n"}


def opened(folder: Path):
    return load_project(folder, variables={})


def bundle_of(folder: Path, version: int) -> Path:
    return opened(folder).bundles / f"v{version}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three versions; the first one serves, the second one did before."""
    folder = small_project(tmp_path / "small", rows=10)
    loaded = opened(folder)
    with loaded.open_ledger() as ledger:
        for number in (1, 2, 3):
            ledger.start_run(f"run-{number}", trigger="manual")
            digest = make_bundle(loaded.bundles / f"v{number}", files(b"weights %d" % number))
            ledger.add_version(f"run-{number}", digest, f"bundles/v{number}")
            ledger.finish_run(f"run-{number}", "candidate", "made up")
        for number, before in ((2, None), (1, 2)):
            ledger.deploy(number, expected_previous=before, by="anna", reason="go", forced=True)
    return folder


def champion(folder: Path) -> int:
    with opened(folder).open_ledger() as ledger:
        found = ledger.champion()
        assert found is not None
        return found.version


@pytest.mark.parametrize(
    ("version", "arguments"),
    [
        (3, ("promote", "3", *FORCED)),
        (3, ("promote", "3", *FORCED, "--dry-run")),
        (3, ("promote", "3", "--alias", "staging")),
        (3, ("rollout", "start", "3", "--force", "--strategy", "canary")),
        (2, ("rollback",)),
        (2, ("rollback", "--to", "2")),
    ],
)
def test_an_altered_bundle_is_refused_by_name(
    project: Path, driver: Driver, version: int, arguments: tuple[str, ...]
) -> None:
    with (bundle_of(project, version) / "model.1.onnx").open("ab") as file:
        file.write(b"x")
    done = driver.ratchet(*arguments, "--json", cwd=project)
    assert done.code == 3, done.out
    assert done.error["code"] == "bundle_altered"
    assert f"Version {version} cannot serve" in done.error["what"]
    assert done.error["where"].endswith(f"bundles/v{version}/model.1.onnx")
    assert "ratchet models" in done.error["fix"]
    assert champion(project) == 1
    with opened(project).open_ledger() as ledger:
        assert ledger.rollouts() == ()
        assert ledger.current("staging") is None


def test_whole_bundles_pass(project: Path, driver: Driver) -> None:
    assert driver.ratchet("promote", "3", *FORCED, cwd=project).code == 0
    assert champion(project) == 3
    assert driver.ratchet("rollback", cwd=project).code == 0
    assert champion(project) == 1


def test_a_version_is_not_approved_with_an_altered_bundle(project: Path) -> None:
    loaded = opened(project)
    with loaded.open_ledger() as ledger:
        rolling.begin(loaded, ledger, 3, by="anna", reason="go", strategy="manual", forced=True)
        (bundle_of(project, 3) / "card.md").unlink()
        with pytest.raises(DataError, match=r"Version 3 cannot serve: the bundle's card\.md"):
            rolling.approve(loaded, ledger, 3, by="anna", reason="go")
        assert ledger.rollouts()[0].status == "awaiting_approval"
    assert champion(project) == 1


def test_another_bundle_in_its_place_is_seen(project: Path, driver: Driver) -> None:
    shutil.rmtree(bundle_of(project, 3))
    make_bundle(bundle_of(project, 3), files(b"other weights"))
    done = driver.ratchet("promote", "3", *FORCED, "--json", cwd=project)
    assert done.error["code"] == "bundle_replaced"
    assert "not the one that was registered" in done.error["what"]


def test_the_copy_that_the_run_kept_is_named(project: Path, driver: Driver) -> None:
    spare = opened(project).runs / "run-3" / "package" / "bundle"
    shutil.copytree(bundle_of(project, 3), spare)
    shutil.rmtree(bundle_of(project, 3))
    done = driver.ratchet("promote", "3", *FORCED, "--json", cwd=project)
    assert str(spare) in done.error["fix"]


def test_a_run_that_makes_the_model_again_mends_its_bundle(project: Path, tmp_path: Path) -> None:
    loaded = opened(project)
    digest = make_bundle(tmp_path / "package" / "bundle", files(b"new weights"))
    output = SimpleNamespace(
        facts={"digest": digest}, file=lambda name: tmp_path / "package" / name
    )
    context = SimpleNamespace(project=loaded, outputs={"package": output})
    place = _keep_bundle(context)
    (place / "model.1.onnx").write_bytes(b"old")
    assert _keep_bundle(context) == place
    assert verify_bundle(place).digest == digest


@pytest.mark.parametrize(
    ("arguments", "ended"),
    [
        (("promote", "3", *FORCED), ("promoted", 3)),
        (("promote", "2", *FORCED), ("aborted", 2)),
        (("rollout", "clear"), ("aborted", 1)),
        (("rollback",), ("aborted", 2)),
    ],
)
def test_what_changes_what_serves_ends_a_rollout_at_once(
    project: Path, driver: Driver, arguments: tuple[str, ...], ended: tuple[str, int]
) -> None:
    """Nobody looks on here: no loop, and no `ratchet rollout advance`."""
    start = ("rollout", "start", "3", "--force", "--strategy", "canary")
    assert driver.ratchet(*start, cwd=project).code == 0
    planned = driver.ratchet(*arguments, "--dry-run", cwd=project)
    with opened(project).open_ledger() as ledger:
        assert planned.code == 0, planned.out
        assert ledger.rollouts()[0].status == "running"
    assert driver.ratchet(*arguments, cwd=project).code == 0
    with opened(project).open_ledger() as ledger:
        (found,) = ledger.rollouts()
        assert (found.status, champion(project)) == ended
    if ended[1] != 3:
        assert driver.ratchet(*start, cwd=project).code == 0
