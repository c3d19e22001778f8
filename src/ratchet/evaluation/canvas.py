"""One look for every plot: page, axes, colours. The only module that speaks to matplotlib.

Objects only, no pyplot: no global state, no window, safe in threads. Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

WIDTH, HEIGHT, DPI = 7.0, 5.0, 100

INK = "#1b1f24"
SOFT = "#5b6470"
RULE = "#e3e6ea"
BLUE = "#0072b2"
ORANGE = "#d55e00"
# Okabe and Ito's palette, told apart with every common form of colour blindness.
PALETTE = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)
DASHES = ("-", "--", "-.", ":", "-", "--", "-.")

LEFT, RIGHT, BOTTOM, TOP = 0.105, 0.965, 0.115, 0.845

Rect = tuple[float, float, float, float]


def start_page(title: str, subtitle: str, *, height: float = HEIGHT) -> Any:
    """An empty figure, 700 pixels wide, with its title and subtitle at the top left."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    top = height - 0.13
    page.text(0.025, top / height, title, size=14, weight="bold", color=INK, va="top")
    page.text(0.025, (top - 0.32) / height, subtitle, size=10, color=SOFT, va="top")
    return page


def add_axes(page: Any, x_label: str, y_label: str, rect: Rect | None = None) -> Any:
    """Axes with a light grid and only the two lines that carry numbers.

    Args:
        page: the figure.
        x_label: what runs to the right; empty for none.
        y_label: what runs upwards; empty for none.
        rect: left, bottom, width, height as shares of the page.
    """
    axes = page.add_axes(rect or (LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(SOFT)
        spine.set_linewidth(0.8)
    axes.tick_params(colors=SOFT, labelsize=9.5, length=3, width=0.8)
    axes.set_xlabel(x_label, size=10.5, color=INK)
    axes.set_ylabel(y_label, size=10.5, color=INK)
    axes.grid(True, color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def unit_axes(page: Any, x_label: str, y_label: str, rect: Rect | None = None) -> Any:
    """Axes from 0 to 1 both ways, in percent."""
    axes = add_axes(page, x_label, y_label, rect)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    marks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    texts = tuple(f"{mark:.0%}" for mark in marks)
    axes.set_xticks(marks, texts)
    axes.set_yticks(marks, texts)
    return axes


def add_legend(axes: Any, place: str, *, columns: int = 1) -> None:
    """A legend without a frame's weight, readable over a line."""
    legend = axes.legend(
        loc=place,
        fontsize=9.5,
        frameon=True,
        framealpha=0.9,
        edgecolor="none",
        ncols=columns,
        handlelength=2.2,
        labelcolor=INK,
    )
    legend.set_zorder(5)


def add_note(axes: Any, text: str, at: tuple[float, float], towards: tuple[float, float]) -> None:
    """A dot at ``at`` and its text, shifted by ``towards`` in points."""
    axes.plot([at[0]], [at[1]], "o", color=ORANGE, markersize=8, mec="white", mew=1.3, zorder=6)
    axes.annotate(
        text,
        at,
        xytext=towards,
        textcoords="offset points",
        size=9.5,
        color=INK,
        va="center",
        ha="left" if towards[0] >= 0 else "right",
        linespacing=1.35,
        arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.8, "shrinkB": 5},
        bbox={
            "boxstyle": "round,pad=0.25",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.9,
        },
        zorder=6,
    )


def plain(value: object, longest: int = 22) -> str:
    """A label as text for a plot: one line, not too long, and a dollar sign that stays one."""
    text = " ".join(str(value).split()) or '""'
    if len(text) > longest:
        text = text[: longest - 1].rstrip() + "…"
    return text.replace("$", r"\$")


def to_png(page: Any) -> bytes:
    """The page as PNG bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    with warnings.catch_warnings():
        # A label in a script that the font lacks is drawn as boxes: no reason to warn on each run.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        FigureCanvasAgg(page).print_png(out, metadata={"Software": None})
    return out.getvalue()
