"""The projects of a loop: found in folders, read once, and seen to move without being opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.project import FILE, load_project

if TYPE_CHECKING:
    from ratchet.config.loop import LoopSettings
    from ratchet.project import Project

TABLES = ("data", "collected", "predictions", "feedback", "failures")
"""The lake's tables whose change is a reason to look."""
_DEPTH = 2
_SQLITE = "sqlite:///"

Mark = tuple[int, int, int]
"""Of a file or folder: time of its last change (ns), size, and which one it is."""
Signs = tuple[Mark, ...]
NOTHING: Mark = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Opening:
    """How projects are opened: the same for the loop, its looks and its runs."""

    environment: str | None = None
    assignments: tuple[str, ...] = ()

    def load(self, root: Path) -> Project:
        """Open one. Raises UsageError, ConfigError."""
        return load_project(root, environment=self.environment, assignments=self.assignments)

    def words(self, root: Path) -> tuple[str, ...]:
        """The same for a command line."""
        environment = () if self.environment is None else ("--env", self.environment)
        sets = (word for each in self.assignments for word in ("--set", each))
        return ("--project", str(root), *environment, *sets)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"environment": self.environment, "assignments": list(self.assignments)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Opening:
        """What ``to_json`` made."""
        return cls(body["environment"], tuple(body["assignments"]))


@dataclass(frozen=True, slots=True)
class Watched:
    """What the loop keeps of a project between two looks: little, as there may be thousands.

    Attributes:
        name: its own; several folders may hold projects of one name.
        ledger: the address of its ledger, password included.
        files: what is seen to change when there may be something to do.
        log: the folder of the prediction log.
        remote: source or lake cannot be seen to change, and are asked from time to time.
        alerts: whether anybody is told of anything.
    """

    root: Path
    name: str
    ledger: str = field(repr=False)
    files: tuple[str, ...]
    log: str
    remote: bool
    loop: LoopSettings
    alerts: bool = False

    @property
    def state(self) -> Path:
        """The folder of what the loop keeps for the project."""
        return self.root / ".ratchet" / "loop"

    @property
    def ledger_file(self) -> str | None:
        """The ledger's file; None for a database server."""
        return self.ledger.removeprefix(_SQLITE) if self.ledger.startswith(_SQLITE) else None

    def signs(self) -> Signs:
        """How the project's files stand now; equal signs: nothing moved."""
        return (*map(mark, self.files), *_streams(self.log))


def find_projects(folder: Path) -> tuple[Path, ...]:
    """The folders that hold a project: this one, or those up to two levels below it."""
    return tuple(sorted(_find(folder, _DEPTH)))


def _find(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / FILE).is_file():
        yield folder
        return
    if depth == 0:
        return
    try:
        with os.scandir(folder) as entries:
            below = [one.path for one in entries if one.name[0] != "." and one.is_dir()]
    except OSError:
        return  # what cannot be read holds no project that could be looked after
    for path in below:
        yield from _find(Path(path), depth - 1)


def watch(root: Path, opening: Opening) -> Watched:
    """Read a project's settings, and keep what the loop needs.

    Raises:
        UsageError: there is no project file.
        ConfigError: a setting is wrong.
    """
    project = opening.load(root)
    files, remote = _source(project)
    lake = project.lake_uri
    if "://" in lake:
        remote = True
    else:
        files += [f"{lake}/{table}/_delta_log" for table in TABLES]
    return Watched(
        project.root,
        project.name,
        project.ledger_url,
        (*config_files(root, opening), *files),
        str(project.site().log_folder),
        remote,
        project.settings.loop,
        bool(project.settings.alerts),
    )


def config_files(root: Path, opening: Opening) -> tuple[str, ...]:
    """The files that a project's settings come from."""
    own = str(root / FILE)
    name = opening.environment or os.environ.get("RATCHET_ENV")
    return (own, str(root / f"ratchet.{name}.yaml")) if name else (own,)


def _source(project: Project) -> tuple[list[str], bool]:
    """What of the source can be seen to change, and whether anything cannot."""
    source = project.settings.data.source
    files = []
    if project.settings.features.functions is not None:
        files.append(str(project.root / project.settings.features.functions))
    remote = False
    for table in (source, source.base):
        if table is None or table.type == "production":
            continue
        if table.url is not None or table.path is None or "://" in table.path:
            remote = True
        else:
            files += _places(project.root, table.path, delta=table.type == "delta")
    return files, remote


def _places(root: Path, path: str, *, delta: bool) -> Sequence[str]:
    place = root / Path(path).expanduser()
    if any(letter in path for letter in "*?["):
        # A new file changes the folder that it appears in.
        while any(letter in str(place) for letter in "*?["):
            place = place.parent
        return [str(place)]
    return [f"{place}/_delta_log"] if delta else [str(place)]


def _streams(log: str) -> Iterator[Mark]:
    """The marks of a prediction log: a segment that comes or goes changes its stream's folder."""
    try:
        with os.scandir(log) as entries:
            found = sorted(entry.path for entry in entries)
    except OSError:
        return
    yield from map(mark, found)


def mark(path: str) -> Mark:
    """How a file or folder stands; ``NOTHING`` where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of times a tick
    except OSError:
        return NOTHING
    return (found.st_mtime_ns, found.st_size, found.st_ino)
