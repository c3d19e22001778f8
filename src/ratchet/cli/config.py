"""``ratchet config show`` and ``ratchet config explain KEY``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.config.fields import FieldNode


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What is set, where, and what each key means.", no_args_is_help=True)
    group.command("show")(show)
    group.command("explain")(explain)
    app.add_typer(group, name="config")


@command
def show(options: Options) -> Answer:
    """Print every setting in force, and where it was made.

    Secrets stay written as ${NAME}; passwords inside addresses are masked.
    """
    from ratchet.pipeline.settings_log import shown_settings

    project = options.load()
    values = shown_settings(project)
    lines = list(_flatten(values, ()))
    origins = {".".join(map(str, path)): project.origins.of(*path) for path, _ in lines}

    def print_all(console: Console) -> None:
        from rich.text import Text

        width = max(len(dotted) for dotted in origins)
        for path, value in lines:
            dotted = ".".join(map(str, path))
            origin = origins[dotted]
            text = json.dumps(value, ensure_ascii=False)
            line = Text(f"{dotted:<{width}}  {text}", style="dim" if origin == "default" else "")
            if origin != "default":
                line.append(f"   # {origin}", style="dim")
            console.print(line, soft_wrap=True)

    return Answer({"settings": values, "origins": origins}, print_all)


@command
def explain(
    options: Options,
    key: Annotated[str, typer.Argument(help="A key such as gates.champion.margin.")],
) -> Answer:
    """Say what a key means, its type, its default, and where it is set here."""
    from ratchet.config.fields import walk
    from ratchet.config.suggest import hint
    from ratchet.errors import UsageError
    from ratchet.project import ProjectSettings

    nodes = {node.dotted: node for node in walk(ProjectSettings)}
    plain = {dotted.replace(".<each>", ""): node for dotted, node in nodes.items()}
    node = nodes.get(key) or plain.get(key)
    if node is None:
        raise UsageError(f"There is no key `{key}`", fix=hint(key, plain), code="unknown_key")
    below = [other for other in nodes.values() if other.path[:-1] == node.path]
    value, origin = _in_force(options, node.path)
    data = {
        "key": node.dotted,
        "type": node.type,
        "default": _plain(node.default),
        "required": node.required,
        "description": node.description,
        "value": value,
        "origin": origin,
        "keys": [other.dotted for other in below],
    }
    return Answer(data, lambda console: _print_key(console, node, value, origin, below))


def _in_force(options: Options, path: tuple[str, ...]) -> tuple[Any, str | None]:
    from ratchet.errors import UsageError
    from ratchet.pipeline.settings_log import shown_settings

    try:
        project = options.load()
    except UsageError:
        return None, None  # outside a project a key can still be explained
    value: Any = shown_settings(project)
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value, project.origins.of(*path)


def _print_key(
    console: Console, node: FieldNode, value: Any, origin: str | None, below: list[FieldNode]
) -> None:
    from rich.text import Text

    lines = [
        Text.assemble((node.dotted, "bold"), f"  ({node.type})"),
        Text("  " + node.description),
    ]
    if node.required:
        lines.append(Text("  required"))
    elif node.type != "section":
        lines.append(Text(f"  default: {_plain(node.default)!r}"))
    if origin is not None and node.type != "section":
        lines.append(Text(f"  here:    {value!r}  ({origin})"))
    lines += [Text(f"  .{other.path[-1]:<16} {other.description}") for other in below]
    for line in lines:
        console.print(line, soft_wrap=True)


def _flatten(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flatten(item, (*path, key))
    elif path:
        yield path, value


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True) if hasattr(value, "model_dump") else value
