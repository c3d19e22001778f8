"""The pages of importance: permutation importance, and the mean size of SHAP values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.evaluation.canvas import Page, plain, short_names
from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.themes import Theme

if TYPE_CHECKING:
    from ratchet.evaluation.explanation import Explanation
    from ratchet.evaluation.importance import Importance

MOST_BARS = 15
_MOST_PARTS = 7


def importance_page(importance: Sequence[Importance], metric: str, theme: Theme) -> Page:
    """The columns that matter most, with their standard errors."""
    shown = list(importance[:MOST_BARS])
    info = find_metric(metric)
    change = "Rise" if info.better == "lower" else "Fall"
    title = info.title if info.title.isupper() or "-" in info.title else info.title.lower()
    more = f"the {len(shown)} of {len(importance)} columns that matter most"
    page = Page(
        "Feature importance",
        f"{change} of {title} when a column"
        f" is shuffled  ·  {more if len(shown) < len(importance) else 'all columns'}",
        theme,
    )
    label = f"{change} of {title}, with its 95% interval"
    axes = page.list_axes([item.name for item in shown], label)
    errors = [1.96 * item.se for item in shown]
    _bars(axes, theme, np.array([item.value for item in shown]), errors)
    axes.axvline(0, color=theme.soft, linewidth=0.8)
    return page


def shap_importance_page(explanation: Explanation, theme: Theme) -> Page:
    """The features that move the score most on average; with several classes, class by class."""
    ranked = explanation.importance()
    shown = [item for item in ranked[:MOST_BARS] if item.value > 0] or list(ranked[:1])
    several = len(explanation.outputs) > 1
    count = f"the {len(shown)} of {len(ranked)} features that move it most"
    page = Page(
        f"What moves the {score_of(explanation)}" + (" of each class" if several else ""),
        f"mean size of the SHAP values of {explanation.rows:,} rows  ·  "
        f"{count if len(shown) < len(ranked) else 'all features'}",
        theme,
    )
    unit = unit_of(explanation)
    axes = page.list_axes([item.name for item in shown], f"Mean change of the {unit}, up or down")
    if 1 < len(explanation.outputs) <= _MOST_PARTS:
        _stacked(page, axes, explanation, [item.name for item in shown])
        return page
    errors = [1.96 * item.se for item in shown]
    _bars(axes, theme, np.array([item.value for item in shown]), errors)
    axes.set_xlim(left=0)
    return page


def score_of(explanation: Explanation) -> str:
    """What is explained, in a title."""
    return "estimate" if explanation.scale == "estimate" else "score"


def unit_of(explanation: Explanation) -> str:
    """What values are measured in, for an axis."""
    if explanation.scale == "estimate":
        return "estimate"
    who = f" of {plain(explanation.outputs[0], 18)}" if len(explanation.outputs) == 1 else ""
    return f"{explanation.scale}{who}"


def _places(axes: Any, count: int) -> Any:
    """The lines of `Page.list_axes`, from the top."""
    return axes.get_yticks()[:count]


def _bars(axes: Any, theme: Theme, values: Any, errors: list[float]) -> None:
    axes.barh(
        _places(axes, len(values)),
        values,
        height=0.66,
        color=theme.blue,
        xerr=errors,
        error_kw={"ecolor": theme.ink, "elinewidth": 1, "capsize": 2.5},
    )


def _stacked(page: Page, axes: Any, explanation: Explanation, names: list[str]) -> None:
    """One part for each class, those that are moved most first."""
    rows = [explanation.features.index(name) for name in names]
    sizes = np.abs(explanation.values).mean(axis=0)[rows] / len(explanation.outputs)
    order = np.argsort(-sizes.sum(axis=0), kind="stable")
    labels = short_names(explanation.outputs, 18)
    parts = [(labels[code], sizes[:, code]) for code in order]
    start = np.zeros(len(rows))
    for (label, part), colour in zip(parts, page.theme.palette, strict=False):
        axes.barh(
            _places(axes, len(rows)), part, left=start, height=0.66, color=colour, label=label
        )
        start = start + part
    page.add_legend(axes, "lower right")
