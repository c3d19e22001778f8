"""Every fault Ratchet raises on purpose, and the exit code it ends with.

    RatchetError                 exit 1   a broken promise: please report it
    ├── UsageError               exit 2   the command line asks for something impossible
    ├── DataError                exit 3   the data cannot be used: unreadable, empty, changed
    ├── ConfigError              exit 4   ratchet.yaml, an overlay, a variable or --set is wrong
    ├── ConflictError            exit 5   somebody else holds the project, or changed it meanwhile
    └── EnvironmentFault         exit 6   something outside is missing
        ├── MissingExtraError    exit 6   an optional library is not installed
        ├── UnreachableError     exit 6   a service does not answer or refuses us
        └── StorageError         exit 6   a file or folder cannot be read or written

A failed check or gate is no fault: it is a report, and ends with exit code 3.
"""

from __future__ import annotations

from typing import ClassVar


class RatchetError(Exception):
    """A fault with what happened, why, what to do, and where.

    Args:
        what: what happened, one sentence without a trailing line break.
        why: the reason, when it is known.
        fix: what the reader can do about it, best as a command or an edit.
        where: ``file:line`` or the place the fault was found.
        code: a stable name for programs; the class's own when not given.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", where: str = "", code: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.where = where
        self.name = code or type(self).code
        # The run that ended with this fault, once there is one to look at.
        self.run_id = ""

    def to_json(self) -> dict[str, str]:
        """The fault as the ``error`` object of ``--json``."""
        told = {
            "code": self.name,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "where": self.where,
        }
        return told | ({"run_id": self.run_id} if self.run_id else {})

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(self.why)
        if self.fix:
            parts.append(f"To fix it: {self.fix}")
        text = " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)
        return f"{self.where}: {text}" if self.where else text


class UsageError(RatchetError):
    """The command line asks for something impossible."""

    code = "usage"
    exit_code = 2


class DataError(RatchetError):
    """The data cannot be used as it is."""

    code = "data"
    exit_code = 3


class ConfigError(RatchetError):
    """A setting is unknown, malformed or contradicts another."""

    code = "config"
    exit_code = 4


class ConflictError(RatchetError):
    """Somebody else holds the project, or it changed since it was looked at."""

    code = "conflict"
    exit_code = 5


class EnvironmentFault(RatchetError):  # noqa: N818 - the group's name, never raised itself
    """Something outside Ratchet is missing or does not answer."""

    code = "environment"
    exit_code = 6


class MissingExtraError(EnvironmentFault):
    """An optional library is not installed."""

    code = "missing_extra"

    @classmethod
    def of(cls, library: str, extra: str, purpose: str) -> MissingExtraError:
        """The error for ``library``, which the extra ``extra`` installs, needed for ``purpose``."""
        return cls(
            f"{purpose} needs the library {library}, which is not installed",
            fix=f"pip install 'ratchet-ml[{extra}]'",
        )


class UnreachableError(EnvironmentFault):
    """A service does not answer, or refuses us."""

    code = "unreachable"


class StorageError(EnvironmentFault):
    """A file or folder cannot be read or written."""

    code = "storage"
