"""What MLflow imports to load a bundle (``loader_module``): no pickle, the model's own runtimes.

``mlflow.pyfunc.load_model("models:/churn@champion").predict(frame)`` gives the scores that
``ratchet predict`` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.packaging.model import Model
from ratchet.packaging.signature import InputColumn

if TYPE_CHECKING:
    import pandas as pd


class BundleModel:
    """A bundle behind MLflow's interface."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(
        self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score raw rows.

        Args:
            model_input: a pandas frame with the columns of the training data; absent ones count
                as missing, others are ignored.
            params: none are known.

        Returns:
            One row per row: ``prediction`` and ``probability_<class>`` for every class; for
            regression ``prediction`` and, where the model gives an interval,
            ``prediction_low`` and ``prediction_high``.

        Raises:
            DataError: a value is of another kind than in training.
        """
        import pandas as pd

        frame = _as_read(model_input, self.model.signature.inputs)
        return pd.DataFrame(self.model.predict(frame).to_columns(), index=frame.index)


def _load_pyfunc(path: str) -> BundleModel:
    """Load the bundle in the folder ``path``; MLflow calls this by its name."""
    return BundleModel(Model.load(Path(path)))


def _as_read(data: Any, inputs: tuple[InputColumn, ...]) -> pd.DataFrame:
    """``data`` with text where a number, a truth value or a time should be read as CSV files are.

    pandas keeps a numeric column as text when a single cell is blank, and reads a text column of
    digits as numbers; Ratchet read the training file otherwise.
    """
    import pandas as pd

    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    changed: dict[str, Any] = {}
    for column in inputs:
        if column.name not in frame.columns:
            continue
        values = frame[column.name]
        if column.kind == "string" and values.dtype.kind in "iu":
            changed[column.name] = values.astype(str)
        elif column.kind != "string" and _is_text(values):
            read = _read_text(values, column)
            if read is not None:
                changed[column.name] = read
    return frame.assign(**changed) if changed else frame


def _is_text(values: Any) -> bool:
    import pandas as pd

    if isinstance(values.dtype, pd.StringDtype):
        return True
    if values.dtype != object:
        return False
    return bool(pd.api.types.infer_dtype(values, skipna=True) == "string")


def _read_text(values: Any, column: InputColumn) -> Any:
    """The column in its kind, or None when it holds what no file of this kind would."""
    import pandas as pd
    import polars as pl

    from ratchet.data.parsing import parse
    from ratchet.data.settings import SourceSettings

    blank = ["", *SourceSettings.model_fields["missing"].default]
    text = pl.Series(column.name, values.astype(object).where(values.notna(), None).tolist())
    stripped = text.cast(pl.String).str.strip_chars()
    known = stripped.set(stripped.is_in(blank).fill_null(value=False), None)
    read, misfit = parse(known, column.kind)
    if misfit is not None:
        return None
    if column.kind in ("integer", "number"):
        return pd.Series(read.to_numpy(), index=values.index)
    return pd.Series(read.to_list(), index=values.index, dtype=object)
