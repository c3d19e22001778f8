"""Warnings of training libraries, kept as notes of the candidate that caused them."""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

OF_NO_INTEREST = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)


class WarningNotes:
    """Collects warnings by the thread that raised them.

    Python's warning filters belong to the process, so they are changed once, around all fits, and
    never inside a worker thread.
    """

    def __init__(self) -> None:
        self._by_thread: dict[int, list[str]] = defaultdict(list)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Take every warning raised meanwhile, in any thread."""
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for category in OF_NO_INTEREST:
                warnings.simplefilter("ignore", category)
            warnings.showwarning = self._note
            yield

    def take(self) -> tuple[str, ...]:
        """What this thread raised since it last asked, each once."""
        return tuple(dict.fromkeys(self._by_thread.pop(threading.get_ident(), [])))

    def _note(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        first = str(message).strip().partition("\n")[0]
        self._by_thread[threading.get_ident()].append(f"{category.__name__}: {first}")
