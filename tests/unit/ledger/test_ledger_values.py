"""How values are written, and the way back of a rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ratchet.errors import ConfigError, MissingExtraError
from ratchet.ledger import database
from ratchet.ledger.database import open_database
from ratchet.ledger.deployments import Deployment, previous_champion
from ratchet.ledger.tables import moment, moment_text, plain

AT = datetime(2026, 11, 21, 2, 49, 15, 7, tzinfo=UTC)


def test_times_are_utc_text_of_one_length() -> None:
    assert moment_text(AT) == "2026-11-21T02:49:15.000007Z"
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert moment_text(elsewhere) == moment_text(AT)
    assert moment(moment_text(AT)) == AT
    assert len(moment_text(AT.replace(microsecond=0))) == 27


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ((1, (2.5, None)), [1, [2.5, None]]),
        ({1: float("nan"), "b": float("-inf")}, {"1": None, "b": None}),
        (True, True),
        (AT, "2026-11-21T02:49:15.000007Z"),
        ("a\x00b\ud800", "a\ufffdb?"),
    ],
)
def test_plain_makes_what_json_and_postgresql_take(value: Any, kept: Any) -> None:
    assert plain(value) == kept
    assert type(plain(value)) is type(kept)


def test_plain_takes_numpy_numbers() -> None:
    import numpy as np

    kept = plain({"n": np.int64(3), "x": np.float32(0.5), "ok": np.bool_(True), "a": np.arange(2)})
    assert kept == {"n": 3, "x": 0.5, "ok": True, "a": [0, 1]}
    assert type(kept["ok"]) is bool


def row(version: int | None, action: str = "promote") -> Deployment:
    return Deployment(1, AT, "champion", action, version, None, "me", "because")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("history", "target"),
    [
        ([], None),
        ([row(1)], None),
        ([row(1), row(2)], 1),
        ([row(1), row(2), row(3), row(2, "rollback")], 1),
        ([row(1), row(2), row(1, "rollback")], None),
        ([row(1), row(2), row(1, "rollback"), row(3)], 1),
        ([row(1), row(2), row(1)], 2),
        ([row(1), row(2), row(None, "remove")], None),
        ([row(1), row(None, "remove"), row(2)], None),
        ([row(1), row(2), row(3), row(1, "rollback")], None),
    ],
)
def test_a_rollback_goes_to_what_served_before(
    history: list[Deployment], target: int | None
) -> None:
    assert previous_champion(history) == target


@pytest.mark.parametrize(
    "url", ["mysql://u:hush@h/db", "ledger.db", "postgresql://u:hush@host:port:x/db"]
)
def test_an_address_of_another_form_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_database(url)
    assert "hush" not in str(caught.value.to_json())


def test_a_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(database, "create_engine", without)
    with pytest.raises(MissingExtraError, match=r"ratchet-ml\[postgres\]"):
        open_database("postgresql://u:hush@127.0.0.1/db")
