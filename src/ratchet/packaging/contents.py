"""The bytes of a bundle's files while it is loaded: verified once, and the ones that are used."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ratchet.packaging import bundle as files
from ratchet.packaging.bundle import Bundle


class Contents:
    """A bundle's files, each read once; the large ones, which models are, are not kept.

    Args:
        verify: compare each file's digest with the manifest.
    """

    def __init__(self, bundle: Bundle, *, verify: bool) -> None:
        self._bundle, self._verify = bundle, verify
        self._held: dict[str, bytes] = {}

    def hold(self, names: Iterable[str]) -> None:
        """Verify all of ``names`` before anything is made of them; without verifying nothing."""
        if self._verify:
            for name in names:
                if name not in self._held:
                    self._held[name] = self._read(name)

    def take(self, name: str) -> bytes:
        """The file's bytes, held or read now."""
        return self._held[name] if name in self._held else self._read(name)

    def json(self, name: str) -> Any:
        """The value in a file, which is held from now on."""
        if name not in self._held:
            self._held[name] = self._read(name)
        return json.loads(self._held[name])

    def _read(self, name: str) -> bytes:
        return files.read_file(self._bundle, name, verify=self._verify)
