"""A bundle that is whole and holds what a test needs of it, without a training."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ratchet.ids import digest_of_files
from ratchet.packaging.bundle import FORMAT, MANIFEST


def make_bundle(place: Path, files: Mapping[str, bytes]) -> str:
    """Write ``files`` and their manifest into the new folder ``place``; the bundle's digest."""
    place.mkdir(parents=True)
    for name, raw in files.items():
        (place / name).write_bytes(raw)
    entries = {n: {"sha256": sha256(r).hexdigest(), "size": len(r)} for n, r in files.items()}
    digest = digest_of_files({name: entry["sha256"] for name, entry in entries.items()})
    manifest = {"format": FORMAT, "digest": digest, "files": entries}
    (place / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return digest
