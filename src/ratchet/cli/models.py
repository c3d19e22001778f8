"""``ratchet models``, ``promote``, ``rollback`` and ``who-served``."""

from __future__ import annotations

import getpass
import os
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command, show_by_default

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.deployments import Deployment
    from ratchet.ledger.versions import Version
    from ratchet.registry.plans import PromotionPlan

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The model versions and what serves.", invoke_without_command=True)
    show_by_default(group, models)
    group.command("compare")(compare)
    app.add_typer(group, name="models")
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("who-served")(who_served)


@command
def models(options: Options) -> Answer:
    """List the model versions, newest first, with their test metrics and aliases."""
    from ratchet.ledger.deployments import ALIASES

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        versions = ledger.versions()
        current = {alias: ledger.current(alias) for alias in ALIASES}
        metrics = {v.run_id: ledger.get_run(v.run_id).summary.get("metrics", {}) for v in versions}
    aliases = {alias: found.version for alias, found in current.items() if found is not None}
    rows = [_version_json(v, aliases, metrics[v.run_id]) for v in versions]
    body = {"model": project.name, "aliases": aliases, "versions": rows}
    return Answer(body, lambda console: _print_models(console, rows))


@command
def compare(
    options: Options,
    a: Annotated[str, typer.Argument(help="A version's number or an alias.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
) -> Answer:
    """Compare the stored test metrics and parameters of two versions.

    Each was measured on its own run's test rows; the paired comparison on the same rows is in
    `ratchet show` of the run that made the newer one.
    """
    from ratchet.packaging.model import Model
    from ratchet.pipeline.scoring import find_version

    project = options.load()
    found = [find_version(project, name) for name in (a, b)]
    loaded = [Model.load(project.state / version.bundle_path) for version in found]
    metrics = [
        {name: item["value"] for name, item in model.metrics()["estimates"].items()}
        for model in loaded
    ]
    body = {
        "a": {"version": found[0].version, "metrics": metrics[0], **_made_of(loaded[0].metadata)},
        "b": {"version": found[1].version, "metrics": metrics[1], **_made_of(loaded[1].metadata)},
    }
    return Answer(body, lambda console: _print_compare(console, body))


@command
def promote(
    options: Options,
    version: Annotated[int, typer.Argument(help="The version's number.")],
    reason: Reason = "",
    alias: Annotated[str, typer.Option(help="champion, challenger or staging.")] = "champion",
    force: Annotated[
        bool, typer.Option("--force", help="Overrule a gate that did not pass; needs --reason.")
    ] = False,
    dry_run: DryRun = False,
) -> Answer:
    """Make a version champion (or challenger, or staging). Refused unless its gates passed."""
    from ratchet.errors import UsageError
    from ratchet.ledger.deployments import ALIASES
    from ratchet.registry.promotion import plan_promotion

    known = next((name for name in ALIASES if name == alias), None)
    if known is None:
        raise UsageError(f"There is no alias `{alias}`", fix=f"use one of {', '.join(ALIASES)}")
    return _change(
        options,
        lambda ledger, tracking: plan_promotion(
            ledger,
            tracking,
            version,
            alias=known,
            by=who(),
            reason=reason or ("" if force else "promoted by hand"),
            force=force,
        ),
        dry_run,
    )


@command
def rollback(
    options: Options,
    to: Annotated[
        int | None, typer.Option("--to", metavar="VERSION", help="An earlier champion.")
    ] = None,
    reason: Reason = "rolled back by hand",
    dry_run: DryRun = False,
) -> Answer:
    """Go back to the champion before this one."""
    from ratchet.registry.promotion import plan_rollback

    return _change(
        options,
        lambda ledger, tracking: plan_rollback(ledger, tracking, by=who(), reason=reason, to=to),
        dry_run,
    )


@command
def who_served(
    options: Options,
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="ISO time, UTC unless it says otherwise.")
    ],
) -> Answer:
    """Say which version was champion at a time, since when, and who shared its traffic."""
    from ratchet.cli.moments import parse_moment

    moment = parse_moment(at)
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found, traffic = ledger.who_served(moment), ledger.traffic(at=moment)
    arms = [] if traffic is None else [asdict(arm) for arm in traffic.arms]
    body = {
        "at": moment.isoformat(),
        "deployment": _deployment_json(found),
        "arms": arms,
        "shadow": [] if traffic is None else list(traffic.shadow),
    }

    def show(console: Console) -> None:
        from rich.text import Text

        if found is None:
            console.print(Text(f"Nothing served at {moment.isoformat()}"))
            return
        since = found.at.isoformat(timespec="seconds")
        console.print(
            Text(f"version {found.version} since {since} ({found.action}: {found.reason})"),
            soft_wrap=True,
        )
        if traffic is not None and not traffic.plain:
            split = ", ".join(
                f"{arm.name} {arm.share:g} % (version {arm.version})" for arm in traffic.arms
            )
            console.print(Text(f"{traffic.kind}: {split}"), soft_wrap=True)

    return Answer(body, show)


