"""What a step is: a named function over stored inputs that leaves stored outputs.

Files whose name starts with ``_`` (timings, machine facts) are kept but have no part in the
output's digest: the same inputs give the same digest on another day and another machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ratchet.ids import digest_of_file, digest_of_files

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.pipeline.allowance import Allowance
    from ratchet.pipeline.request import Request
    from ratchet.pipeline.workspace import Workspace
    from ratchet.project import Project, ProjectSettings

FACTS = "facts.json"

Rung = Literal["incremental", "refit", "retune"]
"""One way to make a model, from the cheapest up."""


class Reporter(Protocol):
    """Who watches a run: a terminal, plain lines, or nobody."""

    def started(self, step: str) -> None:
        """A step begins."""

    def finished(self, step: str, seconds: float, status: str, detail: str) -> None:
        """A step ended: ``done``, ``reused``, ``failed`` or ``stopped`` (a verdict said no)."""

    def progress(self, text: str) -> None:
        """How far the step at work has come; only the newest matters."""

    def note(self, text: str) -> None:
        """Something worth a line of its own while a step works."""


class Silent:
    """A reporter for nobody."""

    def started(self, step: str) -> None:
        """Say nothing."""

    def finished(self, step: str, seconds: float, status: str, detail: str) -> None:
        """Say nothing."""

    def progress(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """A finished step: its folder, its facts, and the digest of both.

    ``stands_for`` is what later steps depend on: the digest, unless the step says otherwise.
    """

    step: str
    folder: Path
    facts: Mapping[str, Any]
    digest: str
    stands_for: str = ""

    def __post_init__(self) -> None:
        if not self.stands_for:
            object.__setattr__(self, "stands_for", self.digest)

    def file(self, name: str) -> Path:
        """A file the step left."""
        return self.folder / name

    def json(self, name: str) -> Any:
        """A JSON file the step left, read."""
        return json.loads(self.file(name).read_text(encoding="utf-8"))


@dataclass(slots=True)
class StepContext:
    """What a step may use while it works.

    Attributes:
        folder: where to write the outputs; becomes visible only when the step is done.
        outputs: the steps that came before.
        champion: the serving version when the run began, as the ledger tells it, or None.
        allowance: how much of the run's time its trainings may use.
        update: how the model is made: anew, or from the one that serves.
    """

    project: Project
    run_id: str
    folder: Path
    outputs: Mapping[str, StepOutput]
    workspace: Workspace
    ledger: Ledger
    champion: Mapping[str, Any] | None
    request: Request
    allowance: Allowance
    update: Rung = "retune"
    reporter: Reporter = field(default_factory=Silent)

    @property
    def settings(self) -> ProjectSettings:
        """The project's settings."""
        return self.project.settings

    def write_json(self, name: str, value: Any) -> None:
        """Write an output file as JSON, the same bytes for the same value."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (self.folder / name).write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: its name on screen, in the ledger and on disk.
        inputs: the steps whose outputs it reads.
        settings: the part of the settings it depends on, as JSON values.
        execute: does the work, writes files into the context's folder, returns facts. The fact
            ``verdict`` = {"passed", "reason"} says no without being a fault.
        reusable: whether equal inputs may be answered from an earlier run's outputs.
        says: one line about the facts, for people.
        stands_for: what later steps' keys take as this step's digest; its whole output without.
        stops: whether a ``verdict`` of no ends the run here.
        uses_champion: whether its result depends on the serving version.
        uses_update: whether its result depends on how the model is made.
    """

    name: str
    inputs: tuple[str, ...]
    settings: Callable[[ProjectSettings], Any]
    execute: Callable[[StepContext], Mapping[str, Any]]
    says: Callable[[Mapping[str, Any]], str]
    reusable: bool = True
    stands_for: Callable[[StepOutput], str] | None = None
    stops: bool = False
    uses_champion: bool = False
    uses_update: bool = False


def output_digest(folder: Path) -> str:
    """The digest of everything a step left, volatile files aside."""
    files = {
        path.relative_to(folder).as_posix(): digest_of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("_")
    }
    return digest_of_files(files)
