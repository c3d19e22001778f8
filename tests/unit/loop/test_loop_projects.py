"""Projects are found, read once, and seen to move without being opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loop_project import make_project
from ratchet.errors import ConfigError
from ratchet.loop.projects import Opening, find_projects, watch


def test_projects_are_found_two_levels_deep_and_not_inside_each_other(tmp_path: Path) -> None:
    wanted = [make_project(tmp_path / name) for name in ("a", "team/b", "team/c")]
    make_project(tmp_path / "a" / "nested")
    make_project(tmp_path / ".hidden")
    make_project(tmp_path / "one" / "two" / "three")
    assert find_projects(tmp_path) == tuple(wanted)
    assert find_projects(tmp_path / "a") == (tmp_path / "a",)
    assert find_projects(tmp_path / "nowhere") == ()


MOVES = {
    "source": "data.csv",
    "settings": "ratchet.yaml",
    "commit": ".ratchet/lake/predictions/_delta_log/0.json",
    "segment": ".ratchet/serving/log/stream/000001.seg",
    "stream": ".ratchet/serving/log/other/000000.open",
}


@pytest.mark.parametrize("what", MOVES)
def test_what_moves_is_seen(what: str, tmp_path: Path) -> None:
    root = make_project(tmp_path / "p")
    for name in MOVES.values():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / MOVES["stream"]).parent.rmdir()
    watched = watch(root, Opening())
    before = watched.signs()
    assert watched.signs() == before
    file = root / MOVES[what]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        opened.write("more\n")
    assert watched.signs() != before


@pytest.mark.parametrize(
    ("source", "remote"),
    [
        ("{type: csv, path: data.csv}", False),
        ("{type: parquet, path: 'parts/*.parquet'}", False),
        ("{type: postgres, url: 'postgresql://u@h/d', table: t}", True),
        ("{type: production}", False),
        ("{type: delta, path: 's3://bucket/table'}", True),
    ],
)
def test_what_cannot_be_seen_to_change_is_polled(source: str, remote: bool, tmp_path: Path) -> None:
    text = f"project: p\ndata:\n  source: {source}\n  target: y\n"
    (tmp_path / "ratchet.yaml").write_text(text)
    assert watch(tmp_path, Opening()).remote is remote


def test_a_new_file_of_a_glob_is_seen(tmp_path: Path) -> None:
    text = "project: p\ndata:\n  source: {type: csv, path: 'in/*.csv'}\n  target: y\n"
    (tmp_path / "ratchet.yaml").write_text(text)
    (tmp_path / "in").mkdir()
    watched = watch(tmp_path, Opening())
    before = watched.signs()
    (tmp_path / "in" / "new.csv").write_text("x,y\n")
    assert watched.signs() != before


def test_the_address_of_a_ledger_is_not_shown(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", extra="storage: {ledger: 'postgresql://u:secret@h/d'}\n")
    watched = watch(root, Opening())
    assert watched.ledger_file is None
    assert "secret" not in repr(watched)


def test_settings_are_opened_as_asked(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p")
    (root / "ratchet.live.yaml").write_text("loop: {time: 2h}\n")
    opening = Opening("live", ("loop.parallel=3",))
    loop = watch(root, opening).loop
    assert (loop.time, loop.parallel) == ("2h", 3)
    assert Opening.from_json(opening.to_json()) == opening
    with pytest.raises(ConfigError):
        watch(root, Opening(assignments=("loop.parallel=0",)))


def test_the_loop_itself_loads_nothing_heavy() -> None:
    code = "import ratchet.loop.daemon, ratchet.loop.up, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "polars", "deltalake", "mlflow", "sklearn", "onnxruntime"}
