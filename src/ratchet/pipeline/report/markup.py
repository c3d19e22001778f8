"""HTML that cannot be broken by data: every text is escaped unless it was made here.

``tag`` is the only way to markup. A child that is not ``Html`` is data and is escaped, so a class
label named ``<script>`` is a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import TypeAlias

Child: TypeAlias = "str | Iterable[str] | None"
Value: TypeAlias = "str | int | float | bool | None"

_VOID = frozenset({"meta", "wbr"})
_EMPTY = frozenset({"line", "rect", "circle", "path"})
# Python cannot spell these as argument names.
_NAMES: Mapping[str, str] = {
    "class_": "class",
    "view_box": "viewBox",
    "aspect": "preserveAspectRatio",
}
# Not allowed in HTML, or not in UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Finished markup."""

    __slots__ = ()


def text(value: str) -> Html:
    """Data as markup: escaped, and free of what a page cannot hold."""
    if isinstance(value, Html):
        return value
    return Html(escape(_UNPRINTABLE.sub("�", value), quote=True))


def join(children: Iterable[str], between: str = "") -> Html:
    """Several pieces in a row."""
    return Html(text(between).join(text(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """One element.

    Args:
        name: of the element.
        children: markup, or text that is escaped, or iterables of both; None is left out.
        attributes: ``class_`` is ``class``, ``_`` inside a name is ``-``; None and False are left
            out, True has no value.
    """
    opened = f"<{name}{''.join(_attributes(attributes))}"
    if name in _EMPTY and not children:
        return Html(opened + "/>")
    if name in _VOID:
        return Html(opened + ">")
    return Html(f"{opened}>{''.join(_inside(children))}</{name}>")


def _attributes(attributes: Mapping[str, Value]) -> Iterable[str]:
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name = _NAMES.get(key) or key.replace("_", "-")
        yield f" {name}" if value is True else f' {name}="{text(str(value))}"'


def _inside(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            yield text(child)
        else:
            yield from (text(part) for part in child)
