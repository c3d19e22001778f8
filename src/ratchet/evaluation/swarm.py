"""The pages of SHAP values row by row: the beeswarm, and their dependence on a feature's value."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.bars import score_of, unit_of
from ratchet.evaluation.canvas import CHANCE, Page, plain, short_names, short_number
from ratchet.evaluation.explanation import Explanation, Value, said
from ratchet.evaluation.points import listed
from ratchet.evaluation.residual_points import clip_range
from ratchet.evaluation.themes import Theme

Floats = npt.NDArray[np.float64]
_MOST_LINES = 12
_MOST_ROWS = 600
_DEPENDENCE = 4
_MOST_CATEGORIES = 6
_TINTS = 11


def swarm_points(explanation: Explanation, *, output: int = 0, points: int = 200) -> dict[str, Any]:
    """SHAP values of the features that matter most: for each line ``x`` and ``tint``.

    ``tint`` is the place of the row's value among the feature's values, from 0 for the lowest to 1;
    None for text and where it is missing.
    """
    step = max(1, -(-explanation.rows // points))
    lines = []
    for name in _ranked(explanation, output)[:_MOST_LINES]:
        place = explanation.features.index(name)
        tints = tints_of([row[place] for row in explanation.data])[::step]
        lines.append(
            {
                "feature": name,
                "x": listed(explanation.values[::step, place, output]),
                "tint": [None if np.isnan(t) else round(float(t), 3) for t in tints],
            }
        )
    return {"output": explanation.outputs[output], "scale": explanation.scale, "lines": lines}


def dependence_points(
    explanation: Explanation, feature: str, *, output: int = 0, points: int = 200
) -> dict[str, Any]:
    """SHAP values of one feature (``y``) against its value (``x``): numbers, else text or null."""
    place = explanation.features.index(feature)
    step = max(1, -(-explanation.rows // points))
    return {
        "feature": feature,
        "x": [row[place] for row in explanation.data][::step],
        "y": listed(explanation.values[::step, place, output]),
    }


def swarm_page(explanation: Explanation, theme: Theme, *, output: int = 0) -> Page:
    """Each dot a row: how far a feature moved its score, tinted by the feature's value."""
    names = _ranked(explanation, output)
    shown = names[:_MOST_LINES]
    rows = np.linspace(0, explanation.rows - 1, min(explanation.rows, _MOST_ROWS)).astype(int)
    several = len(explanation.outputs) > 1
    who = f" of {plain(explanation.outputs[output])}" if several else ""
    all_of = len(explanation.features)
    more = f"  ·  {len(shown)} of {all_of} features" if len(shown) < all_of else ""
    page = Page(
        f"How each feature moves the {score_of(explanation)}{who}",
        f"a dot is one of {len(rows):,} rows; blue: low value, orange: high, grey: text or "
        f"missing{more}",
        theme,
    )
    axes = page.list_axes(shown, f"Change of the {unit_of(explanation)}")
    axes.axvline(0, color=theme.soft, linewidth=0.9)
    values = explanation.values[rows][:, :, output]
    low, high = clip_range(values[:, [explanation.features.index(name) for name in shown]].ravel())
    for name, line in zip(shown, axes.get_yticks(), strict=False):
        place = explanation.features.index(name)
        x = values[:, place]
        tints = tints_of([explanation.data[row][place] for row in rows])
        axes.axhline(line, color=theme.rule, linewidth=0.8, zorder=0)
        _dots(axes, theme, x, line + _offsets(x, (low, high)), tints)
    space = 0.04 * (high - low)
    axes.set_xlim(low - space, high + space)
    return page


