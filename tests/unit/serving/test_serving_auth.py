"""Keys, scopes, and who may ask without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.errors import ConfigError
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.serving.auth import Guard, Keyring, is_loopback, issue_key, require_keys
from ratchet.serving.http import ProblemError, Request, Scope
from ratchet.serving.settings import ServingSettings


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", project="churn") as opened:
        yield opened


def ask(guard: Guard, scope: Scope | None = "predict", **headers: str) -> Request:
    told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    request = Request("POST", "/v1/predict", headers=told, client="192.0.2.7")
    guard.admit(request, scope)
    return request


def refused(guard: Guard, scope: Scope | None = "predict", **headers: str) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        ask(guard, scope, **headers)
    return caught.value


def test_a_key_opens_its_scopes_and_no_other(ledger: Ledger) -> None:
    key, secret = issue_key(ledger, "shop", ["predict", "read"], by="me")
    guard = Guard(Keyring(ledger, always=False))
    for headers in (
        {"authorization": f"Bearer {secret}"},
        {"authorization": f"bearer  {secret}"},
        {"x_api_key": secret},
    ):
        caller = ask(guard, "predict", **headers).caller
        assert caller is not None
        assert (caller.key_id, caller.name) == (key.key_id, key.key_id)
        assert ask(guard, "read", **headers).caller == caller
        problem = refused(guard, "feedback", **headers)
        assert (problem.status, problem.name) == (403, "scope_missing")
        assert "--scope feedback" in problem.fix
    assert ask(guard, None).caller is None


def test_the_scope_admin_opens_everything(ledger: Ledger) -> None:
    _, secret = issue_key(ledger, "boss", ["admin"], by="me")
    guard = Guard(Keyring(ledger, always=False))
    for scope in ("predict", "feedback", "read", "admin"):
        ask(guard, scope, x_api_key=secret)  # type: ignore[arg-type]


def test_what_is_no_key_opens_nothing(ledger: Ledger) -> None:
    key, secret = issue_key(ledger, "shop", ["predict"], by="me")
    guard = Guard(Keyring(ledger, always=False))
    problem = refused(guard)
    assert (problem.status, problem.name) == (401, "key_missing")
    assert dict(problem.headers)[b"www-authenticate"].startswith(b"Bearer")
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    unknown = f"rk_ffffffff_{secret[-64:]}"
    for told in (wrong, unknown, f"rk_{key.key_id}_", "", "rk", "\udcff", secret + "0", key.digest):
        headers = {b"x-api-key": told.encode("utf-8", "surrogateescape")}
        with pytest.raises(ProblemError) as caught:
            guard.admit(Request("POST", "/", headers=headers), "predict")
        assert (caught.value.status, caught.value.name) == (401, "key_unknown")
        assert secret not in str(caught.value.document())
    basic = refused(guard, authorization="Basic dXNlcjpwYXNz")
    assert basic.status == 401


def test_a_revoked_key_dies_with_the_next_look_and_opens_nothing_to_others(ledger: Ledger) -> None:
    keyring = Keyring(ledger, always=False)
    guard = Guard(keyring)
    assert ask(guard, host="localhost:8000").caller is not None  # there never was a key
    key, secret = issue_key(ledger, "shop", ["predict"], by="me")
    keyring.replace(ledger.api_keys())
    ask(guard, x_api_key=secret)
    ledger.revoke_key(key.key_id, by="me")
    keyring.replace(ledger.api_keys())
    assert refused(guard, x_api_key=secret).name == "key_unknown"
    assert refused(guard).name == "key_missing"


def test_of_a_key_only_the_digest_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    _, secret = issue_key(ledger, "shop", ["predict"], by="me")
    ledger.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in kept
    assert secret[-64:].encode() not in kept


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"host": "127.0.0.1:8000"}, True),
        ({"host": "localhost"}, True),
        ({"host": "[::1]:8000"}, True),
        ({}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:3000"}, True),
        ({"host": "localhost:8000", "origin": "http://127.0.0.1:8000"}, True),
        ({"host": "evil.example:8000"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "localhost.evil.example"}, False),
        ({"host": "127.0.0.1:8000", "origin": "https://evil.example"}, False),
        ({"host": "127.0.0.1:8000", "origin": "null"}, False),
    ],
)
def test_without_keys_no_page_of_another_site_may_ask(
    ledger: Ledger, headers: dict[str, str], passes: bool
) -> None:
    guard = Guard(Keyring(ledger, always=False))
    if passes:
        ask(guard, "feedback", **headers)
    else:
        problem = refused(guard, "feedback", **headers)
        assert (problem.status, problem.name) == (403, "stranger")


def test_each_key_and_each_address_has_its_own_rate(ledger: Ledger) -> None:
    _, one = issue_key(ledger, "one", ["predict"], by="me")
    _, two = issue_key(ledger, "two", ["predict"], by="me")
    guard = Guard(Keyring(ledger, always=False), rate=0.001)
    ask(guard, x_api_key=one)
    problem = refused(guard, x_api_key=one)
    assert (problem.status, problem.name) == (429, "too_many_requests")
    assert int(dict(problem.headers)[b"retry-after"]) == 1000
    ask(guard, x_api_key=two)
    # Guessing is counted by address, whatever is guessed.
    assert refused(guard, x_api_key="guess").status == 401
    assert refused(guard, x_api_key="another").status == 429
    ask(guard, None)


def test_other_machines_need_a_key(ledger: Ledger) -> None:
    open_to_all = ServingSettings(host="0.0.0.0")
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0") as caught:
        require_keys(open_to_all, ())
    assert caught.value.exit_code == 4
    assert "ratchet keys create" in caught.value.fix
    require_keys(ServingSettings(), ())
    with pytest.raises(ConfigError, match="needs an API key"):
        require_keys(ServingSettings(keys="required"), ())
    issue_key(ledger, "shop", ["predict"], by="me")
    require_keys(open_to_all, ledger.api_keys())
    ledger.revoke_key("shop", by="me")
    for settings in (open_to_all, ServingSettings()):
        with pytest.raises(ConfigError):
            require_keys(settings, ledger.api_keys())


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, local: bool) -> None:
    assert is_loopback(host) is local
