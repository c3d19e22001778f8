"""A bundle as an MLflow model: the files MLflow puts beside it so that any client can load it.

``mlflow.pyfunc.save_model`` would do the same in 0.3 CPU seconds, nearly all of it spent on
comparing the requirements with every installed package; with MLflow's own ``Model`` and the
files written here it takes 0.01. The bundle itself is not copied but uploaded beside them.

The input types in the signature are ``any``. Where types are declared, MLflow refuses an integer
column for a double and a double for an integer, although pandas makes doubles of every integer
column with a missing value and integers of whole numbers; of a missing truth value it makes false,
and of missing text in ``instances`` the text "None". Ratchet checks and converts the values itself,
by the kinds in the bundle's own signature (also the model's metadata ``ratchet_inputs``). The
price: ``mlflow models serve``, which reads CSV only by declared types, answers 400 to it.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.errors import RatchetError
from ratchet.packaging.predictions import class_name
from ratchet.packaging.signature import Signature

DATA = "data"
LOADER = "ratchet.registry.pyfunc"
_EXAMPLE, _SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
_CONDA, _PYTHON = "conda.yaml", "python_env.yaml"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What is written beside the bundle.

    Attributes:
        requirements: lines ``name==version``.
        metadata: facts for whoever looks at the model; text values.
    """

    signature: Signature
    requirements: tuple[str, ...]
    metadata: Mapping[str, Any]


def write_model_files(
    folder: Path, content: ModelFiles, *, run_id: str, model_id: str, location: str
) -> None:
    """Write ``MLmodel``, the environment and the examples to ``folder``.

    Args:
        folder: an empty folder.
        run_id: the tracking server's run.
        model_id: the tracking server's id of the model.
        location: where the model's files will be.

    Raises:
        RatchetError: MLflow did not keep the signature.
    """
    from mlflow.models import Model
    from mlflow.pyfunc import add_to_model

    signature = _signature(content.signature)
    requirements = _with_mlflow(content.requirements)
    _write_environment(folder, requirements)
    _write_examples(folder, content.signature.example)
    model = Model(
        artifact_path=location,
        run_id=run_id,
        model_uuid=model_id,
        model_id=model_id,
        signature=signature,
        metadata=dict(content.metadata) | {"ratchet_inputs": _kinds(content.signature)},
        saved_input_example_info={
            "artifact_path": _EXAMPLE,
            "serving_input_path": _SERVING_EXAMPLE,
            "type": "dataframe",
            "pandas_orient": "split",
        },
    )
    add_to_model(model, loader_module=LOADER, data=DATA, conda_env=_CONDA, python_env=_PYTHON)
    model.save(str(folder / "MLmodel"))
    # MLflow has dropped signatures silently before (mlflow issue 25593).
    if Model.load(str(folder)).signature != signature:
        raise RatchetError("MLflow did not keep the model's signature", where=str(folder))


def _signature(signature: Signature) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = [ColSpec(AnyType(), column.name, required=False) for column in signature.inputs]
    outputs = [ColSpec(_label_type(signature), "prediction")]
    outputs += [ColSpec("double", f"probability_{class_name(c)}") for c in signature.classes]
    if signature.coverage is not None:
        outputs += [ColSpec("double", f"prediction_{end}") for end in ("low", "high")]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _label_type(signature: Signature) -> str:
    if not signature.classes:
        return "double"
    types = {type(label) for label in signature.classes}
    names = {bool: "boolean", int: "long", float: "double"}
    return names.get(types.pop(), "string") if len(types) == 1 else "string"


def _kinds(signature: Signature) -> dict[str, str]:
    return {column.name: str(column.kind) for column in signature.inputs}


def _with_mlflow(requirements: tuple[str, ...]) -> list[str]:
    from mlflow.version import VERSION

    named = {line.split("=")[0].strip().lower() for line in requirements}
    return [*([] if "mlflow" in named else [f"mlflow=={VERSION}"]), *requirements]


def _write_environment(folder: Path, requirements: list[str]) -> None:
    lines = "".join(f"{line}\n" for line in requirements)
    quoted = "".join(f"  - {json.dumps(line)}\n" for line in requirements)
    version = platform.python_version()
    _write(folder / "requirements.txt", lines)
    _write(
        folder / _PYTHON,
        f"python: {version}\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n",
    )
    _write(
        folder / _CONDA,
        f"name: mlflow-env\nchannels:\n- conda-forge\ndependencies:\n- python={version}\n"
        f"- pip\n- pip:\n{quoted}",
    )


def _write_examples(folder: Path, example: Mapping[str, Any]) -> None:
    table = {"columns": list(example), "data": [list(example.values())]}
    _write(folder / _EXAMPLE, json.dumps(table, ensure_ascii=False))
    _write(
        folder / _SERVING_EXAMPLE,
        json.dumps({"dataframe_split": table}, ensure_ascii=False, indent=1),
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
