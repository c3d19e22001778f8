"""``ratchet audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.events import Event


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Whether the record of decisions is whole, and what it says.", no_args_is_help=True
    )
    group.command("verify")(verify)
    group.command("log")(log)
    app.add_typer(group, name="audit")


@command
def verify(
    options: Options,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            metavar="SEQ:HASH",
            help="What an earlier verify printed; tells also when the whole chain was rewritten.",
        ),
    ] = None,
) -> Answer:
    """Read every event again and say whether anything was changed. Exit code 3 when it was."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        report = ledger.verify_chain()
        last = ledger.newest_event()
        problems = [{"seq": item.seq, "why": item.why} for item in report.breaks]
        expected: dict[str, Any] | None = None
        if expect is not None:
            seq, digest = _expected(expect)
            found = ledger.events(after=seq - 1, limit=last - seq + 1) if seq <= last else ()
            fits = bool(found) and found[0].seq == seq and found[0].hash.startswith(digest)
            expected = {"seq": seq, "hash": digest, "fits": fits}
            if not fits:
                problems.append({"seq": seq, "why": "it is not the event that was seen before"})
    body = {
        "intact": not problems,
        "events": report.events,
        "anchor": f"{last}:{report.head}",
        "expected": expected,
        "problems": problems,
    }

    def show(console: Console) -> None:
        from rich.text import Text

        for problem in problems:
            console.print(
                Text.assemble(("✗ ", "red"), f"event {problem['seq']}: {problem['why']}"),
                soft_wrap=True,
            )
        if not problems:
            console.print(f"{report.events} events, every hash fits.")
            if expected is not None:
                console.print(
                    f"The expected anchor fits: event {expected['seq']} is the one seen before."
                )
            console.print(Text(f"anchor {body['anchor']}"), soft_wrap=True)
            console.print("Keep the anchor elsewhere; check it with --expect.", style="dim")

    return Answer(body, show, 3 if problems else 0)


@command
def log(
    options: Options,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Only events of this kind.")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Only events of this run.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only from this ISO time on.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every event, and not the decisions only.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1_000_000, help="How many, the newest ones.")
    ] = 50,
) -> Answer:
    """Tell the decisions: what was promoted, rejected, rolled back or set, by whom, on what."""
    from ratchet.cli.moments import parse_moment
    from ratchet.ledger.decisions import is_decision

    project = options.load()
    after = None if since is None else parse_moment(since)
    with project.open_ledger(create=False) as ledger:
        found = ledger.events(kind=kind, run_id=run)
    wanted = [
        event
        for event in found
        if (every or kind is not None or is_decision(event))
        and (after is None or event.at >= after)
    ][-limit:]
    body = {"events": [_event_json(event) for event in wanted]}
    parts = ((" of kind", kind), (" of run", run), (" since", since))
    asked = "".join(f"{word} {value}" for word, value in parts if value is not None)
    hidden = any(after is None or event.at >= after for event in found)
    nothing = f"No {'decision' if hidden else 'event'}{asked}"
    nothing += ", but other events: see them with --all." if hidden else "."
    return Answer(body, lambda console: _print(console, wanted, nothing))


def _expected(text: str) -> tuple[int, str]:
    from ratchet.errors import UsageError

    seq, colon, digest = text.partition(":")
    if not colon or not seq.isdecimal() or int(seq) < 1 or len(digest) < 8:
        raise UsageError(
            f"--expect {text} is not of the form SEQ:HASH",
            fix="give what `ratchet audit verify` printed as anchor",
        )
    return int(seq), digest.lower()


def _event_json(event: Event) -> dict[str, Any]:
    from ratchet.ledger.decisions import tell_event

    told = tell_event(event)
    return {
        "seq": event.seq,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "run_id": event.run_id,
        "by": told.who,
        "what": told.what,
        "evidence": dict(told.evidence),
        "facts": dict(event.facts),
        "hash": event.hash,
    }


def _print(console: Console, events: list[Event], nothing: str) -> None:
    from rich.text import Text

    from ratchet.cli.tables import plain_table
    from ratchet.ledger.decisions import tell_event

    if not events:
        console.print(Text(nothing), soft_wrap=True)
        return
    table = plain_table("event", "at (UTC)", "kind", "who", "what", "evidence")
    for event in events:
        told = tell_event(event)
        table.add_row(
            str(event.seq),
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            event.kind,
            Text(told.who),
            Text(f"{told.what} (run {event.run_id})" if event.run_id else told.what),
            Text(" ".join(f"{name} {digest}" for name, digest in told.evidence.items())),
        )
    console.print(table)
