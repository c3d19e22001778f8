"""The run's rows as the later steps need them: training and test rows, roles and classes."""

from __future__ import annotations

from dataclasses import dataclass, field
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

PARTS = "parts.npy"


@dataclass(frozen=True, slots=True)
class Rows:
    """The pinned table, cut as the split step decided."""

    snapshot: Snapshot
    schema: TableSchema
    roles: Roles
    task: Task
    parts: np.ndarray
    workspace: Workspace = field(repr=False)

    @classmethod
    def of(cls, context: StepContext) -> Rows:
        """The rows of a run that has been split."""
        import numpy as np

        from ratchet.data.roles import Roles
        from ratchet.data.task import Task
        from ratchet.pipeline.steps.ingest import pinned_snapshot

        split = context.outputs["split"]
        snapshot = pinned_snapshot(context)
        return cls(
            snapshot,
            snapshot.schema,
            Roles.of(context.settings.data),
            Task.from_json(split.facts["task"]),
            np.load(split.file(PARTS), allow_pickle=False),
            context.workspace,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that training and evaluation read."""
        special = {self.roles.target, self.roles.id, self.roles.time, self.roles.group}
        wanted = special | set(self.roles.features(self.schema))
        return tuple(name for name in self.schema.names if name in wanted)

    @property
    def train(self) -> pl.DataFrame:
        """The training rows."""
        return self._part("train")

    @property
    def validation(self) -> pl.DataFrame:
        """The validation rows: held out like test rows, but free to be looked at."""
        return self._part("validation")

    @property
    def test(self) -> pl.DataFrame:
        """The test rows."""
        return self._part("test")

    def train_from(self, place: int) -> pl.DataFrame:
        """The training rows that are stored at ``place`` or after it."""
        import polars as pl

        from ratchet.data.split import TRAIN

        kept = self.workspace.table(self.snapshot)
        places = (
            pl.Series(kept.places)
            if kept.places is not None
            else pl.int_range(kept.frame.height, eager=True)
        )
        chosen = (places >= place) & pl.Series(self.parts == TRAIN)
        return kept.frame.filter(chosen).select(self.columns)

    def _part(self, name: str) -> pl.DataFrame:
        return self.workspace.part(self.snapshot, self.parts, name).select(self.columns)
