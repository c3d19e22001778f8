"""The run's rows as the later steps need them: training and test rows, roles and classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.data.snapshot import Snapshot
    from ratchet.data.task import Task
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.workspace import Workspace
    from ratchet.training.all_rows import AllRows

PARTS = "parts.npy"
LEARNED = "learned.npy"
OLDER = 254
"""In the place of a part: a training row that the training window leaves out."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The pinned table, cut as the split step decided.

    ``parts`` (n,) are those of all stored rows; ``kept.UNUSED`` for a row that is in none.
    ``learned`` is the same with ``OLDER`` for training rows that the training window leaves out;
    None where it leaves out none. Where the rows are too many for memory, those of a part are a
    sample of it: see :meth:`count`.
    """

    snapshot: Snapshot
    schema: TableSchema
    roles: Roles
    task: Task
    parts: np.ndarray
    workspace: Workspace = field(repr=False)
    learned: np.ndarray | None = None

    @classmethod
    def of(cls, context: StepContext, *, whole: bool = False) -> Rows:
        """The rows of a run that has been split.

        Once a model was made, training rows are those in its window; ``whole``: all of them.
        """
        import numpy as np

        from ratchet.data.roles import Roles
        from ratchet.data.task import Task
        from ratchet.pipeline.steps.ingest import pinned_snapshot

        split = context.outputs["split"]
        snapshot = pinned_snapshot(context)
        made = None if whole else context.outputs.get("train")
        learned = None
        if made is not None and made.file(LEARNED).is_file():
            learned = np.load(made.file(LEARNED), allow_pickle=False)
        return cls(
            snapshot,
            snapshot.schema,
            Roles.of(context.settings.data),
            Task.from_json(split.facts["task"]),
            np.load(split.file(PARTS), allow_pickle=False),
            context.workspace,
            learned,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that training and evaluation read."""
        special = {self.roles.target, self.roles.id, self.roles.time, self.roles.group}
        wanted = special | set(self.roles.features(self.schema))
        return tuple(name for name in self.schema.names if name in wanted)

    @property
    def train(self) -> pl.DataFrame:
        """The training rows, or those in the training window."""
        if self.learned is None:
            return self._part("train")
        found = self.workspace.newer(self.snapshot, self.parts, self.learned)
        return found.select(self.columns)

    @property
    def train_times(self) -> pl.Series:
        """When each of all the training rows was (n,), in the order they are stored."""
        import numpy as np

        assert self.roles.time is not None
        if not self.workspace.streams(self.snapshot):
            return self._part("train").get_column(self.roles.time)
        everyone = np.flatnonzero(self.parts == 0)
        found = self.workspace.gather(self.snapshot, everyone, self.roles.time)
        return found.get_column(self.roles.time)

    def within(self, kept: np.ndarray) -> Rows:
        """The same rows, of which only those training rows are learned from (n,) that are kept."""
        from dataclasses import replace

        learned = self.parts.copy()
        learned[learned == 0] = (~kept).astype(learned.dtype) * OLDER
        return replace(self, learned=learned)

    @property
    def taught(self) -> np.ndarray:
        """The part of each row (n,), as training sees it."""
        return self.parts if self.learned is None else self.learned

    @property
    def validation(self) -> pl.DataFrame:
        """The validation rows: held out like test rows, but free to be looked at."""
        return self._part("validation")

    @property
    def test(self) -> pl.DataFrame:
        """The test rows."""
        return self._part("test")

    def count(self, name: str) -> int:
        """How many rows a part has, whether all of them fit into memory or not."""
        from ratchet.data.split import PARTS as NAMES

        return int((self.parts == NAMES.index(name)).sum())

    def remarks(self) -> tuple[str, ...]:
        """What of the held-out rows memory has no room for, for people."""
        found = []
        for name in ("test", "validation"):
            there, held = self.count(name), self._part(name).height
            if held < there:
                found.append(f"{held:,} of {there:,} {name} rows were scored: memory holds no more")
        return tuple(found)

    def train_from(self, place: int) -> pl.DataFrame:
        """The training rows that are stored at ``place`` or after it; a sample if they are many."""
        import polars as pl

        if self.workspace.streams(self.snapshot):
            places = self.workspace.places(self.snapshot, self.taught, "train", place)
            return self.workspace.gather(self.snapshot, places).select(self.columns)
        places = self.workspace.places(self.snapshot, self.taught, "train")
        return self.train.filter(pl.Series(places >= place))

    def all_train(self, folder: Path) -> AllRows | None:
        """All training rows where :attr:`train` is a sample of them; None where it is not.

        Args:
            folder: where they may lie encoded while a model learns from them.
        """
        import numpy as np

        from ratchet.training.all_rows import AllRows

        if not self.workspace.streams(self.snapshot):
            return None
        everyone = np.flatnonzero(self.taught == 0)
        sample = self.workspace.places(self.snapshot, self.taught, "train")
        if len(sample) == len(everyone):
            return None
        target = self.workspace.gather(self.snapshot, everyone, self.roles.target)
        return AllRows(
            y=self.task.encode(target.get_column(self.roles.target)),
            sample=np.searchsorted(everyone, sample),
            pieces=lambda: self.workspace.pieces(self.snapshot, everyone, *self.columns),
            folder=folder,
            memory=self.workspace.memory,
        )

    def _part(self, name: str) -> pl.DataFrame:
        return self.workspace.part(self.snapshot, self.parts, name).select(self.columns)
