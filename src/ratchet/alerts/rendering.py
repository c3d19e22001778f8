"""An alert's body as text and as HTML.

Both say the same in the same order: what happened, the evidence, what Ratchet did, what the reader
should do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_MOST_LINES = 20
_LONGEST_LINE = 300
_PAGE = (
    '<!doctype html><html><body style="font-family:sans-serif;color:#1a1a1a;max-width:42em">'
    "{}</body></html>"
)


def render_title(body: Mapping[str, Any]) -> str:
    """The headline in one line, with how often it happened when that is more than once."""
    title = " ".join(str(body.get("title") or body.get("text") or "").split())
    count = body.get("count", 1)
    return f"{title} ({count} times)" if count > 1 else title


def render_text(body: Mapping[str, Any]) -> str:
    """The whole message as plain text, its headline first."""
    if "title" not in body:
        return render_body(body)
    rest, title = render_body(body), render_title(body)
    return f"{title}\n{rest}" if rest else title


def render_body(body: Mapping[str, Any]) -> str:
    """The message as plain text, without its headline."""
    if "title" not in body:  # kept by an older Ratchet
        lines = (str(body.get("text", "")), "", *evidence_lines(body.get("facts") or {}))
        return "\n".join(lines).rstrip()
    parts: list[str] = [str(body["reason"])] if body.get("reason") else []
    since = _repeated(body)
    if since:
        parts.append(since)
    evidence = evidence_lines(body.get("facts") or {})
    if evidence:
        parts.append("\n".join(("Evidence:", *(f"  - {line}" for line in evidence))))
    parts += [f"{label}: {text}" for label, text in _notes(body)]
    return "\n\n".join(parts)


def render_html(body: Mapping[str, Any]) -> str:
    """The whole message as an HTML page without scripts, images or links."""
    said = [f"<h2>{escape(render_title(body))}</h2>"]
    if "title" not in body:
        return _PAGE.format(said[0])
    said += [f"<p>{_lines(str(body['reason']))}</p>"] if body.get("reason") else []
    since = _repeated(body)
    said += [f"<p><i>{escape(since)}</i></p>"] if since else []
    evidence = evidence_lines(body.get("facts") or {})
    if evidence:
        items = "".join(f"<li>{escape(line)}</li>" for line in evidence)
        said.append(f"<p><b>Evidence</b></p><ul>{items}</ul>")
    said += [f"<p><b>{label}:</b> {_lines(text)}</p>" for label, text in _notes(body)]
    said.append(f"<p style='color:#666'>{escape(_footer(body))}</p>")
    return _PAGE.format("".join(said))


def evidence_lines(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Facts as lines for people; what is empty is left out, and too many are counted."""
    lines = [_cut(line) for line in _tell(facts)]
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES + 1
        lines = [*lines[: _MOST_LINES - 1], f"and {more} more"]
    return tuple(lines)


def _tell(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        label = str(name).replace("_", " ")
        if value is None or value == "" or value == [] or value == {}:
            continue
        if isinstance(value, Mapping):
            inner = ((key, item) for key, item in value.items() if _is_plain(item))
            told = ", ".join(f"{key} {_figure(item)}" for key, item in inner)
            if told:
                yield f"{label}: {told}"
        elif isinstance(value, list | tuple):
            for item in value:
                yield f"{label}: {_figure(item)}"
        else:
            yield f"{name}: {_figure(value)}"


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def _is_plain(value: Any) -> bool:
    return value is not None and isinstance(value, str | int | float | bool)


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_figure(item)}" for key, item in value.items())
    return " ".join(str(value).split())


def _notes(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    told = (("Ratchet did", body.get("did")), ("You should", body.get("advice")))
    return tuple((label, str(text)) for label, text in told if text)


def _repeated(body: Mapping[str, Any]) -> str:
    count, first = body.get("count", 1), body.get("first")
    if count < 2:
        return ""
    return f"This happened {count} times since {first}; the last one is shown."


def _footer(body: Mapping[str, Any]) -> str:
    return f"Ratchet, project {body.get('project', '')}, {body.get('at', '')}"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
