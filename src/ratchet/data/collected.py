"""The lake's table ``collected``: the project's raw columns, and where each row came from.

The columns that begin with ``_`` are no part of what is trained on:

- ``_prediction_id``: the prediction's id; of a row from elsewhere ``external:`` and a digest.
- ``_predicted``: when the prediction was answered; null for a row from elsewhere.
- ``_observed``: when its label became known; null for a row from elsewhere.
- ``_feedback``: the key of the feedback that says the label; null where none does.
"""

from __future__ import annotations

from ratchet.data.schema import Column, TableSchema

TABLE = "collected"
ROW, PREDICTED, OBSERVED, FEEDBACK = "_prediction_id", "_predicted", "_observed", "_feedback"
EXTERNAL = "external:"

ORIGIN = (
    Column(ROW, "string"),
    Column(PREDICTED, "datetime"),
    Column(OBSERVED, "datetime"),
    Column(FEEDBACK, "string"),
)
"""The columns that say where a row came from, after the raw ones."""


def with_origin(raw: TableSchema) -> TableSchema:
    """The table's schema for a project with these raw columns."""
    return TableSchema((*raw.columns, *ORIGIN))


def without_origin(stored: TableSchema) -> TableSchema:
    """The raw columns of the table."""
    own = {column.name for column in ORIGIN}
    return TableSchema(tuple(column for column in stored.columns if column.name not in own))
