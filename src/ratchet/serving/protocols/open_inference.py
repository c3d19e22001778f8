"""The Open Inference Protocol, version 2: what KServe, Triton, MLServer and Seldon speak.

One tensor for each column, shape [n] or [n, 1]; a model of numbers only takes one [n, k] tensor
as well. Texts, dates and times are ``BYTES``; a missing value is null, in floats NaN. Answered
are ``label`` and ``probabilities`` (for regression ``prediction`` and the ends of its interval)
and ``prediction_id``, which feedback asks for. Tensors may be binary, as Triton's clients send
and want them unless told otherwise. Errors are ``{"error": text}``.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

import ratchet
from ratchet.serving.http import JSON, Answer, ProblemError, Request, Routes
from ratchet.serving.protocols.bodies import aside, read_json, without_words
from ratchet.serving.protocols.outputs import (
    Output,
    no_outputs,
    output_tensors,
    outputs_of,
)
from ratchet.serving.protocols.tables import missing_columns
from ratchet.serving.protocols.tensor_table import Envelope, TensorReader, Wanted
from ratchet.serving.protocols.tensors import (
    DATATYPES,
    Tensor,
    read_columns,
    to_records,
    write_binary,
)

if TYPE_CHECKING:
    from ratchet.packaging.signature import Signature
    from ratchet.serving.answers import AnsweredTable
    from ratchet.serving.asked import Asked
    from ratchet.serving.codec import Codec, Expected
    from ratchet.serving.desk import Desk
    from ratchet.serving.resident import Resident
    from ratchet.serving.service import Service

EXTENSIONS = ("binary_tensor_data",)
_HEADER = b"inference-header-content-length"
_BINARY = b"application/octet-stream"


class Inference(Envelope, kw_only=True):
    """The JSON of a request."""

    inputs: list[Tensor]


_decoder = msgspec.json.Decoder(Inference)


class OpenInferenceProtocol:
    """The endpoints under ``/v2``; the one model that is known is called like the project."""

    def __init__(self, service: Service) -> None:
        self._service, self._name = service, service.site.project
        self._readers: tuple[Codec | None, TensorReader | None] = None, None

    def add_to(self, routes: Routes) -> None:
        """Answer the paths of the protocol."""
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        routes.add("GET", "/v2", self.server, None)
        routes.add("GET", "/v2/health/live", self.live, None)
        routes.add("GET", "/v2/health/ready", self.ready, None)
        for path in (model, version):
            routes.add("GET", path, self.metadata, "read", refuse)
            routes.add("GET", f"{path}/ready", self.model_ready, None, refuse)
            routes.add("POST", f"{path}/infer", self.infer, "predict", refuse)

    async def server(self, request: Request) -> Answer:
        """What this server is."""
        told = {"name": "ratchet", "version": ratchet.__version__, "extensions": EXTENSIONS}
        return Answer(200, msgspec.json.encode(told))

    async def live(self, request: Request) -> Answer:
        """Whether the server answers."""
        return Answer(200, b'{"live":true}')

    async def ready(self, request: Request) -> Answer:
        """Whether a model serves."""
        if self._service.unready is not None:
            return Answer(503, b'{"ready":false}')
        return Answer(200, b'{"ready":true}')

    async def metadata(self, request: Request) -> Answer:
        """The tensors of a model."""
        desk, resident, _ = self._find(request)
        versions = sorted(desk.serving.residents)
        told = describe(self._name, versions, resident.model.signature)
        return Answer(200, msgspec.json.encode(told))

    async def model_ready(self, request: Request) -> Answer:
        """Whether a model, or a version of it, serves."""
        self._find(request)
        return Answer(200, msgspec.json.encode({"name": self._name, "ready": True}))

    async def infer(self, request: Request) -> Answer:
        """Score the rows of a request."""
        desk, resident, version = self._find(request)
        codec = desk.codec
        known = [tensor["name"] for tensor in output_tensors(resident.model.signature)]

        reader = None if _HEADER in request.headers else self._reader(codec)

        def read() -> tuple[Envelope, Sequence[Asked]]:
            plain = without_words(request.body)
            if reader is not None and plain is not request.body:
                found = reader.read(plain)
                if found is not None:
                    return found
            asked, records = read_inference(request, codec.columns)
            return asked, codec.check(records, where="rows")

        size = len(request.body)
        found = None
        if reader is not None:
            found = await aside(lambda: reader.read(request.body), size // reader.lighter)
        asked, rows = await aside(read, size) if found is None else found
        _check_wanted(asked.outputs or (), known)
        if not rows:
            return _write_nothing(asked, resident, self._name)
        answered = await self._service.predict_table(rows, request, version=version)
        return write_answer(asked, answered, self._name)

    def _reader(self, codec: Codec) -> TensorReader:
        """What reads tables for a codec, made when its first one comes."""
        codec_before, reader = self._readers
        if codec_before is not codec or reader is None:
            reader = TensorReader(codec)
            self._readers = codec, reader
        return reader

    def _find(self, request: Request) -> tuple[Desk, Resident, int | None]:
        """What serves, the version that is asked about, and its number where one is named."""
        name, wanted = request.params["model"], request.params.get("version")
        if name != self._name:
            raise ProblemError(
                404, "unknown_model", f'Model "{name:.100}" is unknown', why=f"{self._name} serves"
            )
        desk = self._service.desk
        serving = desk.serving
        if wanted is None:
            return desk, serving.champion, None
        if not (
            wanted.isascii()
            and wanted.isdigit()
            and len(wanted) < 10
            and int(wanted) in serving.residents
        ):
            loaded = ", ".join(str(number) for number in sorted(serving.residents))
            what = f'Version "{wanted:.20}" does not serve'
            raise ProblemError(404, "unknown_version", what, why=f"loaded are {loaded}")
        return desk, serving.residents[int(wanted)], int(wanted)


def read_inference(
    request: Request, columns: Sequence[Expected]
) -> tuple[Inference, list[dict[str, Any]]]:
    """The request's JSON, and its rows.

    Raises:
        ProblemError: 400: it cannot be read, or lacks inputs.
    """
    head, binary = _divide(request)
    asked = read_json(head, _decoder)
    if not asked.inputs:
        raise ProblemError(400, "bad_tensor", "There are no inputs", field="inputs")
    found = read_columns(asked.inputs, binary, columns)
    absent = [each.name for each in columns if each.required and each.name not in found]
    if absent:
        raise missing_columns(absent)
    return asked, to_records(found)


def write_answer(asked: Envelope, answered: AnsweredTable, name: str) -> Answer:
    """The answer to rows in the tensors that the request wants, in the order it wants them.

    Raises:
        ProblemError: 400: it wants an output that there is not.
    """
    return _write(asked, outputs_of(answered), _envelope(asked, answered, name))


def _write_nothing(asked: Envelope, resident: Resident, name: str) -> Answer:
    """The answer to no rows, as the model that would have scored them gives it."""
    envelope = _envelope(asked, None, name) | {"model_version": str(resident.version)}
    return _write(asked, no_outputs(resident.model.signature), envelope)


def _write(asked: Envelope, outputs: Iterable[Output], envelope: dict[str, Any]) -> Answer:
    whole = asked.parameters or {}
    made = {output.name: output for output in outputs}
    wanted = asked.outputs or [Wanted(name) for name in made]
    _check_wanted(wanted, made)
    tensors, behind = [], []
    for each in wanted:
        output = made[each.name]
        binary = (each.parameters or {}).get("binary_data", whole.get("binary_data_output", False))
        tensor = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        parameters = dict(output.parameters)
        if binary is True:
            raw = write_binary(output.values, output.datatype)
            parameters["binary_data_size"] = len(raw)
            behind.append(raw)
        else:
            tensor["data"] = output.values
        tensors.append(tensor | ({"parameters": parameters} if parameters else {}))
    head = msgspec.json.encode(envelope | {"outputs": tensors})
    if not behind:
        return Answer(200, head)
    length = (_HEADER, str(len(head)).encode())
    return Answer(200, b"".join([head, *behind]), _BINARY, (length,))


def describe(name: str, versions: Iterable[int], signature: Signature) -> dict[str, Any]:
    """A model's metadata: its versions, and the tensors it takes and gives."""
    inputs = [
        {"name": column.name, "datatype": DATATYPES[column.kind], "shape": [-1]}
        for column in signature.inputs
    ]
    return {
        "name": name,
        "versions": [str(number) for number in versions],
        "platform": "ratchet",
        "inputs": inputs,
        "outputs": output_tensors(signature),
    }


