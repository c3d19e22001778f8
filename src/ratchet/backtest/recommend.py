"""Which policy to take, what it costs in quality, and whether that can be told from chance.

Of the policies that keep the wanted share of the quality of training in every period, those that
are proven worse than the best of them are left out; of the rest the one that trains least is
recommended. With ``triggers.cost`` set, the one that gains most after its costs is. Where none
keeps the wanted share, by metric and by loss, that is said first, and the one with the least loss
is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ratchet.backtest.quality import Difference, better_by_loss, better_by_metric
from ratchet.pipeline.report.words import metric_title

if TYPE_CHECKING:
    from ratchet.backtest.outcome import Line

KEEP: Final = 0.98
"""The share of the quality of training in every period that a policy must keep."""
SURE: Final = 1.96
"""Standard errors beyond which a difference is more than noise, 1 in 20."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do.

    Attributes:
        policy: its name.
        headline: in a sentence.
        reasons: the trade-off, one sentence each.
        within_noise: no difference between it and never training is more than noise.
        keeps: it keeps the wanted share of the quality, by metric and loss.
        alike: policies that cannot be told from it.
    """

    policy: str
    headline: str
    reasons: tuple[str, ...]
    within_noise: bool
    keeps: bool
    alike: tuple[str, ...] = ()


def recommend(lines: Sequence[Line], metric: str, *, keep: float = KEEP) -> Recommendation:
    """Choose among the policies; baselines are what they are held against.

    Args:
        lines: policies and baselines.
        metric: what decides.
        keep: the share of the quality of every period that is wanted.
    """
    policies = [line for line in lines if not line.baseline]
    able = [line for line in policies if keeps(line, keep)]
    if any(line.gain is not None for line in policies):
        chosen = max(policies, key=lambda line: (line.gain or 0.0, -len(line.played.runs)))
    else:
        chosen = _thriftiest(able or policies, metric, able=bool(able))
    alike = tuple(
        line.name
        for line in policies
        if line is not chosen and not _proven_worse(line, chosen, metric)
        and not _proven_worse(chosen, line, metric)
    )  # fmt: skip
    noise = max(chosen.against_never.z, chosen.loss_against_never.z) < SURE
    every = next(line for line in lines if line.baseline and line.played.runs)
    return Recommendation(
        policy=chosen.name,
        headline=_headline(chosen, every, metric, keep, noise),
        reasons=_reasons(chosen, every, alike, noise, metric),
        within_noise=noise,
        keeps=keeps(chosen, keep),
        alike=alike,
    )


def keeps(line: Line, share: float) -> bool:
    """Whether a policy keeps the wanted share of the quality, by metric and by loss."""
    return line.kept_metric >= share and line.kept_loss >= share


def _thriftiest(lines: Sequence[Line], metric: str, *, able: bool) -> Line:
    best = min(lines, key=lambda line: (line.quality.loss, len(line.played.runs)))
    if not able:
        return best
    left = [line for line in lines if not _proven_worse(line, best, metric)]
    return min(left, key=lambda line: (len(line.played.runs), line.quality.loss))


def _proven_worse(line: Line, other: Line, metric: str) -> bool:
    by_metric = better_by_metric(metric, line.quality, other.quality)
    by_loss = better_by_loss(line.quality, other.quality)
    return min(by_metric.z, by_loss.z) < -SURE


def _headline(chosen: Line, every: Line, metric: str, keep: float, noise: bool) -> str:
    runs, most = len(chosen.played.runs), len(every.played.runs)
    kept = f"{_least_kept(chosen, metric)} of the quality of retraining every period"
    if not runs:
        said = f"{chosen.name}: it never retrained, and keeps {kept}"
    else:
        said = f"{chosen.name}: {runs} retrainings in place of {most}, with {kept}"
        said += "; but never retraining cannot be told from it" if noise else ""
    if keeps(chosen, keep):
        return said
    if chosen.gain is not None:
        return f"most gain after its costs has {said}, which is less than {keep:.0%}"
    return (
        f"no policy keeps {keep:.0%} by both {metric_title(metric)} and loss; the least loss of "
        f"them has {said}"
    )


def _least_kept(line: Line, metric: str) -> str:
    """The lower of the two shares, and by which it is."""
    if line.kept_loss < line.kept_metric:
        return f"{line.kept_loss:.1%} (by loss)"
    return f"{line.kept_metric:.1%} (by {metric_title(metric)})"


def _reasons(
    chosen: Line, every: Line, alike: Sequence[str], noise: bool, metric: str
) -> tuple[str, ...]:
    quality, runs, title = chosen.quality, len(chosen.played.runs), metric_title(metric)
    found = [
        f"{title} {quality.value:.4f} against {every.quality.value:.4f} of every period: "
        + _said(chosen.against_every),
        (
            f"loss of a row {quality.loss:.4f} against {every.quality.loss:.4f} of every period: "
            f"{_said(chosen.loss_against_every)}; {chosen.kept_loss:.1%} kept of the better of "
            "every period with and without the gate"
        ),
    ]
    if runs:
        found += [
            (
                f"against never retraining {title} is {_said(chosen.against_never)}, the loss of a "
                f"row {_said(chosen.loss_against_never)}"
            ),
            (
                f"{chosen.played.promotions} of {runs} new models passed the gate; the best "
                "schedule in hindsight with no more retrainings would have lost "
                f"{chosen.regret:.4f} less a row"
            ),
        ]
    if chosen.gain is not None:
        found.append(f"after its costs it gains {chosen.gain:,.4g} over never retraining")
    if alike:
        found.append(f"within noise of it: {', '.join(alike)}")
    if noise:
        found.append(
            "on these rows no difference from never retraining is more than noise: keep a policy "
            "that trains seldom as a guard, or replay more history"
        )
    return tuple(found)


def _said(found: Difference) -> str:
    if not found.value and not found.se:
        return "the same"
    word = "better" if found.value >= 0 else "worse"
    sure = "within noise" if abs(found.z) < SURE else "more than noise"
    return f"{abs(found.value):.4f} {word} ± {found.se:.4f}, {sure}"
