"""Rows to answers in the log, with real models, ledger and log."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from asgi_client import ask
from ratchet.data.predictions.log import LogFullError, LogPolicy, PredictionLog
from ratchet.data.predictions.records import Batch, Failed, Feedback, Served, decode
from ratchet.data.predictions.segments import parse
from ratchet.errors import StorageError
from ratchet.ledger.traffic import Arm
from ratchet.serving.app import make_app
from ratchet.serving.health import Health
from ratchet.serving.http import ProblemError, Routes
from ratchet.serving.lane import UnansweredError
from ratchet.serving.metrics import Metrics
from ratchet.serving.protocols.mlflow import MlflowProtocol
from ratchet.serving.protocols.ratchet import RatchetProtocol
from ratchet.serving.residence import Residence
from ratchet.serving.service import Service
from ratchet.serving.settings import LogSettings, ServingSettings
from served_site import ROW, ServedSite, score_of


class Running:
    """A service with everything behind it."""

    def __init__(self, served, lookup=None, **changes):
        self.served = served
        self.site = replace(served.site(), **changes)
        self.residence = Residence(self.site, served.ledger)
        self.log = PredictionLog.open(self.site.log_folder, LogPolicy())
        self.metrics = Metrics()
        self.troubles = []
        self.service = Service(
            self.site,
            self.residence,
            self.log,
            self.metrics,
            lookup,
            on_trouble=self.troubles.append,
        )
        routes = Routes()
        RatchetProtocol(self.service).add_to(routes)
        MlflowProtocol(self.service).add_to(routes)
        Health(self.service).add_to(routes)
        self.app = make_app(self.service, routes)

    async def predict(self, body, **headers):
        return await ask(self.app, "POST", "/v1/predict", body, **headers)

    async def feedback(self, body):
        return await ask(self.app, "POST", "/v1/feedback", body)

    def records(self):
        """Everything in the log, each row by itself."""
        found = []
        for path in sorted(self.site.log_folder.rglob("*.[os]*")):
            if path.suffix in (".open", ".seg"):
                for each in map(decode, parse(path.read_bytes()).payloads):
                    found += each.rows() if isinstance(each, Batch) else [each]
        return found

    def counted(self, name, **labels):
        return self.metrics._registry.get_sample_value(name, labels or None)


@pytest.fixture
def served(tmp_path):
    """Three versions, the first of which is champion."""
    made = ServedSite(tmp_path)
    for _ in range(3):
        made.add()
    made.promote(1)
    return made


@asynccontextmanager
async def running(served, lookup=None, **changes):
    made = Running(served, lookup, **changes)
    made.service.start()
    try:
        yield made
    finally:
        await made.service.stop()
        made.log.close()


def run(check):
    asyncio.run(asyncio.wait_for(check(), 20))


def split(served, *arms, shadow=(), kind="experiment"):
    record = served.ledger.traffic()
    served.ledger.set_traffic(
        arms, shadow, kind=kind, by="test", reason="to see", expected_seq=record.seq
    )


def test_an_answer_is_in_the_log_when_it_is_given(served):
    async def check():
        async with running(served) as made:
            body = {"record": {**ROW, "customer": "c1"}}
            told = await made.predict(body, headers={b"x-request-id": b"r-1"})
            assert told.status == 200
            answer = told.json
            assert answer["probabilities"]["Yes"] == pytest.approx(score_of(1))
            assert (answer["label"], answer["model_version"], answer["arm"]) == (
                "No",
                1,
                "champion",
            )
            (kept,) = made.records()
            assert isinstance(kept, Served)
            assert kept.id == answer["prediction_id"]
            assert kept.features == {**ROW, "customer": "c1"}
            assert kept.scores == list(answer["probabilities"].values())
            assert (kept.label, kept.entity, kept.request) == ("No", "c1", "r-1")
            assert (kept.version, kept.arm) == (1, "champion")
            assert 0 < kept.micros < 5_000_000

    run(check)


@pytest.mark.parametrize("rows", [0, 1, 5, 40, 300])
def test_many_rows(served, rows):
    async def check():
        async with running(served) as made:
            asked = [{**ROW, "customer": f"c{place}"} for place in range(rows)]
            told = await made.predict({"records": asked})
            assert told.status == 200
            answers = told.json["predictions"]
            kept = made.records()
            ids = [answer["prediction_id"] for answer in answers]
            assert [each.id for each in kept] == ids == sorted(set(ids))
            assert [each.entity for each in kept] == [row["customer"] for row in asked]
            count = made.counted("ratchet_predictions_total", arm="champion", version="1")
            assert (count or 0) == rows

    run(check)


def test_a_split_is_sticky_and_in_the_order_of_the_request(served):
    split(served, Arm("a", 1, 50), Arm("b", 2, 50))

    async def check():
        async with running(served) as made:
            asked = [{**ROW, "customer": f"c{place}"} for place in range(60)]
            answers = (await made.predict({"records": asked})).json["predictions"]
            arms = [answer["arm"] for answer in answers]
            assert set(arms) == {"a", "b"}
            for answer in answers:
                wanted = 1 if answer["arm"] == "a" else 2
                assert answer["model_version"] == wanted
                assert answer["probabilities"]["Yes"] == pytest.approx(score_of(wanted))
            alone = [(await made.predict({"record": row})).json["arm"] for row in asked]
            assert alone == arms
            by_id = {each.id: each for each in made.records()}
            for row, answer in zip(asked, answers, strict=True):
                kept = by_id[answer["prediction_id"]]
                assert (kept.entity, kept.arm) == (row["customer"], answer["arm"])
            mixed = {"route": "/v1/predict", "status": "200", "arm": "mixed", "version": "mixed"}
            assert made.counted("ratchet_requests_total", **mixed) == 1

    run(check)


@pytest.mark.parametrize("arms", [[Arm("a", 1, 100)], [Arm("a", 1, 50), Arm("b", 2, 50)]])
def test_very_many_rows_are_answered_in_turns_and_logged_together(served, arms, monkeypatch):
    for module in ("parts", "protocols.ratchet"):
        monkeypatch.setattr(f"ratchet.serving.{module}.MOST", 50)
    monkeypatch.setattr("ratchet.serving.service.INLINE", 20)
    split(served, *arms, shadow=[3])

    async def check():
        async with running(served) as made:
            asked = [{**ROW, "customer": f"c{place}"} for place in range(230)]
            told = await made.predict({"records": asked}, headers={b"x-request-id": b"r-1"})
            answers = told.json["predictions"]
            ids = [answer["prediction_id"] for answer in answers]
            assert len(set(ids)) == 230
            await made.service.stop()
            kept = {each.id: each for each in made.records() if each.of is None}
            assert len(kept) == 230
            for row, answer in zip(asked, answers, strict=True):
                one = kept[answer["prediction_id"]]
                assert (one.entity, one.features, one.request) == (row["customer"], row, "r-1")
                assert (one.arm, one.version) == (answer["arm"], answer["model_version"])
                assert one.scores == list(answer["probabilities"].values())
                assert one.label == answer["label"]
            assert {each.arm for each in kept.values()} == {arm.name for arm in arms}
            shadows = {each.of: each for each in made.records() if each.of is not None}
            assert {own: shadows[own].entity for own in ids} == {
                own: kept[own].entity for own in ids
            }
            assert len(shadows) == 230
            payloads = [
                payload
                for path in made.site.log_folder.rglob("*.open")
                for payload in parse(path.read_bytes()).payloads
            ]
            assert len(payloads) < 60  # parts of few rows are a record each
            name = "a" if len(arms) == 1 else "mixed"
            version = "1" if len(arms) == 1 else "mixed"
            labels = {"route": "/v1/predict", "status": "200", "arm": name, "version": version}
            assert made.counted("ratchet_requests_total", **labels) == 1

    run(check)


def test_a_log_that_takes_nothing_counts_the_rows_of_a_batch(served):
    served.settings = ServingSettings(log=LogSettings(when_full="serve"))

    async def check():
        async with running(served) as made:
            made.service._recorder._log = FullLog(made.log, LogFullError("no room"))
            assert (await made.predict({"records": [ROW] * 200})).status == 200
            assert made.counted("ratchet_unlogged_total") == 200

    run(check)


def test_personal_data_of_many_rows_does_not_reach_the_log(served):
    log = LogSettings(drop=("charges",), hash=("contract", "customer"))
    served.settings = ServingSettings(log=log)

    async def check():
        async with running(served) as made:
            asked = [{**ROW, "charges": 4711.5, "customer": f"Ms {place}"} for place in range(40)]
            assert (await made.predict({"records": asked})).status == 200
            digest = made.service.privacy.digest
            for place, each in enumerate(made.records()):
                assert set(each.features) == {"tenure", "contract", "customer"}
                assert each.features["contract"] == digest("month")
                assert each.entity == each.features["customer"] == digest(f"Ms {place}")
            for path in made.site.log_folder.rglob("*.open"):
                raw = path.read_bytes()
                secrets = (b"Ms ", b"month", b"4711.5", b"charges")
                assert not any(secret in raw for secret in secrets)

    run(check)


def test_a_version_may_be_asked_for(served):
    split(served, Arm("champion", 1, 100), shadow=[2], kind="canary")

    async def check():
        async with running(served) as made:
            desk = made.service.desk
            asked = desk.codec.check([ROW])
            (answer,) = await made.service.predict(asked, version=2)
            assert (answer.version, answer.arm) == (2, "pinned")
            (answer,) = await made.service.predict(asked, version=1)
            assert answer.arm == "champion"
            with pytest.raises(ProblemError) as caught:
                await made.service.predict(asked, version=3)
            assert (caught.value.status, caught.value.fix) == (404, "loaded are: 1, 2")

    run(check)


def test_shadows_answer_unseen(served):
    split(served, Arm("champion", 1, 100), shadow=[2, 3], kind="canary")

    async def check():
        async with running(served) as made:
            answers = [(await made.predict({"record": ROW})).json for _ in range(3)]
            assert {answer["model_version"] for answer in answers} == {1}
            await made.service.stop()  # which finishes what waits
            kept = made.records()
            shadows = [each for each in kept if each.arm == "shadow"]
            ids = [answer["prediction_id"] for answer in answers]
            for version in (2, 3):
                mine = [each for each in shadows if each.version == version]
                assert [each.of for each in mine] == ids
                assert mine[0].scores[1] == pytest.approx(score_of(version))
                assert mine[0].features == ROW
            assert len({each.id for each in kept}) == 9
            assert made.counted("ratchet_predictions_total", arm="shadow", version="2") == 3

    run(check)


def test_a_shadow_that_fails_or_lags_harms_nobody(served, monkeypatch):
    split(served, Arm("champion", 1, 100), shadow=[2], kind="canary")
    monkeypatch.setattr("ratchet.serving.shadowing._MOST_WAITING", 2)

    def fail(asked):
        raise UnansweredError("score_not_finite")

    async def check():
        async with running(served) as made:
            monkeypatch.setattr(made.service.desk.lanes[2], "score", fail)
            for _ in range(5):
                assert (await made.predict({"record": ROW})).status == 200
            await made.service.stop()
            failed = [each for each in made.records() if isinstance(each, Failed)]
            assert [(each.version, each.error) for each in failed] == [(2, "score_not_finite")] * 2
            assert made.counted("ratchet_shadow_dropped_total") == 3

    run(check)


def test_a_row_that_a_shadow_cannot_answer_costs_no_other_row(served, monkeypatch):
    split(served, Arm("champion", 1, 100), shadow=[2], kind="canary")

    async def check():
        async with running(served) as made:
            score = made.service.desk.lanes[2].score

            def picky(asked):
                if any(each.entity == "bad" for each in asked):
                    raise RuntimeError("4711")
                return score(asked)

            monkeypatch.setattr(made.service.desk.lanes[2], "score", picky)
            for entity in ("a", "bad", "b"):
                await made.predict({"record": {**ROW, "customer": entity}})
            await made.service.stop()
            kept = made.records()
            assert [e.entity for e in kept if isinstance(e, Served) and e.of] == ["a", "b"]
            failed = [(e.error, e.entity) for e in kept if isinstance(e, Failed)]
            assert failed == [("RuntimeError", "bad")]

    run(check)


@pytest.mark.parametrize("hashed", [False, True])
def test_a_failure_says_whom_it_is_about_where_that_is_one(served, monkeypatch, hashed):
    served.settings = ServingSettings(log=LogSettings(hash=("customer",) if hashed else ()))

    async def check():
        async with running(served) as made:

            def broken(asked):
                raise UnansweredError("score_not_finite")

            monkeypatch.setattr(made.service.desk.lanes[1], "score", broken)
            for entities in (["c1"], ["c1", "c1"], ["c1", "c2"], [None]):
                rows = [ROW if who is None else {**ROW, "customer": who} for who in entities]
                assert (await made.predict({"records": rows})).status == 500
            one = made.service.privacy.digest("c1") if hashed else "c1"
            assert [each.entity for each in made.records()] == [one, one, None, None]

    run(check)


def test_a_version_that_cannot_answer_is_logged_and_told(served, monkeypatch):
    async def check():
        async with running(served) as made:

            def no_number(asked):
                raise UnansweredError("score_not_finite")

            def broken(asked):
                raise RuntimeError("the value 4711")

            for score, code in ((no_number, "score_not_finite"), (broken, "internal")):
                monkeypatch.setattr(made.service.desk.lanes[1], "score", score)
                told = await made.predict({"record": ROW})
                assert (told.status, told.json["code"]) == (500, code)
                assert b"4711" not in told.body
            failed = made.records()
            assert [each.error for each in failed] == ["score_not_finite", "RuntimeError"]
            assert [each.entity for each in failed] == [None, None]
            assert made.counted("ratchet_failed_requests_total", arm="champion", version="1") == 2

    run(check)


def test_a_swap_is_taken_up_and_rows_of_before_are_answered(served):
    async def check():
        async with running(served) as made:
            before = made.service.desk
            asked = before.codec.check([{**ROW, "customer": "c1"}])
            served.promote(2)
            assert made.residence.refresh() == "swapped"
            assert (await made.predict({"record": ROW})).json["model_version"] == 2
            (answer,) = await made.service.predict(asked)
            assert answer.version == 2
            assert made.records()[-1].features == {**ROW, "customer": "c1"}
            assert made.service.desk is not before

    run(check)


class FullLog:
    """A log that takes nothing for a while."""

    def __init__(self, log, fault):
        self.log, self.fault = log, fault

    def append(self, payload):
        if self.fault is not None:
            raise self.fault
        self.log.append(payload)

    def __getattr__(self, name):
        return getattr(self.log, name)


@pytest.mark.parametrize("fault", [LogFullError("no room"), StorageError("broken disk")])
@pytest.mark.parametrize("choice", ["refuse", "serve"])
def test_a_log_that_takes_nothing(served, choice, fault):
    served.settings = ServingSettings(log=LogSettings(when_full=choice))

    async def check():
        async with running(served) as made:
            full = FullLog(made.log, fault)
            made.service._recorder._log = full
            for _ in range(3):
                told = await made.predict({"records": [ROW, ROW]})
                if choice == "refuse":
                    assert (told.status, told.json["code"]) == (503, "log_full")
                    assert int(told.headers[b"retry-after"]) > 0
                    assert (await ask(made.app, "GET", "/readyz")).json["code"] == "log_full"
                else:
                    assert told.status == 200
            assert made.counted("ratchet_unlogged_total") == 6
            assert len(made.troubles) == 1  # told once, and not for every request
            label = {"prediction_id": "p", "label": "Yes"}
            assert (await made.feedback(label)).status == 503  # never confirmed when not kept
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("ratchet.serving.recording.RETRY_AFTER", 0)
                assert (await ask(made.app, "GET", "/readyz")).status == 200  # worth a try
            full.fault = None
            assert (await made.predict({"record": ROW})).status == 200
            assert (await made.feedback(label)).status == 200
            assert (await ask(made.app, "GET", "/readyz")).status == 200
            assert len(made.records()) == 2

    run(check)


def test_always_waits_for_the_disk(served):
    served.settings = ServingSettings(log=LogSettings(fsync="always"))

    async def check():
        async with running(served) as made:
            waited = []

            async def durable():
                waited.append(len(made.records()))
                if len(waited) == 2:
                    raise StorageError("the disk failed")

            made.log.durable = durable
            assert (await made.predict({"record": ROW})).status == 200
            assert waited == [1]
            assert (await made.predict({"record": ROW})).status == 503

    run(check)


def test_personal_data_does_not_reach_the_log(served):
    log = LogSettings(drop=("charges",), hash=("contract", "customer"))
    served.settings = ServingSettings(log=log)

    async def check():
        async with running(served) as made:
            told = await made.predict({"record": {**ROW, "customer": "Ms X"}})
            assert told.status == 200
            body = {"entity": "Ms X", "time": "2026-01-01", "label": "Yes"}
            assert (await made.feedback(body)).status == 200
            kept, label = made.records()
            assert set(kept.features) == {"tenure", "contract", "customer"}
            assert kept.features["contract"] == made.service.privacy.digest("month")
            assert kept.entity == label.entity == kept.features["customer"] != "Ms X"
            for path in made.site.log_folder.rglob("*.open"):
                assert b"Ms X" not in path.read_bytes()
                assert b"month" not in path.read_bytes()

    run(check)


def test_labels_are_kept(served):
    async def check():
        async with running(served) as made:
            answer = (await made.predict({"record": ROW})).json
            one = {"prediction_id": answer["prediction_id"], "label": "Yes"}
            assert (await made.feedback(one)).json == {"accepted": 1}
            assert (await made.feedback({"feedback": [one, one]})).json == {"accepted": 2}
            kept = [each for each in made.records() if isinstance(each, Feedback)]
            assert len({each.key for each in kept}) == 1
            assert made.counted("ratchet_feedback_total") == 3
            assert (await made.feedback({**one, "label": "Maybe"})).status == 422

    run(check)


def test_more_rows_than_allowed(served):
    served.settings = ServingSettings(max_rows=3)

    async def check():
        async with running(served) as made:
            assert (await made.predict({"records": [ROW] * 3})).status == 200
            told = await made.predict({"records": [ROW] * 4})
            assert (told.status, told.json["code"]) == (413, "too_many_rows")
            assert (await made.predict({"ids": ["a"] * 4})).status == 413
            label = {"prediction_id": "p", "label": "Yes"}
            assert (await made.feedback({"feedback": [label] * 4})).status == 413

    run(check)


@pytest.mark.parametrize(
    ("path", "name"), [(b"/v1/predict", "records"), (b"/invocations", "dataframe_records")]
)
def test_more_rows_than_allowed_at_once(served, path, name):
    served.settings = ServingSettings(max_rows=3)

    async def check():
        async with running(served) as made:
            headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
            told = []

            def write(*sent):
                told.append(sent)

            for rows, status in ((3, 200), (4, 413)):
                body = json.dumps({name: [ROW] * rows}).encode()
                scope = {"headers": headers, "client": None}
                assert made.app.answer_at_once(scope, path, body, write)
                assert told[-1][0] == status
            assert len(made.records()) == 3

    run(check)


class Stored:
    """A lookup that knows one entity."""

    async def records(self, ids, given, columns, *, where="ids"):
        known = {"c1": {**ROW, "old": 1}}
        return [
            {name: value for name, value in known[each].items() if name in columns} | dict(own)
            for each, own in zip(ids, given, strict=True)
        ]


def test_rows_by_id(served):
    async def check():
        async with running(served, Stored()) as made:
            told = await made.predict({"id": "c1"})
            assert told.status == 200
            told = await made.predict({"ids": ["c1", "c1"], "records": [{}, {"tenure": 50}]})
            assert len(told.json["predictions"]) == 2
            kept = made.records()
            assert [each.features["tenure"] for each in kept] == [12, 12, 50]
            assert {each.entity for each in kept} == {"c1"}
            told = await made.predict({"id": "c1", "record": {"tenure": "x"}})
            assert (told.status, told.json["field"]) == (422, "record.tenure")

    run(check)


def test_rows_by_id_without_a_store(served):
    async def check():
        async with running(served) as made:
            told = await made.predict({"id": "c1"})
            assert (told.status, told.json["code"]) == (422, "no_feature_store")

    run(check)


def test_before_the_first_promotion(tmp_path):
    served = ServedSite(tmp_path)

    async def check():
        async with running(served) as made:
            assert (await ask(made.app, "GET", "/healthz")).status == 200
            told = await ask(made.app, "GET", "/readyz")
            assert (told.status, told.json["code"]) == (503, "no_model")
            told = await made.predict({"record": ROW})
            assert (told.status, told.json["code"]) == (503, "no_model")
            assert (await ask(made.app, "GET", "/v1/models")).status == 503
            # A label is kept all the same: its prediction may be of before.
            assert (await made.feedback({"prediction_id": "p", "label": "x"})).status == 200
            served.add()
            served.promote(1)
            made.residence.refresh()
            told = await ask(made.app, "GET", "/readyz")
            assert (told.status, told.json["model_version"]) == (200, 1)

    run(check)


def test_what_can_be_looked_at(served):
    split(served, Arm("a", 1, 75), Arm("b", 2, 25), shadow=[3])

    async def check():
        async with running(served) as made:
            told = (await ask(made.app, "GET", "/v1/models")).json
            assert [arm["share"] for arm in told["arms"]] == [75.0, 25.0]
            assert told["shadow"] == [3]
            assert [model["model_version"] for model in told["models"]] == [1, 2, 3]
            names = [column["name"] for column in told["models"][0]["inputs"]]
            assert names == ["tenure", "charges", "contract"]
            await made.predict({"record": ROW})
            told = await ask(made.app, "GET", "/metrics")
            assert told.headers[b"content-type"].startswith(b"text/plain")
            text = told.body.decode()
            for line in (
                "ratchet_models_loaded 3.0",
                "ratchet_ledger_up 1.0",
                "ratchet_log_healthy 1.0",
            ):
                assert line in text.splitlines()
            assert 'ratchet_requests_total{arm="' in text
            made.service.draining = True
            assert (await ask(made.app, "GET", "/readyz")).json["code"] == "stopping"

    run(check)


def test_metrics_in_the_openmetrics_format(served):
    async def check():
        async with running(served) as made:
            accept = b"application/openmetrics-text; version=1.0.0"
            told = await ask(made.app, "GET", "/metrics", headers={b"accept": accept})
            assert told.headers[b"content-type"].startswith(b"application/openmetrics-text")
            assert told.body.endswith(b"# EOF\n")

    run(check)


def test_the_answer_is_plain_json(served):
    async def check():
        async with running(served) as made:
            told = await made.predict({"record": ROW})
            assert list(json.loads(told.body)) == [
                "prediction_id",
                "label",
                "probabilities",
                "model_version",
                "arm",
            ]

    run(check)