def refuse(problem: ProblemError) -> Answer:
    """A problem in the protocol's form, with the status that its clients know."""
    status = 400 if problem.status == 422 else problem.status
    return Answer(status, msgspec.json.encode({"error": str(problem)}), JSON, problem.headers)


def _divide(request: Request) -> tuple[bytes, bytes]:
    """The JSON of a body, and what is behind it."""
    told = request.headers.get(_HEADER)
    if told is None:
        return request.body, b""
    if not told.isdigit() or len(told) > 12 or not 0 < int(told) <= len(request.body):
        raise ProblemError(
            400,
            "bad_header",
            "Inference-Header-Content-Length does not fit the body",
            fix="give the length of the JSON part in bytes",
        )
    length = int(told)
    return request.body[:length], request.body[length:]


def _envelope(asked: Envelope, answered: AnsweredTable | None, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"model_name": name}
    if answered is not None and len(answered.versions) == 1:
        told["model_version"] = str(answered.versions[0])
    if asked.id:
        told["id"] = asked.id
    if answered is not None and len(answered.arms) == 1:
        told["parameters"] = {"arm": answered.arms[0]}
    return told


def _check_wanted(wanted: Iterable[Wanted], known: Collection[str]) -> None:
    """Refuse an output that there is not."""
    for place, each in enumerate(wanted):
        field = f"outputs[{place}]"
        if each.name not in known:
            what, why = f'There is no output "{each.name:.100}"', f"there are {', '.join(known)}"
            raise ProblemError(400, "bad_output", what, why=why, field=field)
        if "classification" in (each.parameters or {}):
            what = "Outputs as a classification are not supported"
            raise ProblemError(400, "bad_output", what, field=field, fix="ask for label")
