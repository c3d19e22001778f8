"""Write docs/reference/ from the code: settings, commands and errors.

``--check`` only compares, and fails when a page is out of date.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ratchet.config.fields import FieldNode, walk
from ratchet.errors import RatchetError
from ratchet.project import ProjectSettings

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code; edit the code instead. -->\n\n"


def configuration() -> str:
    """Every key of ratchet.yaml."""
    nodes = list(walk(ProjectSettings))
    lines = [
        "# Configuration\n",
        (
            "Every key of `ratchet.yaml`. `ratchet config show` prints what is in force and where it "
            "was set; `ratchet config explain KEY` says the same as this page.\n"
        ),
        (
            "Values rise in this order: `ratchet.yaml`, `ratchet.ENVIRONMENT.yaml` (chosen by `--env` "
            "or `RATCHET_ENV`), `RATCHET__SECTION__KEY` variables, `--set section.key=value`. Unknown "
            "and duplicate keys are refused. Secrets are written `${NAME}` and read from the "
            "environment.\n"
        ),
    ]
    groups: dict[tuple[str, ...], list[FieldNode]] = {}
    for node in nodes:
        groups.setdefault(node.path[:-1], []).append(node)
    for section, keys in groups.items():
        lines.append(f"## {'.'.join(section) or 'Top level'}\n")
        lines += [
            "| key | type | default | what it does |",
            "|---|---|---|---|",
            *(
                f"| `{key.path[-1]}` | {_cell(key.type)} | {_default(key)} | "
                f"{_cell(key.description)} |"
                for key in keys
            ),
            "",
        ]
    return NOTE + "\n".join(lines)


def _default(node: FieldNode) -> str:
    if node.required:
        return "*required*"
    if node.type.endswith("section") or hasattr(node.default, "model_dump"):
        return ""
    return f"`{_cell(_yaml(node.default))}`"


def _yaml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    return str(value) if value != "" else '""'


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def commands() -> str:
    """Every command with its arguments and options."""
    from ratchet.cli.main import build

    lines = [
        "# Commands\n",
        (
            "Every command takes `--project DIR`, `--env NAME`, `--set KEY=VALUE` and `--json`. With "
            '`--json`, stdout is one object: `{"ok": true, "data": {…}}` or `{"ok": false, "error": '
            "{code, what, why, fix, where}}`; everything meant for people goes to stderr.\n"
        ),
        "| exit code | means |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | a bug in Ratchet |",
        "| 2 | usage: the command line asks for something impossible |",
        "| 3 | a verdict said no: unusable data, failed checks, a gate that rejected |",
        "| 4 | configuration |",
        "| 5 | conflict: somebody else holds the project |",
        "| 6 | a missing extra, an unreachable service, a full or read-only disk |",
        "",
    ]
    for name, command in _commands(typer.main.get_command(build()), ""):
        lines += [f"## ratchet {name}\n", inspect.cleandoc(command.help or "") + "\n"]
        own = [p for p in command.params if not _common(p)]
        if own:
            lines += ["| option | what it does |", "|---|---|"]
            lines += [f"| {_option(p)} | {_cell(getattr(p, 'help', None) or '')} |" for p in own]
            lines.append("")
    lines += ["## What `ratchet run --json` says\n", "| field of `data` | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(text)} |" for name, text in RUN_FIELDS.items()]
    return NOTE + "\n".join(lines) + "\n"


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def _common(parameter: Any) -> bool:
    return bool({"--project", "--env", "--set", "--json", "--help"} & set(parameter.opts))


def _option(parameter: Any) -> str:
    if parameter.opts and parameter.opts[0].startswith("-"):
        metavar = "" if getattr(parameter, "is_flag", False) else f" {parameter.metavar or ''}"
        return f"`{parameter.opts[0]}{metavar.rstrip()}`"
    return f"`{(parameter.metavar or parameter.name or '').upper()}`"


def errors() -> str:
    """The tree of errors, and the code of every case."""
    lines = [
        "# Errors\n",
        (
            "Every error says what happened, why, what to do and where. Programs read the exit "
            "code, which gives the class, and `code`, which gives the case. An error without a "
            "code of its own has that of its class.\n"
        ),
        "| class | code | exit code | means |",
        "|---|---|---|---|",
    ]
    for kind in _tree(RatchetError):
        first = (kind.__doc__ or "").splitlines()[0]
        lines.append(f"| `{kind.__name__}` | `{kind.code}` | {kind.exit_code} | {_cell(first)} |")
    lines += [
        "\n## Codes of cases\n",
        (
            "Where a code has more than one class, the exit code tells which. What exits with 4 as "
            "a setting exits with 2 when the command line gave it. `…` stands for a role, such as "
            "`time`. What the server refuses has a `code` in its problem document too, with an "
            "HTTP status instead of an exit code.\n"
        ),
        "| code | exit code | class |",
        "|---|---|---|",
    ]
    for code, classes in _cases():
        exits = ", ".join(map(str, sorted({kind.exit_code for kind in classes})))
        names = ", ".join(f"`{name}`" for name in sorted(kind.__name__ for kind in classes))
        lines.append(f"| `{code}` | {exits} | {names} |")
    return NOTE + "\n".join(lines) + "\n"


def _cases() -> list[tuple[str, set[type[RatchetError]]]]:
    """Each code that the sources write where they make an error, with the error's classes."""
    kinds = {kind.__name__: kind for kind in _tree(RatchetError)}
    found: dict[str, set[type[RatchetError]]] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                given = [word.value for word in node.keywords if word.arg == "code"]
            elif isinstance(node, ast.ClassDef) and node.bases and node.name not in kinds:
                name = ast.unparse(node.bases[0])
                given = [
                    line.value
                    for line in node.body
                    if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code"
                ]
            else:
                continue
            for code in filter(None, map(_code, given)):
                if name in kinds:
                    found.setdefault(code, set()).add(kinds[name])
    return sorted(found.items())


