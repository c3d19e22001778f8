"""The commit of a project's folder, as git itself would say it."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ratchet.pipeline.commit import Commit, read_commit

MADE = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def git(folder: Path, *words: str) -> str:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "HOME": str(folder)}
    who |= {"GIT_COMMITTER_NAME": "a b", "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_NOSYSTEM": "1"}
    dates = {"GIT_AUTHOR_DATE": MADE.isoformat(), "GIT_COMMITTER_DATE": MADE.isoformat()}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **who, **dates}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "ratchet.yaml").write_text("project: p\n", encoding="utf-8")
    git(folder, "add", ".")
    # A message that looks like the line that is searched for.
    git(folder, "commit", "-q", "-m", "first\n\ncommitter x <y> 1 +0000")
    return folder


def test_the_commit_of_a_folder_below_and_its_time(repository: Path) -> None:
    below = repository / "models" / "churn"
    below.mkdir(parents=True)
    assert read_commit(below) == Commit(git(repository, "rev-parse", "HEAD"), MADE)


def test_a_detached_head_a_work_tree_and_packed_refs(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert read_commit(tmp_path / "side") == Commit(head, MADE)
    git(repository, "pack-refs", "--all")
    assert read_commit(repository) == Commit(head, MADE)
    git(repository, "checkout", "-q", "--detach")
    assert read_commit(repository) == Commit(head, MADE)


def test_of_a_packed_commit_it_is_the_time_it_came_here(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "-c", "gc.reflogExpire=never", "gc", "-q")
    assert not (repository / ".git/objects" / head[:2] / head[2:]).exists()
    assert read_commit(repository) == Commit(head, MADE)
    shutil.rmtree(repository / ".git" / "logs")
    assert read_commit(repository) == Commit(head, None)


@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        lambda git: (git / "HEAD").unlink(),
        lambda git: (git / "HEAD").write_text("ref: refs/heads/none\n"),
        lambda git: (git / "HEAD").write_text("ref: ../../../etc/passwd\n"),
        lambda git: (git / "HEAD").write_bytes(b"\xff\xfe"),
        lambda git: (shutil.rmtree(git), git.write_text("gitdir: nowhere\n")),
    ],
)
def test_without_a_commit_there_is_none(spoil, repository: Path) -> None:
    spoil(repository / ".git")
    assert read_commit(repository) is None
