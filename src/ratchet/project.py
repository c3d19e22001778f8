"""A project: the folder that holds ``ratchet.yaml``, its settings, and the way to its stores."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from ratchet.alerts.settings import AlertSettings
from ratchet.checks.settings import ChecksSettings
from ratchet.config.fields import resolve_key
from ratchet.config.load import PREFIX, Origins, load_settings
from ratchet.config.loop import LoopSettings
from ratchet.config.secrets import resolve
from ratchet.config.section import Section
from ratchet.config.storage import StorageSettings
from ratchet.data.settings import DataSettings
from ratchet.errors import ConfigError, StorageError, UsageError
from ratchet.features.settings import FeaturesSettings
from ratchet.gates.settings import GatesSettings
from ratchet.monitoring.settings import MonitoringSettings
from ratchet.rollout.settings import RolloutSettings
from ratchet.serving.settings import ServingSettings
from ratchet.training.settings import TrainingSettings
from ratchet.triggers.settings import TriggersSettings

if TYPE_CHECKING:
    from ratchet.data.lake import Lake
    from ratchet.data.settings import SourceSettings
    from ratchet.features.store.port import FeatureStore
    from ratchet.ledger.served import ServedLedger
    from ratchet.ledger.store import Ledger
    from ratchet.registry.mlflow import MlflowTracking
    from ratchet.serving.site import Site

FILE = "ratchet.yaml"
STATE = ".ratchet"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")


class ProjectSettings(Section):
    """The whole of ``ratchet.yaml``."""

    project: str = Field(
        description="The project's name; also the MLflow experiment and registered model."
    )
    description: str = Field(
        default="",
        description="What the model is for, in a sentence or two; goes on the model card.",
    )
    data: DataSettings = Field(description="Where the table comes from and what its columns are.")
    checks: ChecksSettings = Field(
        default_factory=ChecksSettings, description="What must hold of the data before training."
    )
    features: FeaturesSettings = Field(
        default_factory=FeaturesSettings, description="Features made from the table's columns."
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="Algorithms and how the best one is chosen."
    )
    gates: GatesSettings = Field(
        default_factory=GatesSettings, description="What a model must prove before it may serve."
    )
    rollout: RolloutSettings = Field(
        default_factory=RolloutSettings, description="How a model that passed comes to serve."
    )
    serving: ServingSettings = Field(
        default_factory=ServingSettings, description="The HTTP server and its prediction log."
    )
    monitoring: MonitoringSettings = Field(
        default_factory=MonitoringSettings, description="Watching what serves."
    )
    triggers: TriggersSettings = Field(
        default_factory=TriggersSettings, description="When the loop trains again."
    )
    loop: LoopSettings = Field(
        default_factory=LoopSettings, description="How `ratchet loop` looks after the project."
    )
    alerts: tuple[AlertSettings, ...] = Field(default=(), description="Who is told, and of what.")
    storage: StorageSettings = Field(
        default_factory=StorageSettings, description="Where things are kept."
    )

    @field_validator("project")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not _NAME.match(value):
            raise ValueError(
                "a project's name is letters, digits, '.', '_' and '-', at most 63 of them, "
                "and starts with a letter or digit"
            )
        return value

    @model_validator(mode="after")
    def _schedules_set_what_there_is(self) -> ProjectSettings:
        for schedule in self.triggers.schedule:
            if schedule.set:
                self._try_settings(schedule.name, schedule.set)
        return self

    def _try_settings(self, schedule: str, changes: Mapping[str, Any]) -> None:
        """See that a schedule's own settings fit: else it would be told when it fires."""
        values = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        values["triggers"] = {}
        for key, value in changes.items():
            place = values
            try:
                path = resolve_key(ProjectSettings, key.split("."), "triggers.schedule", exact=True)
            except ConfigError as error:
                raise ValueError(
                    f"schedule {schedule} sets what there is not: {key}; {error.fix}"
                ) from None
            if path[0] in ("project", "triggers", "storage"):
                raise ValueError(f"schedule {schedule} cannot set {key}: its runs share it")
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = value
        try:
            ProjectSettings.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(
                f"schedule {schedule} cannot set {'.'.join(map(str, first['loc']))}: "
                + first["msg"].removeprefix("Value error, ")
            ) from None


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder, opened.

    Attributes:
        root: the folder that holds ``ratchet.yaml``.
        settings: the validated settings.
        origins: where each setting was made.
        environment: the overlay in use, or None.
    """

    root: Path
    settings: ProjectSettings
    origins: Origins
    environment: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The project's name."""
        return self.settings.project

    @property
    def state(self) -> Path:
        """The folder of everything Ratchet keeps beside the project file."""
        return self.root / STATE

    @property
    def runs(self) -> Path:
        """The folder of the runs' outputs."""
        return self.state / "runs"

    @property
    def bundles(self) -> Path:
        """The folder of the registered bundles."""
        return self.state / "bundles"

    def prepare_state(self) -> None:
        """Make the state folder, with a note to version control to leave it alone.

        Raises:
            StorageError: the folder cannot be written.
        """
        try:
            self.state.mkdir(exist_ok=True)
            ignore = self.state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"The folder {self.state} cannot be written",
                why=error.strerror or str(error),
                fix="give the user that runs ratchet the right to write there",
                where=str(self.state),
            ) from None

    def secret(self, text: str, *path: str | int) -> str:
        """A setting's text with its ``${NAME}`` filled in from the environment."""
        return resolve(text, self.variables, where=self.origins.nearest(path))

    def source_settings(self, data: Path | None = None) -> SourceSettings:
        """The source to read: as configured, or the file ``data`` read in the same way."""
        source = self.settings.data.source
        if data is not None:
            return source_for_file(source, data)
        if source.url is not None:
            return source.model_copy(
                update={"url": self.secret(source.url, "data", "source", "url")}
            )
        if source.type == "production":
            return self._production(source)
        return source

    def _production(self, source: SourceSettings) -> SourceSettings:
        """The source with the lake that it reads, and the secrets of the table before it."""
        lake = self.lake_uri
        if source.path is not None:
            kept = self.secret(source.path, "data", "source", "path")
            lake = kept if "://" in kept else str(self.root / kept)
        base = source.base
        if base is not None and base.url is not None:
            url = self.secret(base.url, "data", "source", "base", "url")
            base = base.model_copy(update={"url": url})
        return source.model_copy(update={"path": lake, "base": base})

    def open_ledger(self, *, create: bool = True) -> Ledger:
        """The ledger; its schema is brought up to date."""
        from ratchet.ledger.store import open_ledger

        if create:
            self.prepare_state()
        return open_ledger(self.ledger_url, project=self.name, create=create)

    def open_served_ledger(self, *, create: bool = False) -> ServedLedger:
        """What a server needs of the ledger: opened sooner than the whole of it."""
        from ratchet.ledger.served import open_served

        if create:
            self.prepare_state()
        return open_served(self.ledger_url, project=self.name, create=create)

    @property
    def ledger_url(self) -> str:
        """The address of the ledger's database, password included."""
        kept = self.settings.storage.ledger
        if kept == "sqlite":
            return f"sqlite:///{self.state / 'ledger.db'}"
        return self.secret(kept, "storage", "ledger")

    def open_lake(self) -> Lake:
        """The lake of versioned tables."""
        from ratchet.data.lake import Lake

        return Lake(self.lake_uri)

    @property
    def lake_uri(self) -> str:
        """Where the lake lies: a folder's path or an address."""
        kept = self.secret(self.settings.storage.lake, "storage", "lake")
        return kept if "://" in kept else str(self.root / kept)

    def open_tracking(self) -> MlflowTracking:
        """MLflow's tracking and registry."""
        from ratchet.registry.mlflow import MlflowTracking

        self.prepare_state()
        kept = self.settings.storage.tracking
        embedded = kept == "sqlite"
        uri = (
            f"sqlite:///{self.state / 'mlflow.db'}"
            if embedded
            else self.secret(kept, "storage", "tracking")
        )
        artifacts = None if uri.startswith("http") else (self.state / "artifacts").as_uri()
        return MlflowTracking(uri, artifacts, self.name)

    def open_features(self) -> FeatureStore:
        """The feature store: the newest feature row of every entity."""
        from ratchet.features.store.open_store import open_store

        self.prepare_state()
        kept = self.secret(self.settings.storage.features, "storage", "features")
        url = f"sqlite:///{self.state / 'features.db'}" if kept == "sqlite" else kept
        return open_store(url, self.name)

    def site(self) -> Site:
        """What the server needs to know of this project."""
        from ratchet.serving.site import Site

        log = self.settings.serving.log
        return Site(
            project=self.name,
            root=self.root,
            state=self.state,
            settings=self.settings.serving,
            id=self.settings.data.id,
            time=self.settings.data.time,
            target=self.settings.data.target,
            alerts=self.settings.alerts,
            open_ledger=self.open_served_ledger,
            open_lake=self.open_lake,
            open_features=self.open_features,
            hash_key=None
            if log.hash_key is None
            else self.secret(log.hash_key, "serving", "log", "hash_key"),
        )

    def dump(self) -> dict[str, Any]:
        """The settings as JSON values, secrets still unresolved."""
        return self.settings.model_dump(mode="json", by_alias=True)


