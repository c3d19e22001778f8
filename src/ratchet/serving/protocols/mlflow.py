"""MLflow's scoring protocol: what a client of ``mlflow models serve`` sends, and is answered.

The forms and their meaning are those of MLflow's own server (``mlflow.pyfunc.scoring_server``),
and the answers those of ``ratchet.registry.pyfunc``: one object a row with ``prediction`` and
``probability_<class>``. Stricter in two things: a column that is not there and an
infinite number are refused by name, where MLflow goes on with what it makes of them. Prediction
ids, which MLflow does not know, are in headers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ratchet.packaging.predictions import class_name
from ratchet.serving.http import JSON, Answer, Headers, ProblemError, Request, Routes
from ratchet.serving.protocols.bodies import aside, read_json
from ratchet.serving.protocols.objects import object_maker
from ratchet.serving.protocols.tables import (
    Record,
    check_header,
    columns_to_records,
    missing_columns,
    read_csv,
    required,
    settle,
)

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.answers import Answered
    from ratchet.serving.asked import Asked
    from ratchet.serving.codec import Codec, Expected
    from ratchet.serving.service import Service

MANY = 4_000
"""Bytes of a body from which it is read by column: a row or two take no longer one by one."""
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV = "text/csv"

MOST_IDS = 100
"""Rows up to which their prediction ids are sent in a header."""

_TEXT = b"text/plain; charset=utf-8"


class Split(msgspec.Struct, forbid_unknown_fields=True):
    """A data frame as ``DataFrame.to_dict(orient="split")`` gives it."""

    data: list[Any]
    columns: list[Any] | None = None
    index: Any = None


class Invocation(msgspec.Struct):
    """The body of a request; exactly one of the four forms. Everything else is ignored."""

    dataframe_split: Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[Record] | msgspec.UnsetType = msgspec.UNSET
    instances: Any = msgspec.UNSET
    inputs: Any = msgspec.UNSET


class Lists(msgspec.Struct, forbid_unknown_fields=True):
    """A ``Split`` whose columns are named by texts."""

    data: list[list[Any]]
    columns: list[str]
    index: Any = None


class Tabular(msgspec.Struct, forbid_unknown_fields=True):
    """A body that holds a table and nothing else."""

    dataframe_split: Lists | None = None
    inputs: dict[str, msgspec.Raw] | None = None


_decoder = msgspec.json.Decoder(Invocation)
_tabular_decoder = msgspec.json.Decoder(Tabular)


class MlflowProtocol:
    """The endpoints of an MLflow model server."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, routes: Routes) -> None:
        """Answer ``/invocations``, ``/ping``, ``/health`` and ``/version``."""
        routes.add(
            "POST", "/invocations", self.invocations, "predict", refuse, self.invocations_at_once
        )
        for path in ("/ping", "/health"):
            routes.add("GET", path, self.ping, None)
        routes.add("GET", "/version", self.version, None)

    async def invocations(self, request: Request) -> Answer:
        """Score the rows of a body."""
        kind = _kind_of(request)
        wrong = refuse_type(kind)
        if wrong is not None:
            return wrong
        asked = request.asks
        if asked is None:
            codec = self._service.desk.codec
            asked = await aside(lambda: _ask(request.body, kind, codec), len(request.body))
        request.asks = None
        return _answer(await self._service.predict(asked, request))

    def invocations_at_once(self, request: Request) -> Answer | None:
        """As ``invocations``, where nothing is to be waited for; None where something is."""
        kind = _kind_of(request)
        wrong = refuse_type(kind)
        if wrong is not None:
            return wrong
        request.asks = asked = _ask(request.body, kind, self._service.desk.codec)
        answered = self._service.predict_at_once(asked, request)
        return None if answered is None else _answer(answered)

    async def ping(self, request: Request) -> Answer:
        """200 when a model serves."""
        return Answer(200 if self._service.unready is None else 404, b"\n")

    async def version(self, request: Request) -> Answer:
        """The version of MLflow whose protocol this is."""
        return Answer(200, _mlflow_version())


def _kind_of(request: Request) -> str:
    return request.headers.get(b"content-type", b"").decode("latin-1")


def _ask(body: bytes, kind: str, codec: Codec) -> Sequence[Asked]:
    """The rows of a body of some content type."""
    if len(body) >= MANY and not kind.startswith(CSV):
        table = read_table(body, codec)
        if table is not None:
            return table
    records = read_rows(body, codec.columns, is_csv=kind.startswith(CSV))
    return codec.check(records, extra="ignore", where="rows")


def _answer(answered: Sequence[Answered]) -> Answer:
    return Answer(200, write(answered), JSON, told(answered))


def read_table(body: bytes, codec: Codec) -> Sequence[Asked] | None:
    """The rows of a body of columns, or of lists of values; None where ``read_rows`` must look.

    What a data frame leaves out or writes otherwise is judged there, value by value.
    """
    try:
        given = None if codec.by_column.dated else read_json(body, _tabular_decoder)
    except ProblemError:
        return None
    if given is None or (given.inputs is None) == (given.dataframe_split is None):
        return None
    if given.inputs is not None:
        return codec.by_column.read(given.inputs, ignore=True)
    split = given.dataframe_split
    assert split is not None
    try:
        columns = dict(zip(split.columns, zip(*split.data, strict=True), strict=True))
    except ValueError:  # uneven
        return None
    if len(columns) != len(split.columns):
        return None
    return codec.by_column.take(columns, ignore=True)


