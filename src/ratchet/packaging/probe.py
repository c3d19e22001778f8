"""``python -m ratchet.packaging.probe FOLDER``: the memory that serving a model takes.

The folder is a bundle, or what ``export_blend`` wrote.

Prints ``{"growth": bytes, "peak": bytes}``. Nothing of Ratchet is imported before the first
reading, so that everything serving needs is counted.
"""

from __future__ import annotations

import sys
from pathlib import Path


def resident(field: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process in bytes.

    ``getrusage`` would do elsewhere, but on Linux its peak starts with the parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def main(path: str) -> str:
    """Load, score the example, and tell the peak as JSON."""
    before = resident("VmRSS")
    _serve(Path(path))
    peak = resident("VmHWM")
    return f'{{"growth": {max(0, peak - before)}, "peak": {peak}}}'


def _serve(path: Path) -> None:
    from ratchet.packaging.bundle import MANIFEST
    from ratchet.packaging.composition import COMPOSITION

    if (path / COMPOSITION).exists() and not (path / MANIFEST).exists():
        from ratchet.packaging.composite import open_exported

        open_exported(path).score_one({})
    else:
        from ratchet.packaging.model import Model

        model = Model.load(path)
        model.score_one(model.signature.example)


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1]))
