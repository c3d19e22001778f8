"""The new model against the one that serves, on rows that may decide between them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError
from ratchet.pipeline.steps.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.evaluation.compare import Comparison
    from ratchet.gates.champion import Decision
    from ratchet.packaging.model import Model
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.steps.holdout import Holdout

DECISION = "decision.json"
"""The comparison in full, which is not for people's eyes: see ``ratchet.gates.ladder``."""


@dataclass(frozen=True, slots=True)
class Contest:
    """The comparison with the champion, and the decision that it counts as.

    Attributes:
        comparison: in full; None when there is none.
        problem: why there is none.
        use: which decision on these rows it is.
        note: what is special about the rows.
        noted: run and model under which the ledger counts it; None when it does not.
    """

    comparison: Comparison | None
    problem: str = ""
    use: int = 1
    note: str = ""
    noted: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "comparison": self.comparison.to_json() if self.comparison else None,
            "problem": self.problem,
            "use": self.use,
            "note": self.note,
            "noted": list(self.noted) if self.noted else None,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Contest:
        """The contest that ``to_json`` wrote."""
        from ratchet.evaluation.compare import Comparison

        return cls(
            Comparison.from_json(raw["comparison"]) if raw["comparison"] else None,
            raw["problem"],
            raw["use"],
            raw["note"],
            (raw["noted"][0], raw["noted"][1]) if raw["noted"] else None,
        )

    def told(self) -> dict[str, Any]:
        """What people are told of it, as JSON."""
        from ratchet.gates.ladder import shown

        found = shown(self.comparison) if self.comparison else None
        return {
            "comparison": found.to_json() if found else None,
            "problem": self.problem,
            "rows": self.note,
            "use": self.use,
        }


def against_champion(
    context: StepContext, y: np.ndarray, proba: np.ndarray, *, threshold: float | None = None
) -> Contest:
    """Compare this run's model with the champion, and count that as a decision on the rows.

    It is counted before anybody can read the figures.

    Args:
        y: the test rows' classes or values (n_test,).
        proba: the new model's scores of them (n_test, k).
        threshold: the new model's decision threshold; binary only.
    """
    if context.champion is None:
        return Contest(None, "no champion yet")
    from ratchet.gates.reuse import level_at_use
    from ratchet.packaging.model import Model
    from ratchet.pipeline.steps.holdout import choose_holdout

    rows = Rows.of(context)
    settings = context.settings.gates.champion
    holdout = choose_holdout(
        context, rows, y, lambda use: level_at_use(1 - settings.confidence, use, settings.spent)
    )
    problem = _too_few(holdout)
    if problem:
        return Contest(None, problem, note=holdout.note)
    try:
        model = Model.load(context.champion["bundle"])
        if tuple(model.classes) != rows.task.classes:
            classes = ", ".join(map(str, model.classes)) or "none, it estimates numbers"
            return Contest(None, f"the champion knows other classes: {classes}")
        old = model.score(rows.test.filter(holdout.chosen))
    except RatchetError as error:
        return Contest(None, f"the champion cannot score these rows: {error.what}")
    return _contest(context, rows, holdout, (y, proba, old), (threshold, model))


def _too_few(holdout: Holdout) -> str:
    """Why the rows are too few to be compared on at all; empty when they are not."""
    from ratchet.evaluation.compare import MIN_ROWS

    if holdout.count >= MIN_ROWS:
        return ""
    return (
        f"{holdout.count:,} of {len(holdout.chosen):,} test rows may decide, at least {MIN_ROWS} "
        f"are needed" + (f" ({holdout.note})" if holdout.note else "")
    )


def _contest(
    context: StepContext,
    rows: Rows,
    holdout: Holdout,
    scored: tuple[np.ndarray, np.ndarray, np.ndarray],
    decides: tuple[float | None, Model],
) -> Contest:
    from ratchet.evaluation.compare import SAME_SCORES, compare
    from ratchet.pipeline.steps.holdout import holdout_rows

    champion = context.champion or {}
    settings = context.settings.gates.champion
    (y, new, old), (threshold, model) = scored, decides
    y, new = y[holdout.chosen], new[holdout.chosen]
    metric = settings.metric or context.outputs["train"].facts["metric"]
    found = compare(
        y,
        new,
        old,
        task=rows.task,
        metric=metric,
        threshold=threshold,
        old_threshold=model.threshold,
        margin=settings.margin,
        confidence=settings.confidence,
        groups=_clusters(rows, rows.test.filter(holdout.chosen)),
    )
    if found.reason == SAME_SCORES or found.se is None:
        return Contest(found, note=holdout.note)  # no figures, so nothing that luck could use
    use = context.ledger.note_holdout_use(
        context.run_id,
        context.update,
        holdout_rows(context, rows, holdout.chosen),
        comparison=_digest((y, new, old), (metric, threshold, model.threshold)),
        champion=champion["version"],
        metric=metric,
        rule=holdout.rule,
    )
    return Contest(found, "", use.use, holdout.note, (use.run_id, use.challenger))


def _clusters(rows: Rows, table: pl.DataFrame) -> np.ndarray | None:
    """Codes (n,) of rows that belong together; None when each stands for itself."""
    from ratchet.data.hashing import stable_hash

    name = rows.roles.group or rows.roles.id
    if name is None:
        return None
    column = table.get_column(name)
    if rows.roles.group is None and (column.null_count() or not column.is_duplicated().any()):
        return None
    codes: np.ndarray = stable_hash(column, 0).view("int64")
    return codes


def _digest(arrays: tuple[np.ndarray, ...], decides: tuple[object, ...]) -> str:
    """The same for the same models on the same rows, compared in the same way."""
    import numpy as np

    hasher = hashlib.sha256(repr(decides).encode())
    for array in arrays:
        hasher.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return hasher.hexdigest()


def decide_contest(context: StepContext, contest: Contest) -> Decision | None:
    """What the contest proves at its level; None without a champion."""
    from ratchet.gates.champion import decide

    if context.champion is None:
        return None
    return decide(contest.comparison, context.settings.gates.champion, contest.use)


def record_decision(context: StepContext, contest: Contest) -> None:
    """Write into the ledger what the contest came to, in full."""
    from ratchet.ledger.holdouts import Judgement

    made = decide_contest(context, contest)
    if made is None or contest.noted is None:
        return
    context.ledger.judge_holdout_use(
        *contest.noted,
        Judgement(
            difference=made.difference,
            se=made.se,
            level=made.level,
            verdict=made.verdict,
            passed=made.passed,
            shown=made.shown,
            shown_to=context.request.trigger,
        ),
    )
