"""What the server knows of the project it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratchet.alerts.settings import AlertSettings
    from ratchet.data.lake import Lake
    from ratchet.features.store.port import FeatureStore
    from ratchet.ledger.served import ServedLedger
    from ratchet.serving.settings import ServingSettings


@dataclass(frozen=True, slots=True)
class Site:
    """The project, as far as serving is concerned; its stores are opened when first needed.

    Attributes:
        root: the project's folder; certificates are found from here.
        state: the folder of everything kept beside the project file.
        id: the column that names a row's entity, if there is one.
        time: the column that says when, if there is one.
        target: the column that is predicted; a request that holds it is refused.
        open_ledger: opens the ledger, which is there: making one in place of one that is gone
            would forget the keys, and whatever serves.
        hash_key: the key of hashed columns, when one is set.
    """

    project: str
    root: Path
    state: Path
    settings: ServingSettings
    id: str | None
    time: str | None
    target: str
    alerts: tuple[AlertSettings, ...]
    open_ledger: Callable[[], ServedLedger]
    open_lake: Callable[[], Lake]
    open_features: Callable[[], FeatureStore]
    hash_key: str | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """The folder of the server's own files."""
        return self.state / "serving"

    @property
    def log_folder(self) -> Path:
        """The folder of the prediction log's segments."""
        return self.folder / "log"
