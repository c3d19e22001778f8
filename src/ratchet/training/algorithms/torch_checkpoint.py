"""Where training stands, on disk: written whole or not at all, read without pickle."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet import clock
from ratchet.ids import canonical_json
from ratchet.training.algorithms.torch_network import read_arrays, write_arrays
from ratchet.training.fitted import TrainingRows

Arrays = dict[str, npt.NDArray[Any]]


class Checkpoint:
    """The file of one fit.

    Args:
        folder: where it lies; None keeps nothing.
        key: digest of everything the fit depends on; it names the file.
        minutes: how long training may be lost; 0 saves after every epoch.
    """

    def __init__(self, folder: Path | None, key: str, minutes: float) -> None:
        self._path = None if folder is None else folder / f"torch-{key}.npz"
        self._seconds = 60.0 * minutes
        self._saved = clock.monotonic()

    def due(self, *, epoch_ended: bool) -> bool:
        """Whether it is time to save."""
        if self._path is None:
            return False
        if not self._seconds:
            return epoch_ended
        return clock.monotonic() - self._saved >= self._seconds

    def save(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Replace the file; whenever the machine stops, the old or the new one is there."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Its own name for each process: two that train the same do not write one file at once.
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        with draft.open("wb") as file:
            file.write(write_arrays(arrays))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        _sync_folder(self._path.parent)
        self._saved = clock.monotonic()

    def load(self) -> Arrays | None:
        """What was saved last; None if there is nothing to go on from."""
        if self._path is None or not self._path.exists():
            return None
        try:
            return read_arrays(self._path.read_bytes())
        except ValueError:
            # A disk lost what it had promised to keep: training begins anew, over this file.
            return None


def fit_key(
    rows: TrainingRows,
    validation: TrainingRows | None,
    settings: Mapping[str, Any],
    start: bytes | None,
) -> str:
    """A digest (32 hex digits) of rows, validation rows, settings and starting point."""
    total = hashlib.blake2b(digest_size=16)
    for part in (rows, validation):
        total.update(b"|")
        if part is None:
            continue
        facts = [part.X.shape, part.categorical, part.classes, str(np.asarray(part.y).dtype)]
        total.update(canonical_json(facts).encode())
        for array in (part.X, part.y, part.weight):
            total.update(b"-" if array is None else np.ascontiguousarray(array).data)
    total.update(canonical_json(dict(settings)).encode())
    total.update(start or b"")
    return total.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename last; where folders cannot be opened (Windows) it does by itself."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