def read_rows(body: bytes, inputs: Sequence[Expected], *, is_csv: bool = False) -> list[Record]:
    """The rows of a body in the kinds of ``inputs``, with every column of theirs.

    Raises:
        ProblemError: 400: the body cannot be read, or lacks columns.
    """
    records = read_csv(body, inputs) if is_csv else _read_json(body, inputs)
    settle(records, inputs)
    return records


def write(answered: Sequence[Answered]) -> bytes:
    """The answer to rows, as MLflow writes the data frame that ``registry.pyfunc`` gives."""
    return msgspec.json.encode({"predictions": [_prediction(each) for each in answered]})


def told(answered: Sequence[Answered]) -> Headers:
    """What MLflow's answer has no place for: the versions, and the ids for later feedback."""
    versions = ",".join(str(number) for number in sorted({each.version for each in answered}))
    headers: Headers = ((b"x-model-version", versions.encode()),) if versions else ()
    if 0 < len(answered) <= MOST_IDS:
        ids = ",".join(each.prediction_id for each in answered)
        headers = (*headers, (b"x-prediction-id", ids.encode()))
    return headers


def refuse(problem: ProblemError) -> Answer:
    """A problem in MLflow's form, with the status that its clients know."""
    status = 400 if problem.status == 422 else problem.status
    message = str(problem)
    body = {"error_code": _CODES.get(status, "BAD_REQUEST"), "message": message}
    return Answer(status, msgspec.json.encode(body), JSON, problem.headers)


def refuse_type(kind: str) -> Answer | None:
    """MLflow's answer to a content type that it does not take; None when it does."""
    mime, *parameters = (part.strip() for part in kind.split(";"))
    pairs = {key.lower(): value for key, _, value in (each.partition("=") for each in parameters)}
    if pairs.pop("charset", "utf-8").strip('"').lower() != "utf-8":
        return Answer(415, b"The scoring server only supports UTF-8", _TEXT)
    if pairs:
        return Answer(415, b"Unrecognized content type parameters", _TEXT)
    if mime not in ("application/json", CSV):
        says = f"This predictor only supports the content types application/json and {CSV}"
        return Answer(415, says.encode(), _TEXT)
    return None


def _read_json(body: bytes, inputs: Sequence[Expected]) -> list[Record]:
    given = read_json(body, _decoder)
    forms = [name for name in FORMS if getattr(given, name) is not msgspec.UNSET]
    if len(forms) != 1:
        raise ProblemError(
            400,
            "bad_body",
            f"The body must have exactly one of the fields {', '.join(FORMS)}",
            why=f"it has {' and '.join(forms) or 'none of them'}",
        )
    value = getattr(given, forms[0])
    if isinstance(value, Split):
        return _from_split(value, inputs)
    if isinstance(value, dict):
        names = {column.name for column in inputs}
        if not names.intersection(value):
            raise missing_columns(required(inputs))
        return columns_to_records(value)
    return _from_records(value, forms[0], inputs)


def _from_split(split: Split, inputs: Sequence[Expected]) -> list[Record]:
    columns = split.columns
    if columns is None or (split.data and isinstance(split.data[0], dict)):
        return _from_records(split.data, "dataframe_split.data", inputs)
    check_header(columns, inputs)
    for place, row in enumerate(split.data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ProblemError(
                400,
                "uneven_columns",
                f"A row must be a list of {len(columns)} values, one for each column",
                field=f"dataframe_split.data[{place}]",
            )
    # pandas names columns by anything; the model's are texts.
    names = [name if isinstance(name, str) else "" for name in columns]
    return [dict(zip(names, row, strict=True)) for row in split.data]


def _from_records(rows: Any, form: str, inputs: Sequence[Expected]) -> list[Record]:
    if not isinstance(rows, list):
        raise ProblemError(400, "bad_body", "Rows are a list of objects", field=form)
    if not rows:
        raise missing_columns(required(inputs))
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ProblemError(
                400,
                "bad_body",
                "A row is an object with the model's columns by name",
                why="the columns have names, so that rows cannot be lists",
                field=f"{form}[{place}]",
            )
    return rows


def _prediction(answered: Answered) -> Any:
    classes = answered.classes
    if classes:
        return _maker(classes, tuple(map(type, classes)))(answered.label, *answered.scores)
    row: dict[str, Any] = {"prediction": answered.scores[0]}
    if answered.interval is not None:
        row["prediction_low"], row["prediction_high"] = answered.interval
    return row


@lru_cache(maxsize=64)
def _maker(classes: tuple[Label, ...], types: tuple[type, ...]) -> Callable[..., Any]:
    # The types tell 1 from true, which are equal to Python.
    return object_maker(("prediction", *(f"probability_{class_name(label)}" for label in classes)))


@cache
def _mlflow_version() -> bytes:
    # Clients look at it for the form of the body, which is that of every version from 2.0 on.
    from importlib.metadata import version

    return version("mlflow-skinny").encode()


_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
