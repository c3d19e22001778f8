"""The files behind a path: one file, a folder or a glob."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ratchet.errors import ConfigError, ConflictError, StorageError
from ratchet.ids import digest_of, digest_of_file

ENDINGS: dict[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
    "parquet": (".parquet", ".pq"),
}
_WHERE = "data.source.path"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when it was looked for."""

    path: Path
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class FileSet:
    """The files of a source, sorted by path; never empty."""

    shown: str
    files: tuple[SourceFile, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths, in order."""
        return tuple(file.path for file in self.files)

    def describe(self) -> str:
        """The path as it was given, and how many files it stands for."""
        return self.shown if len(self.files) == 1 else f"{self.shown} ({len(self.files)} files)"

    def modified(self) -> datetime:
        """When the newest of the files was written, UTC."""
        newest = max(file.changed_ns for file in self.files)
        return datetime.fromtimestamp(newest / 1e9, UTC)

    def fingerprint(self, options: Any) -> str:
        """One digest of every file's bytes, in order, and of the read options."""
        try:
            digests = [digest_of_file(path) for path in self.paths]
        except OSError as error:
            raise unreadable(self.shown, error) from None
        return digest_of({"files": digests, "options": options})

    def require_unchanged(self) -> None:
        """Raise ConflictError when a file is not what it was when it was looked for."""
        for file in self.files:
            if _look_at(file.path) != file:
                raise ConflictError(
                    f"{file.path.name} changed while it was read",
                    fix="Run again when the file is complete",
                    where=str(file.path),
                    code="source_changed",
                )


def find_files(path: str, root: Path, kind: str) -> FileSet:
    """The files of ``kind`` (csv, parquet) that ``path`` names, seen from ``root``.

    Raises ConfigError ``source_missing`` or ``format_unknown``, StorageError when a
    folder may not be read.
    """
    full = root / Path(path).expanduser()
    try:
        found = _resolve(full, path, kind)
        if not found:
            raise ConfigError(
                f"There is no {kind} file in {path}",
                why=f"Looked for {', '.join(ENDINGS[kind])} in {full}",
                fix="Correct data.source.path, or put the data there",
                where=_WHERE,
                code="source_missing",
            )
        return FileSet(path, tuple(_look_at(file) for file in found))
    except OSError as error:
        raise unreadable(path, error) from None


def require_format(path: Path, kind: str) -> None:
    """Raise ConfigError (``format_unknown``) when ``path`` does not end like ``kind``."""
    name = path.name.lower()
    if name.endswith(ENDINGS[kind]):
        return
    other = next((k for k, endings in ENDINGS.items() if name.endswith(endings)), None)
    known = "; ".join(f"{k}: {' '.join(endings)}" for k, endings in ENDINGS.items())
    raise ConfigError(
        f"{path.name} is no {kind} file",
        why=f"Files are known by their endings: {known}; a Delta table is a folder, "
        "PostgreSQL needs a url",
        fix=f"Set data.source.type to {other}" if other else "Convert the file, or rename it",
        where=_WHERE,
        code="format_unknown",
    )


def unreadable(shown: str, error: OSError) -> StorageError:
    """The StorageError for a file that the system refuses to read."""
    return StorageError(
        f"{shown} cannot be read",
        why=error.strerror or type(error).__name__,
        fix="Check the file's permissions and the disk",
        where=str(error.filename or shown),
        code="source_unreadable",
    )


def _resolve(full: Path, path: str, kind: str) -> list[Path]:
    if full.is_dir():
        return sorted(_visible(full, full.rglob("*"), kind))
    if full.exists():
        require_format(full, kind)
        return [full]
    if any(character in path for character in "*?["):
        pattern = str(full.relative_to(full.anchor))
        files = sorted(file for file in Path(full.anchor).glob(pattern) if file.is_file())
        for file in files:
            require_format(file, kind)
        return files
    near = full.parent
    raise ConfigError(
        f"{path} does not exist",
        why=f"Looked in {near}" if near.is_dir() else f"The folder {near} does not exist either",
        fix="Correct data.source.path, or put the file there",
        where=_WHERE,
        code="source_missing",
    )


def _visible(folder: Path, files: Iterable[Path], kind: str) -> list[Path]:
    """Files with the right ending, without those that tools hide (``_SUCCESS``, ``.crc``)."""
    return [
        file
        for file in files
        if file.name.lower().endswith(ENDINGS[kind])
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
        and file.is_file()
    ]


def _look_at(path: Path) -> SourceFile:
    facts = path.stat()
    return SourceFile(path, facts.st_size, facts.st_mtime_ns)
