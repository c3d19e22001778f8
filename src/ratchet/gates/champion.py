"""The gate against the model that serves: better, with evidence.

One rule. The difference d of the two models on the same rows has a standard error SE, and the
decision a one-sided level with normal quantile z. The new model is

- superior when d - z SE > 0,
- worse when d + z SE < 0,
- non-inferior when d - z SE > -margin,
- and else there is not enough evidence.

It passes when it is non-inferior and d is not below zero. With the default margin of 0 that means
superior: a retrain on nearly the same rows differs by luck only and stays out. A team that wants
routine refreshes sets the margin it can bear.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING

from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.compare import rows_needed
from ratchet.evaluation.estimate import quantile_one_sided
from ratchet.gates.ladder import at_least, at_most, nearest
from ratchet.gates.report import GateResult, Where, default_places
from ratchet.gates.reuse import level_at_use

if TYPE_CHECKING:
    from ratchet.evaluation.compare import Comparison, Verdict
    from ratchet.gates.settings import ChampionSettings

NAME = "champion"
WORDS: dict[Verdict, str] = {
    "superior": "superior",
    "non_inferior": "non-inferior",
    "worse": "worse",
    "not_enough_evidence": "not enough evidence",
}


@dataclass(frozen=True, slots=True)
class Opponent:
    """The model that serves, as the gate needs it.

    Attributes:
        version: its version; None when nothing serves yet.
        comparison: the new model against it, in full; None when that was not possible.
        problem: why it was not possible.
        use: which decision on these test rows this is, from 1; later ones need stronger proof.
        rows: which rows these are and what was left out, for people; else empty.
    """

    version: str | None
    comparison: Comparison | None = None
    problem: str = ""
    use: int = 1
    rows: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a comparison proves at its level, and what follows.

    Attributes:
        verdict: what is proven.
        passed: whether the new model may replace the old one.
        level: one-sided; None when these rows are used up.
        difference: d, in the metric's unit, positive is better; None without a comparison.
        se: its standard error.
        shown: d rounded to half of ``se``.
        lower: d - z SE rounded down likewise.
        upper: d + z SE rounded up.
        limit: what d - z SE must exceed.
        rows_needed: about how many test rows would be enough for a difference as ``shown``; None
            when no number of them would, or none is needed.
    """

    verdict: Verdict
    passed: bool
    level: float | None
    limit: float
    difference: float | None = None
    se: float | None = None
    shown: float | None = None
    lower: float | None = None
    upper: float | None = None
    rows_needed: int | None = None


def decide(found: Comparison | None, settings: ChampionSettings, use: int = 1) -> Decision:
    """Decide on a comparison that is the ``use``-th decision on its rows."""
    limit = 0.0 if settings.require == "superior" else -settings.margin
    level = level_at_use(1 - settings.confidence, use, settings.spent)
    if found is None or found.difference is None or found.se is None or level is None:
        return Decision("not_enough_evidence", False, level, limit)
    difference, se = found.difference, found.se
    reach = quantile_one_sided(level) * se
    verdict = _verdict(difference - reach, difference + reach, limit)
    shown = nearest(difference, se)
    needed = None
    if verdict == "not_enough_evidence":
        needed = rows_needed(shown - limit, se, found.n, level)
    return Decision(
        verdict=verdict,
        passed=difference - reach > limit and difference >= 0,
        level=level,
        limit=limit,
        difference=difference,
        se=se,
        shown=shown,
        lower=limit + at_least(difference - reach - limit, se),
        upper=at_most(difference + reach, se),
        rows_needed=None if needed is None else _two_digits(needed),
    )


def _verdict(lower: float, upper: float, limit: float) -> Verdict:
    if lower > 0:
        return "superior"
    if upper < 0:
        return "worse"
    return "non_inferior" if lower > limit else "not_enough_evidence"


def _two_digits(value: int) -> int:
    """``12366`` as 12000: an estimate is not known better."""
    unit: int = 10 ** max(floor(log10(value)) - 1, 0)
    return round(value / unit) * unit


def judge_champion(
    opponent: Opponent, settings: ChampionSettings, *, where: Where = default_places
) -> GateResult:
    """Whether the new model may replace the one that serves.

    The result's value is the lower bound of the difference (positive is better), rounded down to
    half a standard error; its threshold is what the bound must exceed.
    """
    place = where("gates", "champion", "require" if settings.require == "superior" else "margin")
    if opponent.version is None:
        reason = "no champion yet: the minimum thresholds decide"
        return GateResult(NAME, "champion", None, None, True, reason, place)
    found, made = opponent.comparison, decide(opponent.comparison, settings, opponent.use)
    return GateResult(
        NAME,
        "champion",
        made.lower,
        made.limit,
        made.passed,
        _reason(opponent, found, made),
        place,
        made.verdict,
        made.rows_needed,
    )


def _reason(opponent: Opponent, found: Comparison | None, made: Decision) -> str:
    """What was compared, what it proves and what would be needed, for people."""
    word = WORDS[made.verdict]
    if found is None or found.difference is None or found.se is None:
        why = opponent.problem or (found.reason if found else "") or "no comparison was made"
        return f"{word}: not compared with version {opponent.version}: {why}"
    rows = f" ({opponent.rows})" if opponent.rows else ""
    if made.level is None:
        return (
            f"{word}: these {found.n:,} test rows{rows} have decided {opponent.use - 1} times and "
            "are used up: one more decision on them would be luck; bring new rows"
        )
    text = f"{_figures(found, opponent, made, rows)}; {word}: {_meaning(found, made)}"
    if opponent.use > 1:
        text += f" (decision {opponent.use} on these test rows)"
    return text


def _figures(found: Comparison, opponent: Opponent, made: Decision, rows: str) -> str:
    """Both values and the difference with the bounds that decide, at the decision's own level."""
    info = find_metric(found.metric)
    difference = made.shown or 0.0
    new = found.new or 0.0
    return (
        f"{info.title} {new:.4f} against about {new - info.sign * difference:.4f} of version "
        f"{opponent.version} on {found.n:,} rows{rows}: a difference of about {difference:+.4f} "
        f"(with {(1 - (made.level or 0.0)) * 100:.4g}% confidence at least {made.lower or 0.0:+.4f}"
        f", at most {made.upper or 0.0:+.4f})"
    )


def _meaning(found: Comparison, made: Decision) -> str:
    """What the bounds prove, and what would be needed."""
    if made.verdict == "superior":
        return "proven better"
    if made.verdict == "worse":
        within = (made.lower or 0.0) > made.limit
        return "proven worse" + (f", though by less than {-made.limit:g}" if within else "")
    if made.verdict == "non_inferior":
        proven = f"proven not worse by {-made.limit:g} or more"
        return proven if made.passed else f"{proven}, but {_shortfall(found, made)}"
    if found.reason:
        return found.reason
    if (made.difference or 0.0) < 0 and made.limit == 0:
        return "it did no better than the champion"
    wanted = "better" if made.limit == 0 else f"no worse than by {-made.limit:g}"
    enough = f": about {made.rows_needed:,} test rows would be enough" if made.rows_needed else ""
    return f"not proven {wanted}{enough}"


def _shortfall(found: Comparison, made: Decision) -> str:
    """Why a model within the margin does not pass: its value is not the champion's at least."""
    side = "below" if find_metric(found.metric).sign > 0 else "above"
    amount = f"about {-made.shown:.4f}" if made.shown else "a little"
    return f"{amount} {side} the champion's value, and not proven better"
