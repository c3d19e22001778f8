"""A disk of a few megabytes that a test may fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of so many bytes; skips the test where nobody may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        # Lazily: a library may still have a file of it open.
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(disk: Path, left: int = 0) -> Iterator[None]:
    """The disk without room but for so many bytes."""
    filler = disk / "filler"
    state = os.statvfs(disk)
    wanted = max(0, state.f_bavail * state.f_frsize - left)
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            # Others may write here meanwhile: then it is full a little sooner.
            while wanted > 0:
                wanted -= file.write(bytes(min(wanted, 1 << 16)))
        yield
    finally:
        filler.unlink()
