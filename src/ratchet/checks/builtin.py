"""The built-in checks, run together: what every table must be before it is learned from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import polars as pl

from ratchet.checks.duplicates import IdCounts, check_ids, probe_duplicates
from ratchet.checks.freshness import probe_time
from ratchet.checks.leakage import check_id_like, check_leakage, check_mixed
from ratchet.checks.report import CheckResult
from ratchet.checks.run import Measures
from ratchet.checks.settings import ChecksSettings
from ratchet.checks.structure import (
    check_columns,
    check_rows,
    check_usable,
    probe_infinite,
    probe_keys,
    probe_long_text,
    probe_missing,
)
from ratchet.checks.subject import Probe, Subject, draw_sample, feature_names
from ratchet.checks.table import Table, named
from ratchet.checks.target import check_target
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.settings import DataSettings


def run_builtin(
    frame: pl.LazyFrame,
    *,
    data: DataSettings,
    settings: ChecksSettings,
    now: datetime,
    expected: TableSchema | None = None,
    modified: datetime | None = None,
) -> tuple[CheckResult, ...]:
    """Judge ``frame`` by every built-in check that is not off.

    Args:
        frame: the rows, in the data package's types.
        data: the ``data`` section: roles, task and positive class.
        settings: the ``checks`` section.
        now: the time of the check.
        expected: the schema of the last run, or None when there was none.
        modified: when the source's newest file was written, for sources that are files.

    Returns:
        The results, failed and passed, in a fixed order.
    """
    subject, ids = _look_at(frame, data, settings)
    results: list[CheckResult] = []
    if expected is not None:
        results.extend(check_columns(subject, expected))
    results.extend(check_rows(subject))
    results.extend(check_target(subject))
    results.extend(check_ids(subject, ids))
    probes = (
        probe_keys(subject),
        probe_time(subject, now, modified),
        probe_missing(subject),
        probe_infinite(subject),
        probe_long_text(subject),
        probe_duplicates(subject, ids),
    )
    results.extend(_judge(frame, probes))
    results.extend(check_usable(subject))
    if ids.rows:
        results.extend(check_leakage(subject))
        results.extend(check_id_like(subject))
        results.extend(check_mixed(subject))
    return tuple(results)


def _look_at(
    frame: pl.LazyFrame, data: DataSettings, settings: ChecksSettings
) -> tuple[Subject, IdCounts]:
    """The subject of the checks, with the counts that other checks start from."""
    table = Table.of(frame)
    ids = IdCounts.of(frame, table, data.id)
    looked_at = [*feature_names(table, Roles.of(data))]
    if data.target in table.types:
        looked_at.append(data.target)
    sample = draw_sample(frame.select(map(named, looked_at)), ids.rows, settings.leakage.rows)
    return Subject(frame, table, data, settings, ids.rows, sample), ids


def _judge(frame: pl.LazyFrame, probes: Iterable[Probe]) -> Iterable[CheckResult]:
    """The results of the probes, whose measures are taken in one query."""
    taken = Measures()
    asked = [
        (probe, {name: taken.add(measure) for name, measure in probe.measures.items()})
        for probe in probes
    ]
    values = taken.collect(frame)
    for probe, places in asked:
        yield from probe.judge({name: values[place] for name, place in places.items()})
