"""Whatever is wrong with the data, the settings or the machine: told in words, nothing changed.

Every case begins with a project that has a champion. Afterwards the command has ended with an
exit code of its own, said what is wrong and what to do, and the champion still serves.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from forked_ratchet import Driver
from postgres_server import PostgresServer, start_postgres
from project_state import ask, give_tracking, half_written, kept
from ratchet_cli import SMALL, Result, customers, environment, ratchet, small_project

ROWS = 600
SECRET = "hunter2-s3cr3t"


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, driver: Driver, tracking: Path) -> Path:
    """A project whose first version serves. To be copied, not changed."""
    folder = small_project(tmp_path_factory.mktemp("champion") / "small", ROWS)
    give_tracking(folder, tracking)
    result = driver.ratchet("run", "--project", folder, "--json")
    assert result.data["outcome"] == "promoted", result.out
    assert kept(folder).champion == 1
    return folder


@pytest.fixture
def project(champion: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(champion, tmp_path / "small"))


@pytest.fixture(scope="module")
def models_before(champion: Path, driver: Driver) -> dict[str, object]:
    return _models(driver, champion)


def _models(driver: Driver, folder: Path) -> dict[str, object]:
    models = driver.ratchet("models", "--project", folder, "--json").data
    # What names the folder differs between a project and its copy.
    return {
        "text": re.sub(r'"[^"]*(/[^"]*)+"', '""', repr(models).replace("'", '"')),
    }


def _told(result: Result) -> str:
    """All that is said about what is wrong, on one line in lower case; with a way out."""
    body = result.json
    if body["ok"]:
        data = body["data"]
        assert data["outcome"] in ("rejected", "failed"), data["outcome"]
        failed = [c for c in (data["checks"] or {}).get("results", ()) if not c["passed"]]
        texts = [data["reason"], *(check["message"] for check in failed)]
    else:
        error = body["error"]
        assert error["code"] not in ("", "internal"), error
        assert error["what"], error
        assert error["why"] or error["fix"], f"says what, and neither why nor what to do: {error}"
        texts = [error["what"], error["why"], error["fix"], error["where"]]
    return " ".join(texts).lower()


def _refused(
    folder: Path, before: Path, result: Result, codes: set[int], words: tuple[str, ...]
) -> str:
    """The command said no, in words, and changed nothing that counts."""
    assert result.code in codes, (result.code, result.out, result.err)
    told = _told(result)
    for word in words:
        assert re.search(word, told), f"{word!r} is not in: {told}"
    assert len(told) < 3000, "nobody reads that much"
    assert kept(folder) == kept(before)
    assert half_written(folder) == []
    return told


# -- the file ------------------------------------------------------------------------------


def _rows(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / "data.csv").read_text().splitlines()]


def _write(folder: Path, rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in rows) + "\n"
    (folder / "data.csv").write_text(text, encoding="utf-8")


def _text(text: str | bytes) -> Callable[[Path], None]:
    raw = text.encode() if isinstance(text, str) else text
    return lambda folder: _overwrite(folder, raw)


def _overwrite(folder: Path, raw: bytes) -> None:
    (folder / "data.csv").write_bytes(raw)


def _column(name: str, value: Callable[[int, str], str]) -> Callable[[Path], None]:
    """Damage that changes the values of one column."""

    def damage(folder: Path) -> None:
        header, *rows = _rows(folder)
        at = header.index(name)
        _write(
            folder,
            [header]
            + [[*row[:at], value(i, row[at]), *row[at + 1 :]] for i, row in enumerate(rows)],
        )

    return damage


def _header(old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        header, *rows = _rows(folder)
        _write(folder, [[new if name == old else name for name in header], *rows])

    return damage


def _constant(folder: Path) -> None:
    header, *rows = _rows(folder)
    _write(folder, [header] + [[row[0], "1", "2", "x", "y", row[-1]] for row in rows])


def _ragged(folder: Path) -> None:
    header, *rows = _rows(folder)
    rows[40] = [*rows[40], "one", "two", "three"]
    _write(folder, [header, *rows])


def _folder_instead(folder: Path) -> None:
    (folder / "data.csv").unlink()
    (folder / "data.csv").mkdir()


GARBAGE = np.random.default_rng(7).bytes(200_000)

DATA: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "missing file": (lambda folder: (folder / "data.csv").unlink(), ("data.csv",)),
    "a folder": (_folder_instead, ("data.csv",)),
    "empty file": (_text(""), ("data.csv", "empty")),
    "blank lines": (_text("\n\n  \n"), ("data.csv",)),
    "header only": (_text("customer,tenure,charges,contract,support,churn\n"), ("row",)),
    "no target": (_header("churn", "left"), ("churn",)),
    "target in capitals": (_header("churn", "Churn"), (r"`?churn", r"did you mean|churn")),
    "no id column": (_header("customer", "client"), ("customer",)),
    "one class": (_column("churn", lambda i, v: "no"), ("churn|target", "class|one value|value")),
    "another positive": (_column("churn", lambda i, v: {"yes": "1", "no": "0"}[v]), ("yes",)),
    "3 rows": (_text(customers(3)), ("row",)),
    "target missing": (_column("churn", lambda i, v: "" if i % 9 == 0 else v), ("churn",)),
    "target all missing": (_column("churn", lambda i, v: ""), ("churn",)),
    "id missing": (_column("customer", lambda i, v: "" if i < 5 else v), ("customer",)),
    "id repeated": (_column("customer", lambda i, v: "C1"), ("customer|different ids",)),
    "constant features": (_constant, ("constant|usable|no feature|vary|same value",)),
    "type changed": (
        _column("tenure", lambda i, v: f"{v} months"),
        ("tenure", "string|text", "integer|number"),
    ),
    "duplicate header": (
        _header("charges", "tenure"),
        ("tenure", "twice|duplicate|more than once"),
    ),
    "infinite": (_column("charges", lambda i, v: "inf" if i in (3, 9) else v), ("charges", "inf")),
    "ragged": (_ragged, ("data.csv", "line 42|row 4|field|column")),
    "huge cell": (
        _column("contract", lambda i, v: "x" * 10_000_000 if i == 5 else v),
        ("contract", "long|large|character|big"),
    ),
    "an open quote": (
        _column("contract", lambda i, v: '"' + v if i == 5 else v),
        ("data.csv|quote",),
    ),
    "garbage": (_text(GARBAGE), ("data.csv",)),
    "a spreadsheet": (_text(b"PK\x03\x04" + GARBAGE), ("data.csv", "csv|parquet")),
    "parquet by another name": (_text(b"PAR1" + GARBAGE + b"PAR1"), ("data.csv", "parquet")),
    "null bytes": (_text(customers(50).replace("year", "ye\0r")), ("data.csv",)),
    "latin-1": (
        _text(customers(300).replace("year", "ann\u00e9e").encode("latin-1")),
        ("utf", "latin1|encoding"),
    ),
    "utf-16": (_text(customers(300).encode("utf-16")), ("utf", "encoding|utf16")),
    "semicolons": (_text(customers(300).replace(",", ";")), ("separator|;",)),
}


@pytest.mark.parametrize("name", DATA)
def test_bad_data(name: str, project: Path, champion: Path, driver: Driver) -> None:
    damage, words = DATA[name]
    damage(project)
    result = driver.ratchet("run", "--project", project, "--json")
    _refused(project, champion, result, {3, 4, 6}, words)


def test_after_all_that_the_models_are_as_before(
    project: Path, models_before: dict[str, object], driver: Driver
) -> None:
    for name in ("one class", "type changed", "garbage"):
        DATA[name][0](project)
        assert driver.ratchet("run", "--project", project, "--json").code in {3, 6}
        (project / "data.csv").write_text(customers(ROWS), encoding="utf-8")
    assert _models(driver, project) == models_before
    # The good data are still what the champion was trained on.
    again = driver.ratchet("run", "--project", project, "--json").data
    assert again["outcome"] == "skipped"
    assert kept(project).champion == 1


def test_bad_data_is_told_to_people_on_stderr_or_stdout(project: Path, driver: Driver) -> None:
    (project / "data.csv").unlink()
    result = driver.ratchet("run", "--project", project)
    assert result.code in {3, 4, 6}
    assert "data.csv" in result.out + result.err
    assert "fix" in (result.out + result.err).lower()


def test_check_finds_the_same_without_training(
    project: Path, champion: Path, driver: Driver
) -> None:
    DATA["one class"][0](project)
    result = driver.ratchet("check", "--project", project, "--json")
    assert result.code == 3
    assert kept(project) == kept(champion)
    assert "churn" in result.out


def test_texts_that_mean_missing_are_no_fault(project: Path, driver: Driver) -> None:
    _column("charges", lambda i, v: "NaN" if i in (3, 9) else v)(project)
    assert driver.ratchet("check", "--project", project, "--json").code == 0


def test_300_columns_mostly_missing(tmp_path: Path, driver: Driver) -> None:
    folder = small_project(tmp_path / "wide", rows=300)
    header, *rows = _rows(folder)
    rng = np.random.default_rng(1)
    seen = rng.uniform(size=(len(rows), 300)) < 0.03
    wide = [
        row[:-1] + [str(i % 7) if there else "" for there in seen[i]] + row[-1:]
        for i, row in enumerate(rows)
    ]
    names = [f"extra_{i}" for i in range(300)]
    _write(folder, [header[:-1] + names + header[-1:], *wide])
    result = driver.ratchet("check", "--project", folder, "--json")
    assert result.code in {0, 3}
    assert "missing" in result.out
    # A few lines, not three hundred.
    assert len(driver.ratchet("check", "--project", folder).out.splitlines()) < 120


# -- the settings --------------------------------------------------------------------------

SETTINGS: dict[str, tuple[str | bytes, int, tuple[str, ...]]] = {
    "unknown key": (SMALL + "gate: {}\n", 4, ("gate", "gates", r"ratchet\.yaml:13")),
    "wrong type": (
        SMALL.replace("folds: 3", "folds: three"),
        4,
        (r"training\.tuning\.folds", "three", r"ratchet\.yaml:9"),
    ),
    "not UTF-8": (SMALL.replace("small", "gr\u00f6\u00dfe").encode("latin-1"), 4, ("utf-8", ":1")),
    "UTF-16": (SMALL.encode("utf-16"), 4, ("utf-8",)),
    "empty": ("", 4, ("project|data",)),
    "no YAML": ("project: [small\n", 4, ("yaml",)),
    "a list": ("- project\n- small\n", 4, ("project",)),
    "unknown algorithm": (
        SMALL.replace("logistic_regression", "lightgmb"),
        4,
        ("lightgmb", "`?lightgbm`?"),
    ),
    "unknown parameter": (
        SMALL.replace("logistic_regression: {}", "logistic_regression: {Cee: 3}"),
        4,
        ("cee",),
    ),
    "wrong parameter": (
        SMALL.replace("logistic_regression: {}", "logistic_regression: {C: -3}"),
        4,
        ("logistic_regression", "c"),
    ),
    "unknown metric in a gate": (
        SMALL.replace("roc_auc: 0.6", "rocauc: 0.6"),
        4,
        ("rocauc", "roc_auc"),
    ),
    "unknown expectation": (
        SMALL + "checks: {expectations: [{expect_column_values_to_not_be_nul: {column: churn}}]}\n",
        4,
        ("expect_column_values_to_not_be_nul", "expect_column_values_to_not_be_null", ":13"),
    ),
    "expectation of no column": (
        SMALL + "checks: {expectations: [{expect_column_values_to_not_be_null: {column: x}}]}\n",
        4,
        ("x",),
    ),
    "bad expression": (
        SMALL + "features: {expressions: {half: tenure /}}\n",
        4,
        ("half",),
    ),
    "expression of no column": (
        SMALL + "features: {expressions: {half: tenur / 2}}\n",
        4,
        ("tenur", "tenure"),
    ),
    "functions not there": (SMALL + "features: {functions: none.py}\n", 4, (r"none\.py",)),
    "excluded column not there": (
        SMALL.replace("  id: customer", "  exclude: [suport]\n  id: customer"),
        4,
        ("suport", "support"),
    ),
    "pinned column not there": (
        SMALL.replace("  id: customer", "  columns: {suport: string}\n  id: customer"),
        4,
        ("suport", "support", "ratchet.yaml:"),
    ),
    "unknown format": (SMALL.replace("data.csv", "data.xlsx"), 4, ("xlsx", "csv", "parquet")),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings(name: str, project: Path, champion: Path, driver: Driver) -> None:
    text, code, words = SETTINGS[name]
    raw = text.encode() if isinstance(text, str) else text
    (project / "ratchet.yaml").write_bytes(raw)
    if name == "unknown format":
        (project / "data.csv").rename(project / "data.xlsx")
    result = driver.ratchet("run", "--project", project, "--json")
    # What only the table tells may come as a fault of the data.
    codes = {code, 3} if "not there" in name or "no column" in name else {code}
    _refused(project, champion, result, codes, words)


def test_no_project_file(project: Path, driver: Driver) -> None:
    (project / "ratchet.yaml").unlink()
    result = driver.ratchet("run", "--project", project, "--json")
    assert result.code == 2
    assert "ratchet.yaml" in _told(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rum",), ("rum", "run|--help")),
        (("run", "--forse"), ("--forse", "--force|--help")),
        (("run", "--step", "trian"), ("trian", "train")),
        (("run", "--data-version", "99"), ("99",)),
        (("run", "--data-version", "one"), ("--data-version",)),
        (("run", "--resume", "20200101-000000-dead"), ("20200101-000000-dead", "ratchet runs")),
        (("run", "--data", "nowhere.csv"), (r"nowhere\.csv",)),
        (("show", "20200101-000000-dead"), ("20200101-000000-dead", "ratchet runs")),
        (("promote", "99"), ("99", "ratchet models")),
        (("models", "compare", "1", "99"), ("99",)),
        (("rollback",), ("version|earlier|before|back",)),
        (("who-served", "--at", "yesterday-ish"), ("yesterday-ish",)),
        (("predict",), ("data",)),
        (("predict", "--data", "data.csv"), ("--out",)),
        (("predict", "--data", "nowhere.csv", "--out", "o.csv"), (r"nowhere\.csv",)),
        (
            ("predict", "--data", "data.csv", "--out", "o.csv", "--model", "champignon"),
            ("champignon",),
        ),
        (("predict", "--data", "data.csv", "--out", "o.xlsx"), ("xlsx",)),
        (("predict", "--data", "data.csv", "--out", "no/such/folder/o.csv"), ("no/such/folder",)),
        (("validate-model", "--model-name", "nobody"), ("nobody",)),
        (("config", "explain", "gates.minimun"), ("minimun", "gates.minimum")),
    ],
)
def test_bad_commands(
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    project: Path,
    champion: Path,
    driver: Driver,
) -> None:
    result = driver.ratchet(*arguments, "--json", cwd=project)
    _refused(project, champion, result, {2, 3, 5, 6}, words)


def test_two_versions_are_compared_and_not_listed(project: Path, driver: Driver) -> None:
    data = driver.ratchet("models", "compare", "1", "champion", "--project", project, "--json").data
    assert data["a"]["metrics"] == data["b"]["metrics"]
    assert data["a"]["version"] == 1


def test_a_reader_that_goes_away_is_no_fault(project: Path) -> None:
    """``ratchet predict ... | head``."""
    (project / "many.csv").write_text(customers(20_000), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "ratchet", "predict", "--data", "many.csv"],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("customer,prediction,")
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 0, told
    assert "error" not in told


def test_without_a_command_there_is_help_and_no_error(tmp_path: Path, driver: Driver) -> None:
    result = driver.ratchet(cwd=tmp_path)
    assert "Commands" in result.out + result.err
    assert "error" not in result.out + result.err


def test_help_shows_what_is_taken_when_nothing_is_given(tmp_path: Path, driver: Driver) -> None:
    result = driver.ratchet("init", "--help", cwd=tmp_path)
    assert result.code == 0
    text = " ".join(result.out.replace("│", " ").split())
    for words in ("here or above", "the folder's", "here]"):
        assert words in text


def test_predict_says_which_columns_are_missing(
    project: Path, champion: Path, driver: Driver
) -> None:
    header, *rows = _rows(project)
    (project / "new.csv").write_text(
        "\n".join(",".join(row[1:2] + row[3:]) for row in [header, *rows[:20]]), encoding="utf-8"
    )
    result = driver.ratchet("predict", "--data", "new.csv", "--out", "o.csv", "--json", cwd=project)
    if result.code != 0:
        _refused(project, champion, result, {3}, ("charges",))
    else:
        assert "charges" in result.out + result.err


@pytest.mark.parametrize("name", ["missing file", "empty file", "header only", "garbage"])
def test_init_on_bad_data_writes_nothing(name: str, tmp_path: Path, driver: Driver) -> None:
    (tmp_path / "data.csv").write_text(customers(20), encoding="utf-8")
    DATA[name][0](tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    result = driver.ratchet(
        "init", tmp_path, "--data", tmp_path / "data.csv", "--target", "churn", "--json"
    )
    assert result.code in {2, 3, 6}
    assert "data.csv" in _told(result)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_init_without_such_a_target_and_over_a_project(
    project: Path, tmp_path: Path, driver: Driver
) -> None:
    data = project / "data.csv"
    no_target = driver.ratchet(
        "init", tmp_path / "new", "--data", data, "--target", "chrun", "--json"
    )
    assert no_target.code in {2, 3}
    assert "churn" in _told(no_target)
    assert not (tmp_path / "new" / "ratchet.yaml").exists()
    over = driver.ratchet("init", project, "--data", data, "--target", "churn", "--json")
    assert over.code in {2, 5}
    assert "ratchet.yaml" in _told(over)
    assert (project / "ratchet.yaml").read_text() == SMALL


# -- what is around ------------------------------------------------------------------------

HIDE = """
import sys