def source_for_file(source: SourceSettings, data: Path) -> SourceSettings:
    """The settings that read the file ``data``, keeping what was said about CSV files."""
    from ratchet.data.settings import SourceSettings

    suffixes = {suffix.lower() for suffix in data.suffixes}
    if (data / "_delta_log").is_dir():
        return SourceSettings(type="delta", path=str(data))
    if ".parquet" in suffixes or (data.is_dir() and any(data.glob("*.parquet"))):
        return SourceSettings(type="parquet", path=str(data))
    if source.base is not None:
        return source_for_file(source.base.source(), data)
    if source.type == "csv":
        return source.model_copy(update={"path": str(data)})
    return SourceSettings(type="csv", path=str(data))


def find_root(start: Path) -> Path:
    """The folder at or above ``start`` that holds ``ratchet.yaml``.

    Raises:
        UsageError: there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise UsageError(
        f"No {FILE} in {start} or above it",
        fix="make one with `ratchet init --data FILE --target COLUMN`, or name the project with "
        "--project DIR",
        code="no_project",
    )


def load_project(
    folder: Path | str | None = None,
    *,
    environment: str | None = None,
    assignments: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Project:
    """Open a project.

    Args:
        folder: the project's folder, or None for the one at or above the current folder.
        environment: the overlay ``ratchet.<environment>.yaml`` to lay over the file; by default
            the variable ``RATCHET_ENV``.
        assignments: texts ``section.key=value`` that win over everything.
        variables: the environment variables; the process's own by default.

    Raises:
        UsageError: there is no project file.
        ConfigError: a setting is wrong.
    """
    known = dict(os.environ) if variables is None else dict(variables)
    if folder is None:
        root = find_root(Path.cwd())
    else:
        root = Path(folder).resolve()
        if not (root / FILE).is_file():
            raise UsageError(
                f"No {FILE} in {root}",
                fix="name the folder that holds it with --project DIR",
                code="no_project",
            )
    environment = environment or known.get("RATCHET_ENV") or None
    files = [(root / FILE, FILE)]
    if environment is not None:
        files.append(_overlay(root, environment))
    settings = {key: value for key, value in known.items() if key.startswith(PREFIX)}
    loaded = load_settings(ProjectSettings, files, settings, assignments)
    return Project(root, loaded.settings, loaded.origins, environment, known)


def _overlay(root: Path, environment: str) -> tuple[Path, str]:
    name = f"ratchet.{environment}.yaml"
    if not _NAME.match(environment) or not (root / name).is_file():
        there = sorted(path.name.split(".")[1] for path in root.glob("ratchet.*.yaml"))
        raise ConfigError(
            f"There is no environment `{environment}`",
            why=f"{name} is not there",
            fix=f"use one of: {', '.join(there)}" if there else f"write {name} beside {FILE}",
        )
    return root / name, name
