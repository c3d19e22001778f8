"""Whether a version's bundle is still what was registered, asked before it is to answer anything.

A server compares every file as it loads a version and keeps the one before where one differs; who
asks for a change should hear of it at once, and before anything is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import DataError
from ratchet.packaging.bundle import verify_bundle

if TYPE_CHECKING:
    from ratchet.ledger.reader import LedgerReader
    from ratchet.ledger.versions import Version
    from ratchet.project import Project

BUNDLE = "bundle"
"""The folder of the step ``package`` that holds the bundle."""


def require_bundle(project: Project, ledger: LedgerReader, version: int) -> None:
    """Refuse a version whose bundle is not, file by file, the one that was registered.

    Raises:
        DataError: a file is altered or missing, or it is another bundle.
        StorageError: a file cannot be read.
        UsageError: no such version.
    """
    found = ledger.version(version)
    place = project.state / found.bundle_path
    try:
        bundle = verify_bundle(place)
    except DataError as error:
        what = f"Version {version} cannot serve: {error.what[:1].lower()}{error.what[1:]}"
        fix = _remedy(project, found)
        raise DataError(what, why=error.why, fix=fix, where=error.where, code=error.name) from error
    if bundle.digest != found.bundle_digest:
        raise DataError(
            f"Version {version} cannot serve: its bundle is not the one that was registered",
            why=f"the folder has the digest {bundle.digest[:12]}, the version "
            f"{found.bundle_digest[:12]}",
            fix=_remedy(project, found),
            where=str(place),
            code="bundle_replaced",
        )


def is_whole(place: Path, digest: str) -> bool:
    """Whether a folder holds the bundle of this digest, as it was written."""
    try:
        return verify_bundle(place).digest == digest
    except DataError:
        return False


def _remedy(project: Project, version: Version) -> str:
    """From where the bundle may be brought back."""
    spare = project.runs / version.run_id / "package" / BUNDLE
    other = "or take another version (ratchet models)"
    if is_whole(spare, version.bundle_digest):
        return f"copy the folder again from {spare}, {other}"
    return f"bring the folder back from a backup, {other}"
