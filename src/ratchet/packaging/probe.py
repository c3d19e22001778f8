"""``python -m ratchet.packaging.probe BUNDLE``: the memory that loading a bundle takes.

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
    from ratchet.packaging.model import Model

    model = Model.load(path)
    model.score_one(model.signature.example)
    peak = resident("VmHWM")
    return f'{{"growth": {max(0, peak - before)}, "peak": {peak}}}'


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1]))
