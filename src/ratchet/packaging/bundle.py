"""A bundle: the folder that is one model version, and the digest of all its files.

    composition.json      the members, their weights and files, the calibration of their mean
    model.onnx | model.txt | model.json | model.linear.json
                          the members' models, without pickle; model.1.onnx and so on
    recipe.json           from a raw row to its numbers; recipe.1.json where members differ
    signature.json        the columns it reads, the classes it gives
    decision.json         from scores to a label
    metrics.json          what was measured of it
    metadata.json         what it was made of: data, settings, code, libraries
    requirements.txt      what serving it needs, with versions
    card.md               the model card
    input_example.json    a typical row
    parity.json           made-up rows and the scores they had here, to compare elsewhere
    profile.bin           what the rows looked like that it was made from, for monitoring
    MANIFEST.json         every file with its SHA-256 and size, and the bundle's digest

The digest is made of the files' digests, and the files hold no time, run, host or path: the same
inputs give the same digest on another day. Bundles of format 1, which held one model and named it
in metadata.json, are still read.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import ConflictError, DataError, RatchetError, StorageError
from ratchet.ids import digest_of_files
from ratchet.packaging.composition import COMPOSITION, read_composition

if TYPE_CHECKING:
    from ratchet.packaging.decision import Decision
    from ratchet.packaging.metadata import Metadata
    from ratchet.packaging.signature import Signature

MANIFEST = "MANIFEST.json"
SIGNATURE, DECISION = "signature.json", "decision.json"
METRICS, METADATA, EXAMPLE = "metrics.json", "metadata.json", "input_example.json"
PARITY, PROFILE = "parity.json", "profile.bin"
REQUIREMENTS, CARD = "requirements.txt", "card.md"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class BundleContent:
    """What goes into a bundle.

    Attributes:
        model: the folder that ``export_blend`` wrote.
        metrics: JSON values: what was measured.
        requirements: lines ``name==version``.
        card: the model card as Markdown.
        rehearsal: what ``make_rehearsal`` gave; without it there is no ``parity.json``.
        profile: the bytes of the reference profile; without them there is no ``profile.bin``.
    """

    model: Path
    signature: Signature
    decision: Decision
    metrics: Mapping[str, Any]
    metadata: Metadata
    requirements: tuple[str, ...]
    card: str
    rehearsal: Mapping[str, Any] | None = None
    profile: bytes | None = None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a bundle: SHA-256 (64 hex digits) and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """A written bundle.

    Attributes:
        path: its folder.
        digest: 64 hex digits over all files' names and digests.
        files: name to entry, without the manifest.
    """

    path: Path
    digest: str
    files: Mapping[str, FileEntry]

    @property
    def size(self) -> int:
        """Bytes of all files, without the manifest."""
        return sum(entry.size for entry in self.files.values())


def write_bundle(path: Path, content: BundleContent) -> Bundle:
    """Write a bundle to the folder ``path``, which appears complete or not at all.

    A bundle of the same content that is there already is left as it is.

    Raises:
        ConflictError: there is something else at ``path``.
        RatchetError: a value that JSON cannot hold.
        StorageError: it cannot be written.
    """
    files = _contents(content)
    entries = {name: FileEntry(sha256(raw).hexdigest(), len(raw)) for name, raw in files.items()}
    bundle = Bundle(path, _digest(entries), entries)
    if path.exists():
        return _same_or_refuse(bundle)
    partial = path.with_name(f".{path.name}.partial")
    with _storage_errors(path):
        shutil.rmtree(partial, ignore_errors=True)  # what a killed writer left
        partial.mkdir(parents=True)
        try:
            for name, raw in files.items():
                _write(partial / name, raw)
            _write(partial / MANIFEST, _json(_manifest(bundle), MANIFEST))
            _sync_folder(partial)
            partial.rename(path)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return bundle


def read_manifest(path: Path) -> Bundle:
    """The bundle in the folder ``path`` as its manifest tells it; the files are not looked at.

    Raises:
        DataError: no manifest, or one that is broken or of a later format.
    """
    try:
        raw = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        entries = {name: FileEntry(**entry) for name, entry in raw["files"].items()}
        kept = Bundle(path, raw["digest"], entries)
        known = raw["format"] <= FORMAT
    except FileNotFoundError as error:
        raise DataError(
            f"{path.name} is no bundle",
            why=f"it holds no {MANIFEST}",
            fix="give the folder that `ratchet run` wrote for the model version",
            where=str(path),
            code="not_a_bundle",
        ) from error
    except OSError as error:
        raise StorageError(
            f"{MANIFEST} cannot be read", why=str(error.strerror), where=str(path)
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _altered(path, MANIFEST, "it is not what Ratchet writes") from error
    if not known:
        raise DataError(
            f"The bundle has format {raw['format']}, and this Ratchet reads up to {FORMAT}",
            fix="upgrade Ratchet",
            where=str(path),
            code="bundle_format",
        )
    if _digest(entries) != kept.digest or any(Path(name).name != name for name in entries):
        raise _altered(path, MANIFEST, "its digest is not that of the files it lists")
    return kept


def verify_bundle(path: Path) -> Bundle:
    """The bundle in the folder ``path``, every file of which is as it was written.

    Files the manifest does not list are never read, and not looked at here.

    Raises:
        DataError: a file is altered or missing; the first one is named.
    """
    bundle = read_manifest(path)
    for name in bundle.files:
        read_file(bundle, name)
    return bundle


def read_file(bundle: Bundle, name: str, *, verify: bool = True) -> bytes:
    """The bytes of a bundle's file, the ones that were verified when ``verify`` is set.

    Raises:
        DataError: the file is altered or missing.
    """
    entry = bundle.files.get(name)
    if entry is None:
        raise _altered(bundle.path, name, "the manifest does not list it")
    try:
        raw = (bundle.path / name).read_bytes()
    except FileNotFoundError as error:
        raise _altered(bundle.path, name, "it is missing") from error
    except OSError as error:
        raise StorageError(
            f"{name} cannot be read", why=str(error.strerror), where=str(bundle.path)
        ) from error
    if verify and sha256(raw).hexdigest() != entry.sha256:
        raise _altered(bundle.path, name, "its SHA-256 is not the one in the manifest")
    return raw


def _contents(content: BundleContent) -> dict[str, bytes]:
    """The files' bytes by name, in the order of names."""
    composition = read_composition(content.model)
    with _storage_errors(content.model):
        files = {name: (content.model / name).read_bytes() for name in composition.files}
    texts = {
        REQUIREMENTS: "".join(f"{line}\n" for line in content.requirements),
        CARD: content.card,
    }
    values = {
        COMPOSITION: composition.to_json(),
        SIGNATURE: content.signature.to_json(),
        DECISION: content.decision.to_json(),
        METRICS: content.metrics,
        METADATA: content.metadata.to_json(),
        EXAMPLE: content.signature.example,
    }
    if content.rehearsal is not None:
        values[PARITY] = content.rehearsal
    if content.profile is not None:
        files[PROFILE] = content.profile
    files |= {name: text.encode() for name, text in texts.items()}
    files |= {name: _json(value, name) for name, value in values.items()}
    return dict(sorted(files.items()))


