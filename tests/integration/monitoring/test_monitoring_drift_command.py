"""``ratchet drift``: two files, an answer, a page, and an exit code."""

import json

import numpy as np
import polars as pl
import pytest

from html_reader import Page
from ratchet.cli.main import _invoke
from ratchet_cli import SHARED_DATA


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shift in (("old.csv", 0), ("new.csv", 1), ("same.csv", 0)):
        table = pl.DataFrame(
            {
                "id": [f"{name}-{i}" for i in range(3_000)],
                "spend": rng.normal(shift, 1, 3_000).round(4),
                "plan": rng.choice(["a", "b"], 3_000),
            }
        )
        table.write_csv(name)
    table.write_parquet("same.parquet")
    pl.DataFrame({"else": [1, 2]}).write_csv("other.csv")
    return tmp_path


def drift(capsys, *arguments):
    code = _invoke(["drift", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_drift_is_told_and_fails_only_if_asked(files, capsys):
    code, told = drift(capsys, "old.csv", "new.csv")
    assert code == 0
    data = told["data"]
    assert data["drifted"]
    assert data["columns"][0]["column"] == "spend"
    assert data["columns"][0]["ks"]["value"] == pytest.approx(0.38, abs=0.04)
    assert data["columns"][-1]["unjudged"] == "identifier"
    assert drift(capsys, "old.csv", "new.csv", "--fail")[0] == 3
    assert drift(capsys, "old.csv", "same.csv", "--fail")[0] == 0
    assert drift(capsys, "old.csv", "same.parquet", "--fail")[0] == 0


def test_limits_columns_and_shares_can_be_given(files, capsys):
    assert drift(capsys, "old.csv", "new.csv", "--threshold", "ks=0.9", "--fail")[0] == 0
    assert drift(capsys, "old.csv", "new.csv", "--columns", "plan,id", "--fail")[0] == 0
    assert drift(capsys, "old.csv", "new.csv", "--without", "spend", "--fail")[0] == 0
    assert drift(capsys, "old.csv", "new.csv", "--share", "0.6", "--fail")[0] == 0


def test_all_columns_can_be_looked_at_together(files, capsys):
    code, told = drift(capsys, "old.csv", "new.csv", "--together", "--fail")
    assert code == 3
    assert told["data"]["together"]["drifted"]
    assert told["data"]["together"]["columns"][0][0] == "spend"


def test_the_report_is_a_page(files, capsys):
    assert _invoke(["drift", "old.csv", "new.csv", "--out", "page.html"]) == 0
    out = capsys.readouterr().out
    assert "drifted: 1 of 2 columns drifted: spend (KS 0." in out
    page = Page((files / "page.html").read_text(encoding="utf-8"))
    assert "new.csv against old.csv" in page.text
    assert page.names.count("figure") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("old.csv", "nothing.csv"), "no file nothing.csv"),
        (("old.csv", "new.csv", "--columns", "spent"), 'no column "spent"'),
        (("old.csv", "new.csv", "--threshold", "kolmogorov=1"), "is no threshold"),
        (("old.csv", "new.csv", "--threshold", "ks=2"), "threshold that nothing is beyond"),
        (("old.csv", "other.csv"), "no column in common"),
        (("old.csv", "new.csv", "--out", "page.pdf"), "cannot be written to page.pdf"),
        (("old.csv", "new.csv", "--out", "nowhere/page.html"), "no folder nowhere"),
        (("old.csv", "new.csv", "--without", "id,spend,plan"), "No column is left"),
    ],
)
def test_what_cannot_be_done_is_said(files, capsys, arguments, said):
    code, told = drift(capsys, *arguments)
    assert code == 2
    assert said in told["error"]["what"]
    assert told["error"]["fix"]


def test_a_column_that_the_new_file_lacks_is_told(files, capsys):
    pl.read_csv("new.csv").drop("spend").write_csv("less.csv")
    code, told = drift(capsys, "old.csv", "less.csv", "--fail")
    assert code == 3
    assert told["data"]["absent"] == told["data"]["lost"] == ["spend"]
    assert "1 of 3 columns gone: spend" in told["data"]["reason"]
    assert drift(capsys, "old.csv", "less.csv", "--without", "spend", "--fail")[0] == 0
    assert drift(capsys, "less.csv", "old.csv", "--fail")[1]["data"]["added"] == ["spend"]
    assert _invoke(["drift", "less.csv", "old.csv"]) == 0
    assert "only in the new rows: spend" in capsys.readouterr().out
    assert _invoke(["drift", "old.csv", "less.csv", "--out", "page.html"]) == 0
    page = Page((files / "page.html").read_text(encoding="utf-8"))
    assert "The new rows lack columns of the reference: spend" in page.text


def test_missing_values_of_a_file_of_one_column_are_counted(files, capsys):
    values = np.random.default_rng(1).normal(size=1_000).tolist()
    pl.DataFrame({"x": values}).write_csv("full.csv")
    holes = [value if place % 10 == 0 else None for place, value in enumerate(values)]
    pl.DataFrame({"x": holes}).write_csv("holes.csv")
    code, told = drift(capsys, "full.csv", "holes.csv", "--threshold", "ks=0.1", "--fail")
    assert code == 3
    assert told["data"]["columns"][0]["missing"] == [0.0, 0.9]


def test_a_column_that_becomes_text_is_told_and_drawn_without_it(files, capsys):
    table = pl.read_csv("new.csv")
    table.with_columns(spend=pl.col("id")).write_csv("texts.csv")
    assert _invoke(["drift", "old.csv", "texts.csv", "--out", "page.html"]) == 0
    out = capsys.readouterr().out
    assert "spend (was number, is string; 100.0% of the values do not fit)" in out
    page = Page((files / "page.html").read_text(encoding="utf-8"))
    assert "was number, is string; 100" in page.text


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the shared data sets")
def test_a_campaign_that_changed_over_time_is_seen(tmp_path, capsys):
    table = pl.read_parquet(SHARED_DATA / "bank_marketing" / "data.parquet").sort("contact_date")
    cut = int(table.height * 0.7)
    table[:cut].write_parquet(tmp_path / "old.parquet")
    table[cut:].write_parquet(tmp_path / "new.parquet")
    code, told = drift(capsys, tmp_path / "old.parquet", tmp_path / "new.parquet", "--fail")
    assert code == 3
    found = {column["column"]: column for column in told["data"]["columns"]}
    assert {"pdays", "poutcome", "contact", "month"} <= {
        name for name, column in found.items() if column["drifted"]
    }
    assert found["contact_date"]["unjudged"] == "time"
    # Rows drawn by lot from one table are quiet.
    mixed = table.sample(fraction=1.0, shuffle=True, seed=0).drop("contact_date")
    mixed[:cut].write_parquet(tmp_path / "old.parquet")
    mixed[cut:].write_parquet(tmp_path / "new.parquet")
    assert drift(capsys, tmp_path / "old.parquet", tmp_path / "new.parquet", "--fail")[0] == 0