def _code(value: ast.expr) -> str:
    """A code as it is written, ``…`` for what only running tells; empty if nothing is written."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(_code(part) or "…" for part in value.values)
    return ""


def _tree(kind: type[RatchetError]) -> Iterator[type[RatchetError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == "ratchet.errors":
            yield from _tree(below)


RUN_FIELDS = {
    "run_id": "The run's id.",
    "outcome": "`promoted`, `candidate` (passed, waits, or stopped after `--step`), `rejected`, `skipped` or `failed`.",
    "reason": "Why it ended so, in a sentence.",
    "trigger": "What set it off.",
    "snapshot": "The pinned table: `table`, `version`, `rows`, `digest`, `change`, `reason`.",
    "steps": "Each with `name`, `status` (done, reused, stopped, failed, not run), `seconds`, `cached`, `detail`, `error`.",
    "candidates": "Each with `name`, `algorithm`, `params`, `status`, `error`, `cv` {metric: [mean, std]}, `folds`, `rounds`, `tuned` (what a search changed), `trials`, `test` {metric: value}, `seconds`, `notes`.",
    "best": "The name of the chosen candidate.",
    "champion": "The version that served before: `version`, `run_id`, `bundle`, `bundle_digest`.",
    "checks": "The check report: `passed`, `errors`, `warnings`, `results`.",
    "comparison": "The paired comparison with the champion: difference, interval, bounds, verdict, rows needed.",
    "gates": "Each with `name`, `group`, `value`, `threshold`, `passed`, `reason`, `where`.",
    "model": "The registered version: `name`, `version`, `uri`, `bundle`, `digest`.",
    "metrics": "Of the best candidate on the test rows; `precision`, `recall` and `f1` are weighted by class.",
    "metric": "The metric that chose among the candidates.",
    "update": "How the model was made: `retune` (searched for), `refit` or `incremental`.",
    "climbed": "The cheaper ways that were tried before, each with `update` and the `reason` it was not enough.",
    "notes": "What training had to say of the model: what there was no time for, what was left out.",
    "window": "Which training rows were learned from: `setting`, `rows` of `of`, `since`, `begins`, `reason`, `metric`, `block`, `tried` (each `share`, `value`, `difference` to all rows, `se`), `says`.",
    "report": "The run's HTML page, if it has one.",
    "seconds": "Wall time.",
    "cpu_seconds": "Processor time, of the processes it started too.",
    "error": "The fault of a failed run.",
}


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {"configuration.md": configuration(), "commands.md": commands(), "errors.md": errors()}


def main() -> int:
    """Write or compare the pages."""
    made = pages()
    if "--check" not in sys.argv:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    stale = [
        name
        for name, text in made.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]
    for name in stale:
        print(f"docs/reference/{name} is out of date: run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
