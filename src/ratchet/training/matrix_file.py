"""Encoded rows on disk, for algorithms that read them in pieces.

The file has no name: it is gone when it is closed, or when the process ends in whatever way. It is
read with ``read`` into arrays of its own, not mapped: mapped pages count as memory of the process.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from types import TracebackType

import numpy as np

from ratchet.training.fitted import Matrix

PIECE_BYTES = 16 << 20


class MatrixFile:
    """A float32 matrix (rows, columns) that is written once and read often, from any thread.

    Args:
        folder: where the file lies while it is needed.
        columns: of the matrix.
        memory: bytes that what an algorithm makes of the matrix may take.
    """

    def __init__(self, folder: Path, columns: int, memory: int) -> None:
        self.columns = columns
        self.memory = memory
        self.folder = folder
        self.rows = 0
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - see close
        self._lock = threading.Lock()

    @property
    def piece_rows(self) -> int:
        """Rows that are worth reading at once."""
        return max(1, PIECE_BYTES // (4 * max(1, self.columns)))

    @property
    def cells(self) -> int:
        """Rows x columns."""
        return self.rows * self.columns

    def append(self, matrix: Matrix) -> None:
        """Write further rows at the end.

        Raises:
            OSError: the disk is full, or fails.
        """
        view = _bytes(np.ascontiguousarray(matrix, dtype=np.float32))
        with self._lock:
            self._file.seek(0, 2)
            while view.nbytes:
                view = view[self._file.write(view) :]
        self.rows += len(matrix)

    def read(self, start: int, stop: int) -> Matrix:
        """The rows from ``start`` to ``stop``."""
        stop = min(stop, self.rows)
        found = np.empty((max(0, stop - start), self.columns), dtype=np.float32)
        view = _bytes(found)
        with self._lock:
            self._file.seek(4 * start * self.columns)
            while view.nbytes:
                got = self._file.readinto(view)
                if not got:
                    raise EOFError("the file of encoded rows ends too early")
                view = view[got:]
        return found

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def __enter__(self) -> MatrixFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _bytes(matrix: Matrix) -> memoryview:
    """The memory of a matrix, byte by byte."""
    return matrix.reshape(-1).view(np.uint8).data
