"""``ratchet experiment``: two versions side by side, until one is proven better."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.experiment_text import experiment_json, power_lines, standing_lines
from ratchet.cli.models import who
from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.reader import LedgerReader

Name = Annotated[str, typer.Argument(help="The experiment's name.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Compare two versions on live traffic (A/B).", no_args_is_help=True)
    for name, function in (
        ("create", create),
        ("show", show),
        ("list", list_all),
        ("advance", advance),
        ("stop", stop),
        ("apply", apply),
    ):
        group.command(name)(function)
    app.add_typer(group, name="experiment")


@command
def create(
    options: Options,
    name: Annotated[
        str | None,
        typer.Argument(help="The experiment's name; by default `a1-b2`, the versions' numbers."),
    ] = None,
    *,
    b: Annotated[str, typer.Option("--b", metavar="VERSION", help="The version that is tried.")],
    a: Annotated[
        str, typer.Option("--a", metavar="VERSION", help="What it is compared with: the champion.")
    ] = "champion",
    split: Annotated[
        float, typer.Option(help="The share of entities (data.id) that b answers, 0 to 1.")
    ] = 0.5,
    metric: Annotated[
        str,
        typer.Option(
            help="accuracy, log_loss, brier; with two classes also auc and conversion (the share "
            "of entities with the positive outcome); for numbers absolute_error, squared_error."
        ),
    ] = "accuracy",
    days: Annotated[float, typer.Option(help="How long entities are assigned at the most.")] = 14,
    margin: Annotated[
        float | None,
        typer.Option(
            help="The smallest difference that matters, for planning. By default 0.01, and for "
            "numbers 5 % of the champion's error."
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="The chance of a wrong verdict, over all looks together.")
    ] = 0.05,
    window: Annotated[
        str, typer.Option(metavar="DURATION", help="An entity's rows count this long.")
    ] = "1d",
    labels_after: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="The age at which a label is taken to be in. By default measured on the "
            "champion's.",
        ),
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Promote b by itself if it is proven better.")
    ] = False,
    reason: Reason = "begun by hand",
    force: Annotated[
        bool, typer.Option("--force", help="Although b's gates did not pass.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it can show, and start nothing.")
    ] = False,
) -> Answer:
    """Give a version a part of the traffic, and compare it with the champion at any time.

    First it is said how many entities it takes to see the margin. An entity stays with its
    version. The loop looks at it by itself: what is worse is stopped at once.
    """
    from ratchet import clock
    from ratchet.ledger.experiments import Trial
    from ratchet.pipeline import experimenting

    _check_numbers(split, days, margin, alpha)
    rules = {
        "alpha": alpha,
        "window": _seconds("--window", window),
        "labels_after": None if labels_after is None else _seconds("--labels-after", labels_after),
        "apply": promote,
    }
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        first, second = _number(ledger, a), _number(ledger, b)
        now = clock.now()
        ends = now + timedelta(days=days)
        name = name or _free_name(ledger, f"a{first}-b{second}")
        trial = Trial(name, first, second, 100.0 * split, metric, ends, rules, who(), reason, force)
        made = experimenting.plan(project, ledger, trial, days=days, margin=margin)
        if dry_run:
            ledger.rehearse_experiment(made.trial)
        found = None if dry_run else ledger.begin_experiment(made.trial)
    body = {
        "started": not dry_run,
        "power": made.power.to_json(),
        "experiment": None if found is None else experiment_json(found),
    }

    def tell(console: Console) -> None:
        from rich.text import Text

        for line in power_lines(made.power, made.trial.metric, days):
            console.print(Text(line), soft_wrap=True)
        if found is not None:
            told = (
                f"{name}: version {first} answers {100 - found.share:g} %, version {second} "
                f"{found.share:g} % of the entities until {found.ends:%Y-%m-%d %H:%M} UTC"
            )
            console.print(Text(told), soft_wrap=True)

    return Answer(body, tell)


@command
def show(
    options: Options,
    name: Annotated[
        str | None, typer.Argument(help="Its name; by default the one that changed last.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the report there, as one .html page."),
    ] = None,
) -> Answer:
    """Show how an experiment stands: who came, the difference, and its interval."""
    from ratchet.errors import UsageError
    from ratchet.pipeline import experimenting

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        every = ledger.experiments()
        if name is None and not every:
            raise UsageError(
                "There was no experiment yet",
                fix="begin one with: ratchet experiment create --b VERSION",
                code="no_experiment",
            )
        found = every[0] if name is None else ledger.experiment(name)
        comparison, path, _ = experimenting.look_back(project, ledger, found)
        if out is not None:
            experimenting.write_report(project, ledger, found, out)
    stands = comparison.to_json()
    body = {
        "experiment": experiment_json(found),
        "now": stands,
        "path": [each.to_json() for each in path],
        "report": None if out is None else str(out),
    }

    def tell(console: Console) -> None:
        from rich.text import Text

        for line in standing_lines(found, stands):
            console.print(Text(line), soft_wrap=True)
        if out is not None:
            console.print(Text(f"written: {out}"), soft_wrap=True)

    return Answer(body, tell)


@command
def list_all(options: Options) -> Answer:
    """List the experiments, newest first, with their verdicts."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = ledger.experiments()
    body = {"experiments": [experiment_json(each) for each in found]}

    def tell(console: Console) -> None:
        from rich.text import Text

        from ratchet.cli.tables import plain_table

        if not found:
            console.print("There was no experiment yet.")
            return
        table = plain_table("name", "a", "b", "metric", "started (UTC)", "status", "verdict")
        for each in found:
            table.add_row(
                Text(each.name),
                str(each.a),
                str(each.b),
                each.metric,
                f"{each.started:%Y-%m-%d %H:%M}",
                each.status,
                each.verdict or "-",
            )
        console.print(table)

    return Answer(body, tell)


