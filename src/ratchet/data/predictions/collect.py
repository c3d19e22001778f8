"""Turns predictions whose labels came back into the next version of the table ``collected``.

The table holds the project's raw columns as they were served, with the label filled in, and
where each row came from (see ``data/collected.py``). Its next version is made in one commit:
whoever is killed before it has changed nothing, whoever comes again after it finds nothing
left to do. The commit says as of which moment the table is; it never goes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from ratchet.clock import now
from ratchet.data.alignment import merge_schemas
from ratchet.data.collected import FEEDBACK, ROW, TABLE, without_origin
from ratchet.data.delta_log import commit
from ratchet.data.digest import ContentDigest
from ratchet.data.lake import Lake
from ratchet.data.parts import PartWriter
from ratchet.data.predictions.due import LABEL, Rules, find_due
from ratchet.data.predictions.external import External, read_external
from ratchet.data.predictions.pinned import pin_table, utc
from ratchet.data.predictions.rebuilt import Tally, Work, added_rows, kept_rows
from ratchet.data.schema import TableSchema, polars_type
from ratchet.data.snapshot import Change, Snapshot
from ratchet.data.sources.port import Source
from ratchet.errors import ConflictError, DataError, UsageError

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Collected:
    """What collecting did.

    Attributes:
        change: to the table; ``reason`` says it in words.
        version: of the table afterwards; None while there is none.
        rows: in it.
        as_of: the moment up to which labels were used, UTC.
        added: rows of predictions; ``external`` rows from elsewhere.
        corrected: rows whose label was replaced by a later one.
        withdrawn: rows removed, because their label turned out to be another prediction's.
        waiting: labelled predictions that are too young still.
        unmatched: labels of predictions that are not in the lake.
        unfit: labels and rows that do not fit the columns' kinds, and were left out.
        notes: what else somebody should know.
    """

    change: Change
    reason: str
    version: int | None
    rows: int
    as_of: datetime
    added: int = 0
    external: int = 0
    corrected: int = 0
    withdrawn: int = 0
    waiting: int = 0
    unmatched: int = 0
    unfit: int = 0
    notes: tuple[str, ...] = ()


def collect(
    lake: Lake,
    rules: Rules,
    *,
    as_of: datetime | None = None,
    external: Sequence[Source] = (),
) -> Collected:
    """Bring the table up to what is known as of a moment.

    Args:
        lake: with ``predictions`` and ``feedback``; gets ``collected``.
        rules: what of the settings decides.
        as_of: no label observed later is used; now when left out.
        external: labelled rows from elsewhere that are to be taken up.

    Raises:
        UsageError: ``as_of_past``, the table is of a later moment already; ``as_of_future``.
        DataError: a file lacks columns, or holds values of another kind.
        ConflictError: others keep writing to the table.
        StorageError: the lake cannot be read or written.
    """
    for _ in range(_ATTEMPTS):
        done = _attempt(lake, rules, as_of, external)
        if done is not None:
            return done
    raise ConflictError(
        f'Others keep writing to the table "{TABLE}"',
        fix="Run again when they are done",
        where=lake.place(TABLE),
        code="lake_conflict",
    )


def _attempt(
    lake: Lake, rules: Rules, as_of: datetime | None, external: Sequence[Source]
) -> Collected | None:
    """Find what is due and commit it; None when somebody else committed meanwhile."""
    latest = lake.latest(TABLE)
    moment = _moment(latest, as_of)
    raw = _raw_schema(rules, latest)
    predictions, feedback = pin_table(lake, "predictions"), pin_table(lake, "feedback")
    stored = _labels(lake, latest, raw, rules)
    due = find_due(predictions, feedback, stored, rules, raw.kind(rules.target), moment)
    found = read_external(external, raw, rules, moment)
    fresh, relabelled = _compared(found.rows, stored, rules)
    work = Work(predictions, due, fresh, relabelled, raw, rules)
    facts = {
        "as_of": moment.isoformat(),
        "predictions": predictions.identity,
        "feedback": feedback.identity,
    }
    return _store(lake, latest, work, facts, found)


def _store(
    lake: Lake, latest: Snapshot | None, work: Work, facts: dict[str, Any], found: External
) -> Collected | None:
    """Make the next version of it, if there is anything new; None when somebody else did."""
    place, tally = lake.place(TABLE), Tally()
    version = 0 if latest is None else latest.version + 1
    change = _change(latest, work)
    writer, digest = PartWriter(place, version), ContentDigest(work.schema)
    committed = False
    try:
        if work.adds or work.changes:
            if latest is not None:
                _take(
                    kept_rows(lake.scan(latest), work),
                    digest,
                    None if change == "appended" else writer,
                )
            _take(added_rows(work, tally), digest, writer)
        if not (tally.added or work.fresh.height or work.changes):
            return _told("unchanged", latest, work, tally, found, facts)
        made = Snapshot(
            table=TABLE,
            version=version,
            rows=digest.rows,
            digest=digest.hexdigest(),
            schema=work.schema,
            change=change,
            source=f"predictions and their labels as of {facts['as_of']}",
            created=now(),
            fingerprint=None,
            details=facts,
        )
        committed = commit(place, made, writer.finish())
    finally:
        if not committed:
            writer.discard()
    return _told(change, made, work, tally, found, facts) if committed else None


def _change(latest: Snapshot | None, work: Work) -> Change:
    if latest is None:
        return "created"
    return "replaced" if work.changes or latest.schema != work.schema else "appended"


def _take(frames: Iterator[pl.DataFrame], digest: ContentDigest, writer: PartWriter | None) -> None:
    for frame in frames:
        digest.update(frame)
        if writer is not None:
            writer.add(frame)


def _told(
    change: Change,
    snapshot: Snapshot | None,
    work: Work,
    tally: Tally,
    found: External,
    facts: dict[str, Any],
) -> Collected:
    due = work.due
    counts = {
        "added": tally.added,
        "external": work.fresh.height,
        "corrected": due.corrected.height + work.relabelled.height,
        "withdrawn": due.withdrawn.len(),
    }
    words = [f"{count:,} {name}" for name, count in counts.items() if count]
    return Collected(
        change=change,
        reason=", ".join(words) or "nothing new was labelled",
        version=None if snapshot is None else snapshot.version,
        rows=0 if snapshot is None else snapshot.rows,
        as_of=datetime.fromisoformat(facts["as_of"]),
        **counts,
        waiting=due.waiting,
        unmatched=due.unmatched,
        unfit=due.unfit_count + tally.unfit,
        notes=_notes(work, tally, found),
    )


def _notes(work: Work, tally: Tally, found: External) -> tuple[str, ...]:
    due, rules = work.due, work.rules
    notes = []
    if due.unfit:
        notes.append(f"labels that the target {rules.target} cannot be: {', '.join(due.unfit)}")
    if tally.shown:
        notes.append(f"values that do not fit their columns: {', '.join(tally.shown)}")
    lacking = [
        name
        for name in work.raw.names
        if tally.added and name not in tally.filled and name not in rules.unneeded
    ]
    if lacking:
        notes.append(f"not served or not logged, so missing in the new rows: {', '.join(lacking)}")
    if found.unlabelled:
        notes.append(f"{found.unlabelled:,} rows from elsewhere have no label")
    if found.later:
        notes.append(f"{found.later:,} rows from elsewhere are of a later time")
    return tuple(notes)


def _moment(latest: Snapshot | None, as_of: datetime | None) -> datetime:
    """The moment to collect for: never before that of the table."""
    present = now()
    before = None
    if latest is not None and "as_of" in latest.details:
        before = utc(datetime.fromisoformat(latest.details["as_of"]))
    if as_of is None:
        return present if before is None else max(present, before)
    moment = utc(as_of)
    if moment > present:
        raise UsageError(
            f"{moment.isoformat()} lies in the future",
            why="Labels that come until then are not known yet",
            fix="Leave --as-of out to collect what is known now",
            code="as_of_future",
        )
    if before is not None and moment < before:
        raise UsageError(
            f"The collected rows are as of {before.isoformat()} already",
            why=f"They would have to go back to {moment.isoformat()}, and they never do: a run "
            "would train on fewer rows than the one before it",
            fix="Leave --as-of out, or give a later moment; what was known earlier is in the "
            f'earlier versions of the table "{TABLE}"',
            code="as_of_past",
        )
    return moment


def _raw_schema(rules: Rules, latest: Snapshot | None) -> TableSchema:
    if latest is None:
        return rules.schema
    before = without_origin(latest.schema)
    if rules.target not in before:
        raise DataError(
            f'The table "{TABLE}" holds no labels of {rules.target}',
            why=f"Its columns are {', '.join(before.names[:12])}: it was made for another target",
            fix="Use another lake for another target: set storage.lake",
            where="data.target",
            code="target_changed",
        )
    return merge_schemas(rules.schema, before, extend=True)


def _labels(lake: Lake, latest: Snapshot | None, raw: TableSchema, rules: Rules) -> pl.LazyFrame:
    """Which rows are there, with their label and what said it."""
    label = polars_type(raw.kind(rules.target))
    if latest is None:
        return pl.LazyFrame(schema={ROW: pl.String(), LABEL: label, FEEDBACK: pl.String()})
    stored = lake.scan(latest, [ROW, rules.target, FEEDBACK])
    return stored.select(ROW, pl.col(rules.target).cast(label).alias(LABEL), FEEDBACK)


def _compared(
    found: pl.DataFrame, stored: pl.LazyFrame, rules: Rules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows from elsewhere that are not there yet, and those there with another label."""
    if not found.height:
        return found, found
    before = stored.select(ROW, LABEL).join(found.lazy(), on=ROW, how="semi").collect()
    both = found.join(before, on=ROW)
    changed = both.filter(pl.col(LABEL).ne_missing(pl.col(rules.target)))
    return found.join(before, on=ROW, how="anti"), changed.drop(LABEL)
