"""``ratchet backtest``: what a retraining policy would have done, on the rows of the past."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.output import Answer, Options, command, console

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.backtest.matrix import OnPoint
    from ratchet.backtest.outcome import Backtest, Line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest)


@command
def backtest(
    options: Options,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FILE", help=r"The rows to replay \[default: the project's source]."
        ),
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="A file with a `triggers:` section; more of them may follow, or give the option"
            r" again \[default: the project's policy and the usual ones].",
        ),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[POLICY]...", help="More policy files.")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|ROWS",
            help="How often the policy is asked: 7d, or 500rows, for rows without a time"
            r" \[default: by the rows].",
        ),
    ] = None,
    delay: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="After which a row's label is known; 0 for at once"
            r" \[default: monitoring.labels.age, or 1d].",
        ),
    ] = None,
    first: Annotated[
        float,
        typer.Option(min=0.01, max=0.9, help="Share of the rows that the first model is made of."),
    ] = 0.2,
    keep: Annotated[
        float,
        typer.Option(
            min=0.5,
            max=1.0,
            help="Share of the quality of retraining every period that a recommended policy keeps.",
        ),
    ] = 0.98,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the report there, as one .html page."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--fresh",
            help="Go on with models that an earlier replay of the same rows made, or forget them.",
        ),
    ] = True,
) -> Answer:
    """Replay history: when would a policy have retrained, what would it have cost and gained?

    Rows are taken in the order of time. A model answers each period before its labels are known;
    then the policy is asked, and what it starts is trained on the labels known then and judged by
    the gate. Beside the policies stand never retraining, retraining every period, and the best
    schedule in hindsight. Nothing in the project changes.
    """
    from ratchet.backtest.run import Question
    from ratchet.backtest.run import backtest as replay
    from ratchet.backtest.settings import Pace, parse_period, read_duration, read_policies

    _check_files(data, out)
    project = options.load()
    labels = project.settings.monitoring.labels.age or "1d"
    question = Question(
        data=data,
        policies=read_policies([*(policy or ()), *(more or ())], project.settings.gates),
        pace=Pace(
            None if period is None else parse_period(period),
            read_duration(delay or labels, "--delay", "14d"),
            first,
        ),
        keep=keep,
        fresh=not resume,
    )
    found = replay(project, question, _progress())
    if out is not None:
        _write(out, found)
    body = found.to_json() | {"out": str(out) if out else None}
    return Answer(body, lambda screen: show_backtest(screen, found, out))


def _check_files(data: Path | None, out: Path | None) -> None:
    from ratchet.errors import UsageError

    if data is not None and not data.exists():
        raise UsageError(f"There is no file {data}", fix="name an existing file with --data")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"The report cannot be written to {out.name}", fix="end the name in .html")
    if out is not None and not out.resolve().parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}", fix="make it first")


def _progress() -> OnPoint | None:
    """On a terminal, a line that counts the models of the past."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        return None

    def told(done: int, total: int) -> None:
        screen.print(f"models of the past: {done} of {total}", end="\r" if done < total else "\n")

    return told


def _write(out: Path, found: Backtest) -> None:
    from ratchet.backtest.report import render_backtest
    from ratchet.pipeline.store import storing

    with storing():
        out.write_text(render_backtest(found), encoding="utf-8")


def show_backtest(screen: Console, found: Backtest, out: Path | None = None) -> None:
    """Print what was found, for people."""
    from rich.text import Text

    def say(text: str) -> None:
        screen.print(Text(text), soft_wrap=True)

    stream = found.stream
    span = (stream.tell(stream.ends[stream.first]), stream.tell(stream.ends[-1]))
    say(
        f"{stream.rows:,} rows, {len(stream.served)} periods of {stream.period} from {span[0]} to "
        f"{span[1]}, labels {stream.waits}; {found.algorithm}, first trained on "
        f"{stream.known(stream.first):,} rows"
    )
    for note in stream.notes:
        say(f"note: {note}")
    screen.print(_table(found))
    told = found.unchanged
    if told is not None:
        say(
            f"no model at all: the last label is right in {told.delayed:.1%} (known at once: "
            f"{told.at_once:.1%}), the commonest class in {told.commonest:.1%}"
        )
    advice = found.recommendation
    say(f"recommended: {advice.headline}" if advice.keeps else advice.headline)
    for reason in found.recommendation.reasons:
        say(f"  {reason}")
    if out is not None:
        say(f"report {out}")


def _table(found: Backtest) -> object:
    from ratchet.cli.tables import plain_table

    names = ["", "policy", "retrained", "promoted", found.metric, "kept", found.loss, "kept"]
    names += ["regret", "accuracy", "cpu s"]
    costly = any(line.gain is not None for line in found.lines)
    table = plain_table(*names, *(["gain"] if costly else []))
    for line in found.lines:
        mark = "→" if line.name == found.recommendation.policy else ""
        table.add_row(
            mark, *_cells(line), *([f"{line.gain:,.4g}"] if line.gain is not None else [])
        )
    for count in _shown_oracles(found):
        loss = found.oracle.losses[count] / found.lines[0].quality.rows.sum()
        table.add_row("", f"best in hindsight, {count}", str(count), "", "", "", f"{loss:.4f}")
    return table


def _shown_oracles(found: Backtest) -> list[int]:
    """The best schedule with no more retrainings than the recommended policy."""
    runs = len(found.line(found.recommendation.policy).played.runs)
    return [found.oracle.within(runs)]


def _cells(line: Line) -> list[str]:
    quality = line.quality
    return [
        line.name,
        str(len(line.played.runs)),
        str(line.played.promotions),
        f"{quality.value:.4f}",
        f"{line.kept_metric:.1%}",
        f"{quality.loss:.4f}",
        f"{line.kept_loss:.1%}",
        f"{line.regret:.4f}",
        "-" if quality.accuracy is None else f"{quality.accuracy:.1%}",
        f"{line.played.cpu:.1f}",
    ]
