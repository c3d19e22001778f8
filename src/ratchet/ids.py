"""The only place that makes identifiers and digests."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


def run_id(at: datetime) -> str:
    """A new run's id: sorts by time, short enough to type. ``20261121-024915-3f9a``."""
    return f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def token() -> str:
    """An unguessable name for a lease holder."""
    return secrets.token_hex(8)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(value: Any) -> str:
    """SHA-256 (64 hex digits) of a JSON-compatible value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(files: Mapping[str, str]) -> str:
    """One digest for a set of files, given as relative name to digest."""
    return digest_of(dict(files))
