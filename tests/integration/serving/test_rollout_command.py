"""``ratchet rollout`` as its users call it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ratchet.cli.main import main
from ratchet_cli import ratchet
from served_site import ServedSite

YAML = "project: churn\ndata: {source: {type: csv, path: data.csv}, target: Churn, id: customer}\n"


@pytest.fixture
def served(tmp_path: Path) -> ServedSite:
    """Four versions: 1 is champion, 2 challenger, 3 did not pass its gates."""
    made = ServedSite(tmp_path)
    for number in (1, 2, 3, 4):
        made.add(passed=number != 3)
    made.promote(1)
    made.ledger.deploy(2, "challenger", expected_previous=None, by="t", reason="watch")
    (tmp_path / "ratchet.yaml").write_text(YAML)
    return made


class Rollout:
    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.root, self.monkeypatch, self.capsys = root, monkeypatch, capsys

    def text(self, *arguments: str) -> tuple[int, str, str]:
        call = ["ratchet", "rollout", *arguments, "--project", str(self.root)]
        self.monkeypatch.setattr(sys, "argv", call)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        return int(str(ended.value.code)), out, err

    def __call__(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = self.text(*arguments, "--json")
        (line,) = out.splitlines()
        body = json.loads(line)
        return code, body["data"] if body["ok"] else body["error"]


@pytest.fixture
def rollout(
    served: ServedSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Rollout:
    return Rollout(served.root, monkeypatch, capsys)


def test_a_split_is_made_shown_grown_and_cleared(rollout: Rollout) -> None:
    code, made = rollout("split", "champion=90", "challenger=10", "--shadow", "3", "--reason", "go")
    assert (code, made["applied"], made["refusal"]) == (0, True, None)
    assert made["traffic"]["arms"] == [
        {"name": "champion", "version": 1, "share": 90.0},
        {"name": "challenger", "version": 2, "share": 10.0},
    ]
    code, shown = rollout("show")
    assert shown == {"traffic": made["traffic"], "troubles": [], "rollouts": []}
    assert (shown["traffic"]["kind"], shown["traffic"]["shadow"]) == ("canary", [3])
    # By number, in another order, with another sign: the same arms, the same rollout.
    code, grown = rollout("split", "2=50%", "1=50", "--shadow=3", "--reason", "well so far")
    assert grown["traffic"]["salt"] == made["traffic"]["salt"]
    assert [arm["name"] for arm in grown["traffic"]["arms"]] == ["champion", "challenger"]
    assert grown["changes"] == [
        "champion (version 1) answers 50 % (was 90 %)",
        "challenger (version 2) answers 50 % (was 10 %)",
    ]
    code, again = rollout("split", "1=50", "2=50", "--shadow=3", "--reason", "again")
    assert (code, again["applied"], again["changes"]) == (0, False, [])
    assert again["traffic"]["seq"] == grown["traffic"]["seq"]
    code, text, _ = rollout.text("clear", "--reason", "enough")
    assert text.splitlines()[:3] == [
        "champion (version 1) answers 100 % (was 50 %)",
        "challenger (version 2) answers no more",
        "version 3 is a shadow no more",
    ]
    assert rollout("show")[1]["traffic"]["kind"] == "plain"


def test_an_arm_keeps_its_name_while_its_rollout_goes_on(
    rollout: Rollout, served: ServedSite
) -> None:
    first = rollout("split", "champion=90", "4=10", "--reason", "go")[1]["traffic"]
    assert first["arms"][1]["name"] == "version-4"
    served.ledger.deploy(4, "challenger", expected_previous=2, by="t", reason="watch")
    second = rollout("split", "champion=80", "4=20", "--reason", "on")[1]["traffic"]
    assert second["arms"][1] == {"name": "version-4", "version": 4, "share": 20.0}
    assert second["salt"] == first["salt"]
    third = rollout("split", "champion=70", "version-4=30", "--reason", "on")[1]["traffic"]
    assert third["salt"] == first["salt"]


def test_a_plan_is_shown_and_changes_nothing(rollout: Rollout, served: ServedSite) -> None:
    before = served.ledger.traffic()
    code, out, _ = rollout.text("split", "1=90", "2=10", "--reason", "why not", "--dry-run")
    assert code == 0
    assert out.splitlines()[1] == "would: challenger (version 2) answers 10 %"
    assert "because why not, by " in out
    assert served.ledger.traffic() == before


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "words"),
    [
        (("split", "champion=90", "2=20", "--reason", "x"), 2, "bad_split", "sum to 110"),
        (("split", "champion=90", "2=10"), 2, "no_reason", "reason"),
        (("split", "champion", "--reason", "x"), 2, "usage", "no part of the traffic"),
        (("split", "champion=lots", "--reason", "x"), 2, "usage", "no part of the traffic"),
        (("split", "champion=nan", "2=10", "--reason", "x"), 2, "bad_split", "between 0 and"),
        (("split", "staging=100", "--reason", "x"), 2, "no_model", "no staging"),
        (("split", "champion=90", "77=10", "--reason", "x"), 2, "no_version", "no version 77"),
        (("split", "champion=90", "3=10", "--reason", "x"), 5, "gate_not_passed", "version 3"),
        (("split", "champion=90", "1=10", "--reason", "x"), 2, "bad_split", "named twice"),
        (("split", "champion=100", "--shadow", "1", "--reason", "x"), 2, "bad_split", "itself"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    rollout: Rollout, arguments: tuple[str, ...], exit_code: int, code: str, words: str
) -> None:
    before = rollout("show")
    found, error = rollout(*arguments)
    assert (found, error["code"]) == (exit_code, code)
    assert words in f"{error['what']} {error['why']}"
    assert error["fix"]
    assert rollout("show") == before


def test_a_gate_is_overruled_in_the_open(rollout: Rollout, served: ServedSite) -> None:
    code, planned = rollout("split", "1=90", "3=10", "--reason", "risk", "--dry-run")
    assert (code, planned["applied"]) == (3, False)
    assert "did not pass" in planned["refusal"]
    code, made = rollout("split", "1=90", "3=10", "--reason", "risk", "--force")
    assert (code, made["applied"]) == (0, True)
    assert served.ledger.events(kind="deployed")[-1].facts["forced"] is True


def test_what_a_server_could_not_load_is_shown(rollout: Rollout, served: ServedSite) -> None:
    made = rollout("split", "1=90", "2=10", "--reason", "go")[1]["traffic"]
    served.ledger.note_serving(made["seq"], 2, "recipe.json is missing")
    shown = rollout("show")[1]["troubles"]
    assert [(each["version"], each["why"]) for each in shown] == [(2, "recipe.json is missing")]
    assert "version 2 does not load: recipe.json is missing" in rollout.text()[1]
    served.ledger.note_serving(made["seq"], 2, "")
    assert rollout("show")[1]["troubles"] == []


def test_without_a_champion_there_is_nothing_to_split(tmp_path: Path) -> None:
    ServedSite(tmp_path).add()
    (tmp_path / "ratchet.yaml").write_text(YAML)
    assert ratchet("rollout", "--json", cwd=tmp_path).data == {
        "traffic": None,
        "troubles": [],
        "rollouts": [],
    }
    refused = ratchet("rollout", "clear", "--json", cwd=tmp_path)
    assert (refused.code, refused.error["code"]) == (5, "no_champion")