def dependence_page(explanation: Explanation, theme: Theme, *, output: int = 0) -> Page:
    """How the effect of the most important features depends on their values."""
    names = _ranked(explanation, output)[:_DEPENDENCE]
    several = len(explanation.outputs) > 1
    who = f" of {plain(explanation.outputs[output])}" if several else ""
    page = Page(
        f"Effect by value{who}",
        f"change of the {unit_of(explanation)} against the feature's value; the line is the median",
        theme,
    )
    titles = short_names(names)
    for place, name in enumerate(names):
        rect = (0.085 + 0.475 * (place % 2), 0.545 - 0.43 * (place // 2), 0.405, 0.25)
        axes = page.add_axes("", "", rect)
        axes.set_title(titles[place], size=10, color=theme.ink, loc="left", pad=5)
        axes.axhline(0, color=theme.soft, linewidth=0.9, linestyle=CHANCE)
        axes.tick_params(labelsize=8.5)
        axes.yaxis.set_major_formatter(short_number)
        column = explanation.features.index(name)
        cells = [row[column] for row in explanation.data]
        effects = explanation.values[:, column, output]
        if all(_is_number(cell) for cell in cells if cell is not None) and _distinct(cells) > 2:
            _numbers(axes, theme, cells, effects)
        else:
            _categories(axes, theme, cells, effects)
    return page


def tints_of(cells: list[Value]) -> Floats:
    """The place of each value among all, from 0 to 1 (n,); NaN for text and missing ones."""
    if any(isinstance(cell, str) for cell in cells):
        return np.full(len(cells), np.nan)
    numbers = np.array([np.nan if cell is None else float(cell) for cell in cells])
    known = np.sort(numbers[~np.isnan(numbers)])
    if len(known) == 0 or known[0] == known[-1]:
        return np.where(np.isnan(numbers), np.nan, 0.5)
    below = np.searchsorted(known, numbers, side="left")
    upto = np.searchsorted(known, numbers, side="right")
    place = (below + upto) / 2
    first = np.searchsorted(known, known[0], side="right") / 2
    last = (np.searchsorted(known, known[-1], side="left") + len(known)) / 2
    tints: Floats = np.where(np.isnan(numbers), np.nan, (place - first) / (last - first))
    return tints


def _ranked(explanation: Explanation, output: int) -> list[str]:
    """Features by the mean size of their values of one score; those that never move it left out."""
    sizes = np.abs(explanation.values[:, :, output]).mean(axis=0)
    order = np.argsort(-sizes, kind="stable")
    moving = [place for place in order if sizes[place] > 0] or order[:1]
    return [explanation.features[place] for place in moving]


def _offsets(x: Floats, span: tuple[float, float], height: float = 0.4) -> Floats:
    """How far each dot is moved up or down (n,), so that crowded ones form a bulge."""
    bins = np.clip(((x - span[0]) / (span[1] - span[0]) * 110).astype(int), 0, 110)
    counts = np.bincount(bins, minlength=111)
    offsets = np.zeros(len(x))
    for bin_ in np.flatnonzero(counts):
        members = np.flatnonzero(bins == bin_)
        steps = (np.arange(len(members)) + 1) // 2 * np.where(np.arange(len(members)) % 2, 1, -1)
        offsets[members] = steps
    return offsets * min(0.06, 2 * height / max(int(counts.max()), 1))


def _dots(axes: Any, theme: Theme, x: Floats, y: Floats, tints: Floats) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("ramp", (theme.blue, theme.middle, theme.orange))
    grey = np.isnan(tints)
    style = {"s": 9 if len(x) > 100 else 24, "linewidths": 0, "zorder": 3}
    axes.scatter(x[grey], y[grey], color=theme.soft, alpha=0.7, **style)
    axes.scatter(x[~grey], y[~grey], c=tints[~grey], cmap=ramp, vmin=0, vmax=1, alpha=0.9, **style)


def _numbers(axes: Any, theme: Theme, cells: list[Value], effects: Floats) -> None:
    """Dots and the median line; rows without a value at the right, where there are any."""
    x = np.array([np.nan if cell is None else float(cell) for cell in cells])
    known = ~np.isnan(x)
    low, high = clip_range(x[known], share=0.01)
    _scatter(axes, theme, x[known], effects[known])
    edges = np.unique(np.quantile(x[known], np.linspace(0, 1, 13), method="nearest"))
    place = np.clip(np.searchsorted(edges, x[known], side="right") - 1, 0, max(len(edges) - 2, 0))
    parts = [place == code for code in range(len(edges) - 1)]
    parts = [part for part in parts if part.any()]
    axes.plot(
        [np.median(x[known][part]) for part in parts],
        [np.median(effects[known][part]) for part in parts],
        color=theme.orange,
        linewidth=1.8,
    )
    space = 0.04 * (high - low)
    end = high + space
    if not known.all():
        gap = high + 0.12 * (high - low)
        _scatter(axes, theme, np.full(int((~known).sum()), gap), effects[~known], theme.soft)
        axes.text(
            gap,
            1.0,
            "missing",
            size=8,
            color=theme.soft,
            ha="center",
            va="bottom",
            transform=axes.get_xaxis_transform(),
        )
        end = gap + space * 1.5
    axes.set_xlim(low - space, end)
    axes.locator_params(nbins=4)
    axes.xaxis.set_major_formatter(short_number)


def _categories(axes: Any, theme: Theme, cells: list[Value], effects: Floats) -> None:
    """A strip of dots for each of the most frequent values, and its median."""
    texts = [said(cell) for cell in cells]
    names = [name for name, _ in Counter(texts).most_common(_MOST_CATEGORIES)]
    names.sort(key=lambda name: float(np.median(effects[[text == name for text in texts]])))
    for place, name in enumerate(names):
        part = effects[[text == name for text in texts]]
        # Multiples of the golden ratio spread evenly, however many there are.
        x = np.array([place + 0.5 * (dot * 0.618034 % 1 - 0.5) for dot in range(len(part))])
        _scatter(axes, theme, x, part)
        axes.plot([place - 0.33, place + 0.33], [np.median(part)] * 2, color=theme.orange, lw=1.8)
    longest = 14 if len(names) > 3 else 16
    turn = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"} if len(names) > 3 else {}
    axes.set_xticks(range(len(names)), short_names(names, longest), **turn)
    axes.set_xlim(-0.6, max(len(names), 2) - 0.4)
    axes.locator_params(axis="y", nbins=4)
    axes.grid(False, axis="x")


def _scatter(axes: Any, theme: Theme, x: Floats, y: Floats, colour: str = "") -> None:
    alpha = float(np.clip(8 / np.sqrt(len(x) + 1), 0.25, 0.85))
    size = 9 if len(x) > 60 else 20
    axes.scatter(x, y, s=size, color=colour or theme.blue, alpha=alpha, linewidths=0, zorder=2)


def _is_number(cell: Value) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _distinct(cells: list[Value]) -> int:
    return len({cell for cell in cells if cell is not None})
