"""Whether a bundle is whole, loads, and predicts what a prediction must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ratchet.errors import RatchetError
from ratchet.gates.report import GateResult
from ratchet.ids import digest_of_file

SUM_TOLERANCE = 1e-5

M = TypeVar("M")


def _result(name: str, value: float | None, passed: bool, reason: str) -> GateResult:
    return GateResult(name, "artifacts", value, None, passed, reason)


def judge_files(folder: Path, manifest: Mapping[str, str]) -> GateResult:
    """Every file of the manifest is there and is what was written.

    Args:
        folder: of the bundle.
        manifest: each file's name in the folder and its SHA-256 (64 hex digits).
    """
    if not manifest:
        return _result("files", 0, False, f"the manifest of {folder.name} names no files")
    missing, changed = [], []
    for name, digest in sorted(manifest.items()):
        path = folder / name
        try:
            if digest_of_file(path) != digest:
                changed.append(name)
        except OSError:
            missing.append(name)
    problems = [
        f"{word}: {', '.join(names)}"
        for word, names in (("missing or unreadable", missing), ("changed", changed))
        if names
    ]
    good = len(manifest) - len(missing) - len(changed)
    if problems:
        return _result("files", good, False, "; ".join(problems))
    return _result("files", good, True, f"all {good} files are there, with the digests written")


def judge_load(load: Callable[[], M]) -> tuple[GateResult, M | None]:
    """Load the bundle as a server would; the model when that worked.

    Args:
        load: loads the bundle.
    """
    try:
        model = load()
    except RatchetError as error:
        return _result("loads", None, False, f"the bundle does not load: {error}"), None
    except (OSError, ValueError, RuntimeError) as error:
        kind = type(error).__name__
        return _result("loads", None, False, f"the bundle does not load: {kind}: {error}"), None
    return _result("loads", None, True, "the bundle loads back"), model


def judge_predictions(
    scores: npt.NDArray[np.float64] | None,
    labels: Sequence[object] | npt.NDArray[Any],
    *,
    rows: int,
    classes: Sequence[object],
    problem: str = "",
) -> GateResult:
    """The bundle's predictions have the right shape and range.

    Args:
        scores: class scores (n, k), for regression estimates (n, 1); None when the bundle gave
            none.
        labels: predicted labels (n,), for regression the estimates.
        rows: rows that were scored.
        classes: the labels there are; none for regression.
        problem: why it gave none.
    """
    if scores is None:
        reason = f"no predictions: {problem or 'the bundle gave none'}"
        return _result("predictions", None, False, reason)
    plain = labels.tolist() if isinstance(labels, np.ndarray) else labels
    faults = _faults(np.asarray(scores), plain, rows, classes)
    if faults:
        return _result("predictions", rows, False, "; ".join(faults))
    if not classes:
        return _result("predictions", rows, True, f"{rows:,} predictions, all of them numbers")
    reason = (
        f"{rows:,} predictions: scores of {len(classes)} classes from 0 to 1 that sum to 1, labels"
        " among the classes"
    )
    return _result("predictions", rows, True, reason)


def _faults(
    scores: npt.NDArray[np.float64],
    labels: Sequence[object],
    rows: int,
    classes: Sequence[object],
) -> list[str]:
    """Everything that is wrong with predictions, in words."""
    if rows == 0:
        return ["no rows were scored"]
    shape = (rows, len(classes) or 1)
    if scores.shape != shape or scores.dtype.kind != "f":
        wanted = f"floating-point numbers of shape {shape}"
        return [f"scores are {scores.dtype} of shape {scores.shape} instead of {wanted}"]
    faults = []
    finite = np.isfinite(scores).all(axis=1)
    if not finite.all():
        faults.append(f"{int((~finite).sum())} rows have a score that is no number")
    if len(labels) != rows:
        faults.append(f"{len(labels)} labels for {rows} rows")
    return faults + (_class_faults(scores[finite], labels, classes) if classes else [])


def _class_faults(
    known: npt.NDArray[np.float64], labels: Sequence[object], classes: Sequence[object]
) -> list[str]:
    """What is wrong with scores of classes, which are numbers, and with labels."""
    faults = []
    outside = int(((known < 0) | (known > 1)).any(axis=1).sum())
    if outside:
        faults.append(f"{outside} rows have a score outside 0 to 1")
    off = int((np.abs(known.sum(axis=1) - 1) > SUM_TOLERANCE).sum())
    if off:
        faults.append(f"the scores of {off} rows do not sum to 1")
    # A label must be a class in type too: True equals 1, and "1" would be another label downstream.
    allowed = {(type(label), label) for label in classes}
    strange = {str(label) for label in labels if (type(label), label) not in allowed}
    if strange:
        faults.append(f"labels that are no class: {', '.join(sorted(strange)[:5])}")
    return faults
