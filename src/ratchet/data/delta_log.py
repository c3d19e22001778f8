"""The Delta log of one table of the lake: opening a version, committing the next."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ratchet.data.parts import Part
from ratchet.data.schema import Kind, TableSchema
from ratchet.data.snapshot import Snapshot
from ratchet.data.storage import is_remote, local_path, storage_fault, storage_options
from ratchet.errors import StorageError

if TYPE_CHECKING:
    from deltalake import DeltaTable

_FACTS = "ratchet"
_TYPES: dict[Kind, str] = {
    "integer": "long",
    "number": "double",
    "string": "string",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",  # UTC: one without a zone is a feature that tables must opt into
}


def open_table(place: str, version: int | None = None) -> DeltaTable | None:
    """The table at ``place``, newest version or the given one; None where there is none.

    Raises StorageError when it cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        if not is_remote(place) and not (local_path(place) / "_delta_log").is_dir():
            return None
        return DeltaTable(place, version=version, storage_options=storage_options(place))
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise storage_fault(place, error) from None


def read_snapshot(table: str, place: str, version: int) -> Snapshot:
    """What the commit of a version says."""
    info = _read_remote(place, version) if is_remote(place) else _read_local(place, version)
    raw = info.get(_FACTS)
    if raw is None:
        raise StorageError(
            f'Version {version} of the table "{table}" was not made by Ratchet',
            why=f"Its commit ({info.get('operation')}) carries no facts about the data",
            fix="Let only Ratchet write to its lake; point data.source at the table instead",
            where="storage.lake",
            code="lake_foreign",
        )
    return Snapshot.from_facts(table, version, json.loads(raw))


def _read_local(place: str, version: int) -> dict[str, Any]:
    # DeltaTable.history of an older version gives the newest commits under wrong numbers
    # (deltalake 1.6), so the commit's own file is read.
    path = local_path(place) / "_delta_log" / f"{version:020d}.json"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        actions = [json.loads(line) for line in lines if '"commitInfo"' in line]
    except (OSError, ValueError) as error:
        raise storage_fault(place, error) from None
    return next((action["commitInfo"] for action in actions if "commitInfo" in action), {})


def _read_remote(place: str, version: int) -> dict[str, Any]:
    newest = open_table(place)
    commits: list[dict[str, Any]] = [] if newest is None else newest.history()
    return next((commit for commit in commits if commit.get("version") == version), {})


def commit(place: str, snapshot: Snapshot, parts: Iterable[Part]) -> bool:
    """Make the version that ``snapshot`` describes, in one step.

    False when somebody else made that version first; then nothing has changed.
    """
    from deltalake import CommitProperties, PostCommitHookProperties
    from deltalake.exceptions import CommitFailedError, DeltaError

    # No retries: who lost the race must look at the winner's rows before trying again. No
    # cleaning: the log of every version stays, so that every version can be read.
    properties = CommitProperties({_FACTS: json.dumps(snapshot.facts())}, max_commit_retries=0)
    hooks = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
    actions = [part.action() for part in parts]
    try:
        if snapshot.version == 0:
            _create(place, snapshot, actions, properties, hooks)
        else:
            _extend(place, snapshot, actions, properties, hooks)
    except CommitFailedError:
        return False
    except (DeltaError, OSError) as error:
        if snapshot.version == 0 and open_table(place) is not None:
            return False
        raise storage_fault(place, error) from None
    return True


def _create(
    place: str, snapshot: Snapshot, actions: list[Any], properties: Any, hooks: Any
) -> None:
    from deltalake.transaction import create_table_with_add_actions

    create_table_with_add_actions(
        place,
        _delta_schema(snapshot.schema),
        actions,
        mode="error",
        storage_options=storage_options(place),
        commit_properties=properties,
        post_commithook_properties=hooks,
    )


def _extend(
    place: str, snapshot: Snapshot, actions: list[Any], properties: Any, hooks: Any
) -> None:
    opened = open_table(place, snapshot.version - 1)
    if opened is None:
        raise OSError("the table disappeared")
    opened.create_write_transaction(
        actions,
        "append" if snapshot.change == "appended" else "overwrite",
        _delta_schema(snapshot.schema),
        commit_properties=properties,
        post_commithook_properties=hooks,
    )


def _delta_schema(schema: TableSchema) -> Any:
    from deltalake import Schema

    fields = [
        {"name": c.name, "type": _TYPES[c.kind], "nullable": True, "metadata": {}}
        for c in schema.columns
    ]
    return Schema.from_json(json.dumps({"type": "struct", "fields": fields}))
