"""The gate against the model that serves: better, with evidence.

One rule. The difference of the two models on the same rows has a one-sided lower bound; the new
model passes when that bound is above minus the margin and the difference itself is not below zero.
With the default margin of 0 the bound must be above 0: the new model is proven better. A retrain on
nearly the same rows differs by luck only and stays out; a team that wants routine refreshes sets
the margin it can bear and gets non-inferiority instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.compare import rows_needed
from ratchet.evaluation.estimate import quantile_one_sided
from ratchet.gates.report import GateResult, Where, default_places
from ratchet.gates.reuse import level_at_use

if TYPE_CHECKING:
    from ratchet.evaluation.compare import Comparison
    from ratchet.gates.settings import ChampionSettings

NAME = "champion"


@dataclass(frozen=True, slots=True)
class Opponent:
    """The model that serves, as the gate needs it.

    Attributes:
        version: its version; None when nothing serves yet.
        comparison: the new model against it on the test rows; None when that was not possible.
        problem: why it was not possible.
        use: which decision on these test rows this is, from 1; later ones need stronger proof.
    """

    version: str | None
    comparison: Comparison | None = None
    problem: str = ""
    use: int = 1


def judge_champion(
    opponent: Opponent, settings: ChampionSettings, *, where: Where = default_places
) -> GateResult:
    """Whether the new model may replace the one that serves.

    The result's value is the lower bound of the difference (positive is better), its threshold
    what the bound must exceed.
    """
    place = where("gates", "champion", "require" if settings.require == "superior" else "margin")
    if opponent.version is None:
        reason = "no champion yet: the minimum thresholds decide"
        return GateResult(NAME, "champion", None, None, True, reason, place)
    found = opponent.comparison
    limit = 0.0 if settings.require == "superior" else -settings.margin
    if found is None or found.difference is None or found.se is None:
        why = opponent.problem or (found.reason if found else "") or "no comparison was made"
        reason = f"not compared with version {opponent.version}: {why}"
        return GateResult(NAME, "champion", None, limit, False, reason, place)
    level = level_at_use(1 - settings.confidence, opponent.use)
    if level is None:
        reason = (
            f"these test rows have decided {opponent.use - 1} times and are used up: one more "
            "decision on them would be luck; new rows are needed"
        )
        return GateResult(NAME, "champion", None, limit, False, reason, place)
    bound = found.difference - quantile_one_sided(level) * found.se
    passed = bound > limit and found.difference >= 0
    reason = f"{_figures(found, opponent, level)}; {_verdict(found, bound, limit, passed, level)}"
    if opponent.use > 1:
        reason += f" (decision {opponent.use} on these test rows)"
    return GateResult(NAME, "champion", bound, limit, passed, reason, place)


def _figures(found: Comparison, opponent: Opponent, level: float) -> str:
    """Both values and the difference with the bounds that decide, each at its own level."""
    title = find_metric(found.metric).title
    difference = found.difference or 0.0
    reach = quantile_one_sided(level) * (found.se or 0.0)
    return (
        f"{title} {found.new:.4f} against {found.old:.4f} of version {opponent.version} on "
        f"{found.n:,} rows: a difference of {_signed(difference)} (with "
        f"{(1 - level) * 100:.4g}% confidence at least {_signed(difference - reach)}, at most "
        f"{_signed(difference + reach)})"
    )


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _verdict(found: Comparison, bound: float, limit: float, passed: bool, level: float) -> str:
    """What the bound proves, and what would be needed."""
    difference, se = found.difference or 0.0, found.se or 0.0
    if passed:
        return "proven better" if bound > 0 else f"proven not worse by {-limit:g} or more"
    if difference + quantile_one_sided(level) * se < 0:
        return "proven worse"
    if found.reason:
        return found.reason
    if difference < 0:
        return "no better than the champion"
    needed = rows_needed(difference - limit, se, found.n, level)
    wanted = "better" if limit == 0 else f"no worse than by {-limit:g}"
    rows = f": about {needed:,} test rows would be needed" if needed else ""
    return f"not proven {wanted}{rows}"
