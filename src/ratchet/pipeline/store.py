"""Step outputs on disk: written aside, renamed when whole, read back by digest."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratchet.errors import StorageError
from ratchet.pipeline.step import FACTS, StepOutput, output_digest

_ERRORS = {
    errno.ENOSPC: ("The disk is full", "free some space and run again: finished steps are kept"),
    errno.EDQUOT: ("The disk quota is used up", "free some space and run again"),
    errno.EACCES: ("A folder cannot be written", "give this user the right to write there"),
    errno.EPERM: ("A folder cannot be written", "give this user the right to write there"),
    errno.EROFS: ("The file system is read-only", "put the project on a disk that can be written"),
}


def storage_fault(error: OSError) -> StorageError:
    """An operating system's error as one of ours."""
    what, fix = _ERRORS.get(error.errno or 0, ("A file cannot be read or written", ""))
    return StorageError(
        what, why=error.strerror or str(error), fix=fix, where=str(error.filename or "")
    )


@contextmanager
def storing() -> Iterator[None]:
    """Let no bare operating system error out."""
    try:
        yield
    except OSError as error:
        raise storage_fault(error) from None


def fresh_folder(run_folder: Path, step: str) -> Path:
    """An empty folder to write a step's outputs to; it starts with a dot until it is whole."""
    with storing():
        partial = run_folder / f".{step}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        return partial


def keep(partial: Path, step: str, facts: Mapping[str, Any]) -> StepOutput:
    """Make a step's outputs final, in one rename."""
    with storing():
        text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (partial / FACTS).write_text(text + "\n", encoding="utf-8")
        digest = output_digest(partial)
        final = partial.parent / step
        # A crash between the rename and the ledger's record leaves a folder nobody knows.
        shutil.rmtree(final, ignore_errors=True)
        for path in partial.rglob("*"):
            if path.is_file():
                _flush(path)
        partial.rename(final)
        _flush(final.parent)
    # As read back, so that a step sees the same whether its inputs were made or reused.
    return StepOutput(step, final, json.loads(text), digest)


def recall(step: str, folder: Path, digest: str) -> StepOutput | None:
    """A step's stored outputs, or None when they are gone or not what was stored."""
    facts = folder / FACTS
    if not facts.is_file() or output_digest(folder) != digest:
        return None
    return StepOutput(step, folder, json.loads(facts.read_text(encoding="utf-8")), digest)


def write_atomic(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    with storing():
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text, encoding="utf-8")
        _flush(partial)
        partial.rename(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
