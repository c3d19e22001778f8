"""The commit that a project's folder is at, read from `.git` without running git."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_COMMITTED = re.compile(rb"^committer .* (\d{1,12}) [+-]\d{4}$", re.MULTILINE)
_MOVED = re.compile(r" (\d{1,12}) [+-]\d{4}\t")
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit.

    Attributes:
        at: when it was made; when it came here, where only that is known; None where neither is.
    """

    commit: str
    at: datetime | None = None


def read_commit(folder: Path) -> Commit | None:
    """The commit that is checked out at a folder or above it; None where there is none."""
    for place in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            if (place / ".git").exists():
                return _commit_of(_git_folder(place / ".git"))
    return None


def _git_folder(git: Path) -> Path:
    """The folder itself, or that of a work tree or submodule, which a file names."""
    if git.is_dir():
        return git
    named = git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
    return (git.parent / named).resolve()


def _commit_of(git: Path) -> Commit | None:
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    shared = git
    with suppress(FileNotFoundError):
        shared = (git / (git / "commondir").read_text(encoding="utf-8").strip()).resolve()
    digest = head
    if head.startswith("ref:"):
        digest = _named(head.partition(":")[2].strip(), git, shared)
    if not _HASH.match(digest):
        return None
    return Commit(digest, _made(shared, digest) or _came(git, digest))


def _named(ref: str, git: Path, shared: Path) -> str:
    if ".." in ref:
        return ""
    for place in (git, shared):
        with suppress(FileNotFoundError):
            return (place / ref).read_text(encoding="utf-8").strip()
    with suppress(FileNotFoundError):
        for line in (shared / "packed-refs").read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition(" ")
            if name == ref:
                return digest
    return ""  # a branch without a commit


def _made(shared: Path, digest: str) -> datetime | None:
    """When it was committed, where it lies as a file of its own."""
    with suppress(OSError, zlib.error):
        raw = (shared / "objects" / digest[:2] / digest[2:]).read_bytes()
        text = zlib.decompressobj().decompress(raw, _LARGEST)
        found = _COMMITTED.search(text.partition(b"\n\n")[0])
        if text.startswith(b"commit ") and found is not None:
            return datetime.fromtimestamp(int(found[1]), UTC)
    return None


def _came(git: Path, digest: str) -> datetime | None:
    """When it was checked out or pulled, where it lies in a pack."""
    with suppress(OSError, UnicodeDecodeError):
        for line in (git / "logs" / "HEAD").read_text(encoding="utf-8").splitlines():
            found = _MOVED.search(line)
            if line.split(" ")[1:2] == [digest] and found is not None:
                return datetime.fromtimestamp(int(found[1]), UTC)
    return None
