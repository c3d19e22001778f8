from datetime import timedelta

import pytest

from ratchet.config.durations import parse_duration, parse_size
from ratchet.config.secrets import mask, masked, resolve
from ratchet.config.suggest import hint, nearest
from ratchet.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5ms", timedelta(milliseconds=5)),
        ("30m", timedelta(minutes=30)),
        ("1.5h", timedelta(hours=1.5)),
        ("2d", timedelta(days=2)),
        ("1 w", timedelta(weeks=1)),
    ],
)
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "5 parsecs", "-5m", "0s", "1e3s", "99999999w"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match=r"duration|range"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("50MB", 50_000_000), ("1KiB", 1024), ("7B", 7)])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5", "MB", "0MB", "5 TB"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_secrets_come_from_the_environment():
    assert resolve("a ${X} b ${Y}", {"X": "1", "Y": "2"}, where="f:1") == "a 1 b 2"
    with pytest.raises(ConfigError, match="MISSING is not set") as caught:
        resolve("${MISSING}", {}, where="f:1")
    assert caught.value.where == "f:1"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db:5432/x?sslmode=require",
        "https://hunter2@hooks.example.org/x",
        "postgresql://db/x?user=me&password=hunter2",
        "postgresql://me:hunter2@[::1/x",
    ],
)
def test_masked_addresses_do_not_show_the_password(url):
    assert "hunter2" not in mask(url)
    assert "hunter2" not in str(masked({"a": [url], "b": (url,)}))


@pytest.mark.parametrize(
    "url", ["sqlite:////a/b.db", "postgresql://me:${PW}@db/x", "http://host/path?a=1", "a: b"]
)
def test_what_holds_no_secret_is_left_alone(url):
    assert mask(url) == url


def test_plain_text_is_left_alone():
    assert masked({"a": ["x@y", 1, None], "b": "path/to:file@2"}) == {
        "a": ["x@y", 1, None],
        "b": "path/to:file@2",
    }


def test_suggestions():
    assert nearest("margn", ["margin", "confidence"]) == "margin"
    assert nearest("CHURN", ["Churn"]) == "Churn"
    assert nearest("zzz", ["margin"]) is None
    assert hint("zzz", ["b", "a"]) == "known here: a, b"