class Hidden:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "xgboost":
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hidden(finder) for finder in sys.meta_path]
"""


def test_a_missing_extra_is_named_with_the_way_to_install_it(
    project: Path, champion: Path, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HIDE, encoding="utf-8")
    text = SMALL.replace("logistic_regression", "xgboost")
    (project / "ratchet.yaml").write_text(text, encoding="utf-8")
    result = ratchet("run", "--project", project, "--json", PYTHONPATH=str(hooks))
    _refused(project, champion, result, {6}, ("xgboost", r"pip install 'ratchet-ml\[xgboost\]'"))


def _unprivileged() -> list[str]:
    """What makes even root obey a folder's mode."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores folder modes, and setpriv is not here to change that")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def _call(command: list[str], limit: int | None = None, **variables: str) -> Result:
    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    done = subprocess.run(
        command,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=confine if limit is not None else None,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


RUN = [sys.executable, "-m", "ratchet", "run", "--json", "--project"]


@contextlib.contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in (*folders, *files):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in (*folders, *files):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_read_only_project(project: Path, champion: Path) -> None:
    (project / "data.csv").write_text(customers(ROWS, seed=2), encoding="utf-8")
    command = [*_unprivileged(), *RUN, str(project)]
    with _read_only(project):
        result = _call(command)
    _refused(project, champion, result, {6}, ("read-only|cannot be written|right to write",))


def test_a_read_only_folder_without_a_state(tmp_path: Path) -> None:
    folder = small_project(tmp_path / "fresh", rows=50)
    with _read_only(folder):
        result = _call([*_unprivileged(), *RUN, str(folder)])
    assert result.code == 6
    assert "cannot be written" in _told(result)
    assert not (folder / ".ratchet").exists()


def test_data_that_may_not_be_read(project: Path, champion: Path) -> None:
    (project / "data.csv").chmod(0)
    result = _call([*_unprivileged(), *RUN, str(project)])
    _refused(project, champion, result, {3, 6}, (r"data\.csv", "permission|right|read"))


def test_a_file_where_the_state_folder_should_be(tmp_path: Path, driver: Driver) -> None:
    folder = small_project(tmp_path / "fresh", rows=50)
    (folder / ".ratchet").write_text("", encoding="utf-8")
    result = driver.ratchet("run", "--project", folder, "--json")
    assert result.code == 6
    assert ".ratchet" in _told(result)


def test_damaged_databases(project: Path, driver: Driver) -> None:
    (project / "data.csv").write_text(customers(ROWS, seed=3), encoding="utf-8")
    for name in ("ledger.db", "mlflow.db"):
        database = project / ".ratchet" / name
        whole = database.read_bytes()
        database.write_bytes(b"not a database" * 400)
        result = driver.ratchet("run", "--project", project, "--json")
        assert result.code == 6, (name, result.out)
        assert name in _told(result)
        database.write_bytes(whole)
    # Both whole again: what was left open ends well.
    assert driver.ratchet("run", "--project", project, "--json").code in {0, 3}
    assert kept(project).champion in (1, 2)


def test_a_moved_project_leaves_its_old_place_alone(
    champion: Path, tmp_path: Path, driver: Driver
) -> None:
    old = small_project(tmp_path / "old", ROWS)
    assert driver.ratchet("run", "--project", old, "--json").data["outcome"] == "promoted"
    new = old.rename(tmp_path / "new")
    assert driver.ratchet("run", "--project", new, "--json").data["outcome"] == "skipped"
    (new / "data.csv").write_text(customers(2 * ROWS), encoding="utf-8")
    result = driver.ratchet("run", "--project", new, "--json")
    assert result.code in {0, 3}, result.out
    out = new / "scores.csv"
    scored = driver.ratchet(
        *("predict", "--project", new, "--data", new / "data.csv", "--out", out, "--json")
    )
    assert scored.data["rows"] == 2 * ROWS
    assert not old.exists(), sorted(old.rglob("*"))


def test_another_lake_begins_anew(project: Path, driver: Driver) -> None:
    """The champion's table stayed in the old lake; that is no reason to stop."""
    (project / "data.csv").write_text(customers(2 * ROWS), encoding="utf-8")
    driver.ratchet("run", "--project", project, "--json")
    (project / "data.csv").write_text(customers(3 * ROWS), encoding="utf-8")
    result = driver.ratchet(
        *("run", "--project", project, "--json", "--set", "storage.lake=elsewhere")
    )
    assert result.code in {0, 3}, result.out
    assert result.data["outcome"] in ("promoted", "rejected")
    assert result.data["snapshot"]["version"] == 0


def test_files_may_not_grow(project: Path, champion: Path) -> None:
    (project / "data.csv").write_text(customers(4 * ROWS, seed=4), encoding="utf-8")
    result = _call([*RUN, str(project)], limit=20_000)
    _refused(project, champion, result, {6}, ("file|disk|write",))


FULL = """
import dataclasses, json, os, shutil, subprocess, sys
from pathlib import Path
from forked_ratchet import Driver

source, disk, answers = map(Path, sys.argv[1:])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "none", disk], check=True)
shutil.copytree(source, disk, dirs_exist_ok=True)
driver = Driver(answers)
results = []
for free in (8, 250, 1200, None):
    filler = disk / "filler"
    if free is not None:
        with filler.open("wb") as opened:
            os.posix_fallocate(opened.fileno(), 0, shutil.disk_usage(disk).free - free * 1024)
    results.append(dataclasses.asdict(driver.ratchet("run", "--json", "--project", disk)))
    filler.unlink(missing_ok=True)
    shutil.copytree(disk, answers / f"after {free}")
driver.close()
print(json.dumps(results))
"""


def test_the_disk_is_full(project: Path, champion: Path, tmp_path: Path) -> None:
    (project / "data.csv").write_text(customers(4 * ROWS, seed=4), encoding="utf-8")
    disk, answers = tmp_path / "disk", tmp_path / "answers"
    disk.mkdir()
    answers.mkdir()
    try:
        subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(disk)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk cannot be mounted here")
    arguments = [sys.executable, "-c", FULL, str(project), str(disk), str(answers)]
    done = _call(["unshare", "-rm", *arguments], PYTHONPATH=str(Path(__file__).parents[1]))
    assert done.code == 0, done.err
    *full, end = (Result(**result) for result in json.loads(done.out))
    for free, result in zip((8, 250, 1200), full, strict=True):
        after = answers / f"after {free}"
        if result.code == 6:
            assert re.search("full|space|room", _told(result)), result.out
            # Only the last moment of a promotion may lie behind it: the ledger has it, MLflow's
            # alias not yet, and the next run goes on from there.
            assert kept(after).champion in (1, 2)
        else:
            assert result.data["outcome"] in ("promoted", "rejected")
        assert half_written(after) == []
    assert full[0].code == 6
    assert end.data["outcome"] in ("promoted", "rejected", "skipped")
    state = kept(answers / "after None")
    assert len(state.ledger) == len(state.mlflow) <= 2
    assert [alias[2] for alias in state.aliases if alias[1] == "champion"] == [state.champion]


POSTGRES = """\
project: small
data:
  source: {{type: postgres, url: "{url}", table: customers}}
  target: churn
"""


def test_postgres_is_down(project: Path, champion: Path, driver: Driver) -> None:
    url = "postgresql://reader:${RATCHET_TEST_PASSWORD}@127.0.0.1:1/db"
    (project / "ratchet.yaml").write_text(POSTGRES.format(url=url), encoding="utf-8")
    result = driver.ratchet("run", "--project", project, "--json", RATCHET_TEST_PASSWORD=SECRET)
    _refused(project, champion, result, {6}, (r"127\.0\.0\.1", "reach|answer|connect"))
    _nowhere(SECRET, project, result)


def test_the_ledgers_postgres_is_down(project: Path, champion: Path, driver: Driver) -> None:
    address = f"postgresql://writer:{SECRET}@127.0.0.1:1/db"
    result = driver.ratchet(
        "run", "--project", project, "--json", "--set", f"storage.ledger={address}"
    )
    _refused(project, champion, result, {6}, (r"127\.0\.0\.1", "reach|answer|connect"))
    _nowhere(SECRET, project, result)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = start_postgres(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


def test_postgres_refuses_the_password(
    server: PostgresServer, project: Path, champion: Path, driver: Driver
) -> None:
    address = server.url.rpartition("@")[2]
    url = f"postgresql://ratchet:${{RATCHET_TEST_PASSWORD}}@{address}"
    (project / "ratchet.yaml").write_text(POSTGRES.format(url=url), encoding="utf-8")
    result = driver.ratchet("run", "--project", project, "--json", RATCHET_TEST_PASSWORD=SECRET)
    _refused(project, champion, result, {6}, ("password", "refuse", r"127\.0\.0\.1"))
    _nowhere(SECRET, project, result)
    # The right one, and no such table.
    password = quote(server.password, safe="")
    result = driver.ratchet("run", "--project", project, "--json", RATCHET_TEST_PASSWORD=password)
    _refused(project, champion, result, {3, 4}, ("customers",))
    for form in (password, server.password):
        _nowhere(form, project, result)


def test_the_ledgers_postgres_refuses_the_password(
    server: PostgresServer, project: Path, champion: Path, driver: Driver
) -> None:
    address = f"postgresql://ratchet:{SECRET}@{server.url.rpartition('@')[2]}"
    result = driver.ratchet(
        "run", "--project", project, "--json", "--set", f"storage.ledger={address}"
    )
    _refused(project, champion, result, {6}, ("password|refuse",))
    _nowhere(SECRET, project, result)


def _nowhere(secret: str, folder: Path, result: Result) -> None:
    assert secret not in result.out + result.err
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


# -- two at once ---------------------------------------------------------------------------


def test_a_held_project_names_its_holder(project: Path, champion: Path, driver: Driver) -> None:
    from ratchet.project import load_project

    (project / "data.csv").write_text(customers(ROWS, seed=5), encoding="utf-8")
    with load_project(project, variables={}).open_ledger() as ledger, ledger.lease("the test"):
        result = driver.ratchet("run", "--project", project, "--json")
        told = _refused(project, champion, result, {5}, ("the test", str(os.getpid())))
        assert "wait" in told or "again" in told
        # Reading is free meanwhile.
        assert driver.ratchet("models", "--project", project, "--json").code == 0


def test_two_runs_at_once_make_one_version(project: Path, driver: Driver) -> None:
    (project / "data.csv").write_text(customers(2 * ROWS), encoding="utf-8")
    results = driver.at_once(3, "run", "--project", project, "--json")
    worked = [r for r in results if r.code in (0, 3) and r.data["outcome"] != "skipped"]
    assert len(worked) == 1, [(r.code, r.out) for r in results]
    for result in results:
        if result not in worked:
            # One that came too late found the work done.
            assert result.code == 5 or result.data["outcome"] == "skipped"
    assert any(result.code == 5 for result in results)
    assert len(kept(project).ledger) == 1 + (worked[0].data["outcome"] != "rejected")
    assert half_written(project) == []


@dataclass(frozen=True)
class _Started:
    process: subprocess.Popen[str]

    def interrupt(self) -> Result:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=120)
        assert "Traceback" not in out + err, err
        return Result(self.process.returncode, out, err)


STOP = """
import sys

class Stopper:
    def find_spec(self, name, path=None, target=None):
        if name == "ratchet.pipeline.plan":
            exec("raise KeyboardInterrupt")

sys.meta_path.insert(0, Stopper())
"""


def test_interrupted_while_text_is_compiled(project: Path, tmp_path: Path) -> None:
    """Python ends `-m` by a signal after an interrupt inside `exec`: the code stays 130."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(STOP, encoding="utf-8")
    result = ratchet("plan", "--project", project, PYTHONPATH=str(hooks))
    assert (result.code, result.out, result.err) == (130, "", "Interrupted.\n")


def test_interrupted_by_the_user(project: Path, champion: Path, driver: Driver) -> None:
    """Ctrl-C in the middle: a quiet end, the lease given back, the next run takes over."""
    (project / "data.csv").write_text(customers(2 * ROWS), encoding="utf-8")
    started = _Started(
        subprocess.Popen(
            [*RUN, str(project)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    ledger = project / ".ratchet" / "ledger.db"
    at_work = (
        "select 1 from ratchet_steps join ratchet_runs using (run_id)"
        " where ratchet_runs.status = 'running'"
    )
    while not ask(ledger, at_work) and started.process.poll() is None:
        time.sleep(0.02)
    result = started.interrupt()
    assert result.code == 130
    assert kept(project) == kept(champion)
    assert ask(ledger, "select * from ratchet_leases") == ()
    again = driver.ratchet("run", "--project", project, "--json")
    assert again.code in {0, 3}
    assert again.data["outcome"] in ("promoted", "rejected")


def test_gzip_that_ends_early(project: Path, champion: Path, driver: Driver) -> None:
    packed = gzip.compress(customers(ROWS, seed=6).encode())
    (project / "data.csv.gz").write_bytes(packed[: len(packed) // 2])
    result = driver.ratchet(
        "run", "--project", project, "--data", project / "data.csv.gz", "--json"
    )
    _refused(project, champion, result, {3, 6}, (r"data\.csv\.gz",))
