"""What commands answer a newcomer: said again, asked too early, or asked for what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ratchet.cli.main import _invoke
from ratchet.project import load_project
from ratchet_cli import small_project


class Shell:
    """Runs commands on one project, in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        """The exit code, and both streams as one line."""
        code = _invoke([*words, "--project", str(self._folder)])
        said = self._capsys.readouterr()
        return code, " ".join((said.out + said.err).split())

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the object."""
        code = _invoke([*words, "--project", str(self._folder), "--json"])
        body: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return code, body


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(small_project(tmp_path / "small", rows=20), capsys)


def test_a_key_that_was_revoked_already_is_told_so(shell: Shell) -> None:
    _, made = shell.json("keys", "create", "shop", "--scope", "predict")
    first = shell.json("keys", "revoke", "shop")[1]["data"]
    assert (first["already"], first["live_keys"]) == (False, 0)
    for word in ("shop", made["data"]["id"]):
        again = shell.json("keys", "revoke", word)[1]["data"]
        assert (again["already"], again["revoked"]) == (True, first["revoked"])
        code, said = shell("keys", "revoke", word)
        when = first["revoked"][:19].replace("T", " ")
        assert code == 0
        assert f"Key {first['id']} (shop) was revoked already, at {when} UTC by" in said
    code, body = shell.json("keys", "revoke", "nobody")
    assert (code, body["error"]["code"]) == (2, "no_key")


def test_a_folder_that_is_missing_is_found_before_the_model_is_looked_for(
    shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "nowhere"
    data = str(tmp_path / "small" / "data.csv")
    code, body = shell.json("predict", "--data", data, "--out", str(folder / "o.csv"))
    error = body["error"]
    assert (code, error["code"]) == (2, "no_folder")
    assert error["what"] == f"The folder {folder} does not exist"
    assert error["fix"] == "make it, or choose another --out"
    assert not folder.exists()


@pytest.mark.parametrize("with_ledger", [False, True])
@pytest.mark.parametrize(
    ("model", "what", "fix"),
    [
        ("staging", "No version has the alias staging", "ratchet promote VERSION --alias staging"),
        ("champion", "There is no champion yet", "ratchet run"),
        ("champignon", "There is no model `champignon`", "a version's number"),
        ("1", "There is no version 1", "ratchet "),
    ],
)
def test_a_model_that_is_missing_is_told_with_the_way_to_it(
    with_ledger: bool, model: str, what: str, fix: str, shell: Shell, tmp_path: Path
) -> None:
    if with_ledger:
        shell.json("keys", "create", "shop", "--scope", "predict")
    data, out = str(tmp_path / "small" / "data.csv"), str(tmp_path / "o.csv")
    code, body = shell.json("predict", "--data", data, "--out", out, "--model", model)
    assert code == 2
    assert body["error"]["what"].startswith(what)
    assert fix in body["error"]["fix"]


def test_versions_that_are_missing_cannot_be_compared(shell: Shell) -> None:
    code, said = shell("models", "compare", "1", "2")
    assert code == 2
    assert "There is no version 1 of small" in said


def test_an_anchor_that_fits_is_said_to_fit(shell: Shell) -> None:
    shell.json("keys", "create", "shop", "--scope", "predict")
    plain = shell.json("audit", "verify")[1]["data"]
    assert plain["expected"] is None
    assert "anchor fits" not in shell("audit", "verify")[1]
    anchor = plain["anchor"]
    seq, _, digest = anchor.partition(":")
    code, body = shell.json("audit", "verify", "--expect", anchor)
    assert code == 0
    assert body["data"]["expected"] == {"seq": int(seq), "hash": digest, "fits": True}
    assert (
        f"The expected anchor fits: event {seq} " in shell("audit", "verify", "--expect", anchor)[1]
    )
    code, body = shell.json("audit", "verify", "--expect", f"{seq}:{digest[::-1]}")
    assert (code, body["data"]["expected"]["fits"]) == (3, False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--run", "nope"), "No event of run nope."),
        (("--kind", "nope"), "No event of kind nope."),
        (("--kind", "nope", "--run", "no"), "No event of kind nope of run no."),
        (("--since", "2999-01-01"), "No event since 2999-01-01."),
    ],
)
def test_a_log_without_events_says_what_was_asked(
    words: tuple[str, ...], told: str, shell: Shell
) -> None:
    shell.json("keys", "create", "shop", "--scope", "predict")
    assert shell("audit", "log", *words) == (0, told)


def test_a_log_of_a_run_that_decided_nothing_yet_says_that_there_is_more(
    shell: Shell, tmp_path: Path
) -> None:
    with load_project(tmp_path / "small").open_ledger() as ledger:
        ledger.start_run("20261121-100000-abcd", trigger="manual")
    words = ("audit", "log", "--run", "20261121-100000-abcd")
    told = "No decision of run 20261121-100000-abcd, but other events: see them with --all."
    assert shell(*words) == (0, told)
    assert "run_started" in shell(*words, "--all")[1]


def test_what_the_size_leaves_out_is_explained(shell: Shell) -> None:
    said = shell("config", "explain", "gates.budget.size")[1]
    assert "profile.bin is not counted" in said