def _manifest(bundle: Bundle) -> dict[str, Any]:
    files = {name: {"sha256": e.sha256, "size": e.size} for name, e in bundle.files.items()}
    return {"format": FORMAT, "digest": bundle.digest, "files": files}


def _digest(entries: Mapping[str, FileEntry]) -> str:
    return digest_of_files({name: entry.sha256 for name, entry in entries.items()})


def _json(value: Any, name: str) -> bytes:
    try:
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise RatchetError(
            f"The bundle's {name} cannot be written as JSON", why=str(error), code="not_json"
        ) from error


def _same_or_refuse(bundle: Bundle) -> Bundle:
    try:
        found = verify_bundle(bundle.path).digest
    except DataError as error:
        found = error.what
    if found == bundle.digest:
        return bundle
    raise ConflictError(
        f"There is something else at {bundle.path.name} already",
        why=f"the bundle to write has the digest {bundle.digest[:12]}, there is: {found}",
        fix="remove the folder, or write the bundle somewhere else",
        where=str(bundle.path),
        code="bundle_exists",
    )


def _altered(path: Path, name: str, why: str) -> DataError:
    return DataError(
        f"The bundle's {name} is not the file that was written",
        why=why,
        fix="restore the bundle from the registry, or train again",
        where=str(path / name),
        code="bundle_altered",
    )


def _write(path: Path, raw: bytes) -> None:
    with path.open("xb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The bundle {path.name} cannot be written",
            why=str(error.strerror or error),
            fix="check the folder's permissions and the free space",
            where=str(path.parent),
        ) from error