@command
def advance(options: Options) -> Answer:
    """Look at the experiment once and take the step that is due. The loop does this itself.

    Exit code 3: the version was proven worse.
    """
    from ratchet.pipeline import experimenting

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        look = experimenting.advance(project, ledger)
    if look is None:
        body: dict[str, Any] = {"did": None, "experiment": None}
        return Answer(body, lambda console: console.print("No experiment is running."))
    body = {
        "did": look.did,
        "reason": look.reason,
        "experiment": experiment_json(look.experiment),
        "registry_behind": look.behind or None,
    }
    worse = look.did == "decided" and look.experiment.verdict == "worse"

    def tell(console: Console) -> None:
        from rich.text import Text

        verdict = f" ({look.experiment.verdict})" if look.did == "decided" else ""
        told = f"{look.experiment.name}: {look.did}{verdict}: {look.reason}"
        console.print(Text(told, style="bold red" if worse else ""), soft_wrap=True)

    return Answer(body, tell, 3 if worse else 0)


@command
def stop(options: Options, name: Name, reason: Reason = "stopped by hand") -> Answer:
    """End an experiment without a verdict: the champion answers everything again."""
    from ratchet.pipeline import experimenting

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = experimenting.stop(project, ledger, name, by=who(), reason=reason)
    body = {"experiment": experiment_json(found)}
    told = f"{found.name} is stopped; version {found.a} answers everything"
    return Answer(body, lambda console: console.print(told, soft_wrap=True, highlight=False))


@command
def apply(
    options: Options,
    name: Name,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Although it is not proven better; needs --reason."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and change nothing.")
    ] = False,
) -> Answer:
    """Promote an experiment's winner. Refused unless it was proven better."""
    from ratchet.errors import ConflictError
    from ratchet.pipeline import experimenting
    from ratchet.registry.plans import explain

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = ledger.experiment(name)
        plan, behind = experimenting.apply_winner(
            project, ledger, found, by=who(), force=force, reason=reason, dry_run=dry_run
        )
    if plan.refusal and not dry_run:
        raise ConflictError(
            f"Version {plan.version} is not promoted: {plan.refusal}",
            fix="overrule it with --force --reason WHY",
            code="gate_not_passed",
        )
    body = {
        "version": plan.version,
        "previous": plan.previous,
        "reason": plan.reason,
        "applied": not dry_run,
        "refusal": plan.refusal or None,
        "changes": [step.line() for step in plan.steps],
        "registry_behind": behind or None,
    }

    def tell(console: Console) -> None:
        from rich.text import Text

        for line in explain(plan):
            console.print(Text(("would: " if dry_run else "") + line), soft_wrap=True)

    return Answer(body, tell, 3 if plan.refusal else 0)


def _check_numbers(split: float, days: float, margin: float | None, alpha: float) -> None:
    from ratchet.errors import UsageError

    problems = (
        (not 0 < split < 1, f"--split {split:g} is not between 0 and 1"),
        (not 0 < days <= 365, f"--days {days:g} is not between 0 and 365"),
        (margin is not None and not 0 < margin < 1e12, f"--margin {margin} is not above 0"),
        (not 0 < alpha <= 0.2, f"--alpha {alpha:g} is not between 0 and 0.2"),
    )
    for wrong, told in problems:
        if wrong:
            raise UsageError(told, fix="for example: --split 0.5 --days 14 --alpha 0.05")


def _free_name(ledger: LedgerReader, name: str) -> str:
    """The name, with a number where there was such an experiment before."""
    taken = {each.name for each in ledger.experiments()}
    tries = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
    return next(each for each in tries if each not in taken)


def _seconds(option: str, text: str) -> float:
    from ratchet.config.durations import parse_duration
    from ratchet.errors import UsageError

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _number(ledger: LedgerReader, name: str) -> int:
    """The version that a number or an alias names."""
    from ratchet.errors import UsageError
    from ratchet.ledger.deployments import ALIASES

    # NAME:7 and models:/NAME/7 are how MLflow writes a version.
    name = name.rpartition(":")[2].rpartition("/")[2]
    if name.isdecimal():
        return ledger.version(int(name)).version
    known = next((alias for alias in ALIASES if alias == name), None)
    found = None if known is None else ledger.current(known)
    if found is None:
        raise UsageError(
            f"There is no version {name}",
            fix="use a version's number (ratchet models), or an alias that is set: champion",
            code="no_model",
        )
    return found.version
