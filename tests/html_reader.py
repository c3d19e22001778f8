"""A page read as a browser would, strictly: what is in it, and what is wrong with it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "wbr"}
SHAPES = {"line", "rect", "circle", "path"}


class Page(HTMLParser):
    """Tags, attributes, ids and text of a page; refuses tags that do not close."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.opened: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(source)
        self.close()
        assert not self.opened, f"never closed: {self.opened}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"twice the same attribute: {tag} {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.opened, f"nothing to close: {tag}"
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.opened and self.opened[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that can be read."""
        return " ".join(" ".join(self.texts).split())

    @property
    def names(self) -> list[str]:
        """The tags in order."""
        return [name for name, _ in self.tags]

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]