def who() -> str:
    """Who asks; in a container a user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _change(options: Options, make_plan: Any, dry_run: bool) -> Answer:
    from ratchet.errors import ConflictError, EnvironmentFault
    from ratchet.pipeline.bundles import require_bundle
    from ratchet.registry.plans import explain
    from ratchet.registry.promotion import apply, reconcile
    from ratchet.rollout.meanwhile import end_overtaken

    project = options.load()
    behind = ""
    with (
        project.open_ledger(create=False) as ledger,
        nullcontext() if dry_run else ledger.lease("ratchet promote"),
    ):
        # The ledger says what serves: going back must work while MLflow is away.
        plan: PromotionPlan = make_plan(ledger, None)
        if not plan.refusal:
            require_bundle(project, ledger, plan.version)
        if not (dry_run or plan.refusal):
            apply(plan, ledger, None)
            end_overtaken(ledger)
            try:
                reconcile(ledger, project.open_tracking())
            except EnvironmentFault as error:
                behind = str(error)
    if plan.refusal and not dry_run:
        raise ConflictError(
            f"Version {plan.version} is not promoted: {plan.refusal}",
            fix="overrule it with --force --reason WHY",
            code="gate_not_passed",
        )
    lines = explain(plan)
    body = {
        "version": plan.version,
        "alias": plan.alias,
        "previous": plan.previous,
        "action": plan.action,
        "reason": plan.reason,
        "applied": not dry_run and not plan.refusal,
        "refusal": plan.refusal or None,
        "changes": [step.line() for step in plan.steps],
        "registry_behind": behind or None,
    }

    def show(console: Console) -> None:
        from rich.text import Text

        for line in lines:
            console.print(Text(("would: " if dry_run else "") + line), soft_wrap=True)
        if behind:
            console.print(
                Text(f"MLflow's aliases follow with the next run or promotion: {behind}"),
                soft_wrap=True,
            )

    return Answer(body, show, 3 if plan.refusal else 0)


def _version_json(
    version: Version, aliases: dict[Any, int], metrics: dict[str, Any]
) -> dict[str, Any]:
    return {
        "version": version.version,
        "status": version.status,
        "aliases": [alias for alias, number in aliases.items() if number == version.version],
        "run_id": version.run_id,
        "created": version.created.isoformat(),
        "digest": version.bundle_digest,
        "bundle": version.bundle_path,
        "mlflow_version": version.mlflow_version,
        "metrics": metrics,
    }


def _deployment_json(found: Deployment | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "version": found.version,
        "since": found.at.isoformat(),
        "previous_version": found.previous_version,
        "action": found.action,
        "by": found.by,
        "reason": found.reason,
        "run_id": found.run_id,
    }


def _made_of(metadata: Any) -> dict[str, Any]:
    return {name: metadata[name] for name in ("algorithm", "params", "snapshot")}


def _print_models(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from ratchet.cli.tables import figure, plain_table

    if not rows:
        console.print("No model yet: train one with `ratchet run`.")
        return
    numeric = any("rmse" in row["metrics"] for row in rows)
    shown = ("rmse", "r2") if numeric else ("roc_auc", "log_loss")
    table = plain_table("version", "alias", "status", "created (UTC)", *shown, "run")
    for row in rows:
        table.add_row(
            str(row["version"]),
            Text(", ".join(row["aliases"]), style="bold green"),
            row["status"],
            row["created"][:19].replace("T", " "),
            *(figure(row["metrics"].get(name)) for name in shown),
            row["run_id"],
        )
    console.print(table)


def _print_compare(console: Console, body: dict[str, Any]) -> None:
    from ratchet.cli.tables import figure, plain_table

    a, b = body["a"], body["b"]
    table = plain_table("", f"version {a['version']}", f"version {b['version']}")
    table.add_row("algorithm", a["algorithm"], b["algorithm"])
    table.add_row("rows", f"{a['snapshot']['rows']:,}", f"{b['snapshot']['rows']:,}")
    for name in a["metrics"]:
        table.add_row(name, figure(a["metrics"][name]), figure(b["metrics"].get(name)))
    for name in sorted({*a["params"], *b["params"]}):
        left, right = a["params"].get(name), b["params"].get(name)
        if left != right:
            table.add_row(name, str(left), str(right))
    console.print(table)
