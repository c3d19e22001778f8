"""Settings as a user meets them: files, overlays, variables, --set, show, explain, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from forked_ratchet import Driver
from ratchet_cli import SMALL, Result, ratchet, small_project

SECRET = "hunter2-s3cr3t"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_project(tmp_path / "small", rows=20)


def _show(driver: Driver, folder: Path, *arguments: str, **variables: str) -> Result:
    return driver.ratchet("config", "show", "--project", folder, *arguments, "--json", **variables)


def _refused(result: Result, *, what: str, fix: str = "", where: str = "") -> dict[str, str]:
    assert result.code == 4, (result.out, result.err)
    error = result.error
    assert what in error["what"] + " " + error["why"], error
    assert fix in error["fix"], error
    assert where in error["where"], error
    return error


def test_later_sources_win_and_each_value_names_its_place(project: Path, driver: Driver) -> None:
    (project / "ratchet.yaml").write_text(SMALL + "checks: {rows: {min: 11}}\n", encoding="utf-8")
    (project / "ratchet.staging.yaml").write_text(
        "checks: {rows: {min: 12}}\n"
        "training:\n  seed: 22\n  cores: 1\n"
        "gates: {minimum: {accuracy: 0.5}}\n",
        encoding="utf-8",
    )
    data = _show(
        driver,
        project,
        *("--env", "staging"),
        *("--set", "training.cores=2", "--set", "data.split.test=0.3"),
        RATCHET__TRAINING__SEED="33",
        RATCHET__TRAINING__CORES="4",
        RATCHET__GATES__CHAMPION__CONFIDENCE="0.9",
    ).data
    settings, origins = data["settings"], data["origins"]
    assert settings["checks"]["rows"]["min"] == 12
    assert settings["training"]["seed"] == 33
    assert settings["training"]["cores"] == 2
    assert settings["data"]["split"]["test"] == 0.3
    assert settings["gates"]["champion"]["confidence"] == 0.9
    # An overlay adds to a mapping; it does not empty it.
    assert settings["gates"]["minimum"] == {"roc_auc": 0.6, "accuracy": 0.5}
    assert settings["training"]["algorithms"] == {"logistic_regression": {}}
    assert origins["checks.rows.min"] == "ratchet.staging.yaml:1"
    assert origins["training.seed"] == "RATCHET__TRAINING__SEED"
    assert origins["training.cores"] == "--set training.cores"
    assert origins["gates.minimum.accuracy"] == "ratchet.staging.yaml:5"
    assert origins["gates.minimum.roc_auc"] == "ratchet.yaml:11"
    assert origins["data.target"] == "ratchet.yaml:4"
    assert origins["gates.champion.margin"] == "default"


def test_the_environment_can_be_chosen_by_a_variable(project: Path, driver: Driver) -> None:
    (project / "ratchet.production.yaml").write_text("training: {seed: 5}\n", encoding="utf-8")
    chosen = _show(driver, project, RATCHET_ENV="production").data["settings"]
    assert chosen["training"]["seed"] == 5
    assert _show(driver, project).data["settings"]["training"]["seed"] == 42


def test_an_unknown_environment_lists_those_there(project: Path, driver: Driver) -> None:
    (project / "ratchet.staging.yaml").write_text("training: {seed: 5}\n", encoding="utf-8")
    _refused(_show(driver, project, "--env", "stagin"), what="stagin", fix="staging")
    _refused(_show(driver, project, "--env", "../staging"), what="../staging", fix="staging")


@pytest.mark.parametrize(
    ("name", "value", "what", "fix"),
    [
        ("RATCHET__TRAINING__SEEED", "7", "training.seeed", "`seed`"),
        ("RATCHET__TRANING__SEED", "7", "traning", "`training`"),
        ("RATCHET__TRAINING__SEED", "seven", "training.seed", ""),
        ("RATCHET__GATES__CHAMPION__CONFIDENCE", "2", "gates.champion.confidence", ""),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    project: Path, name: str, value: str, what: str, fix: str, driver: Driver
) -> None:
    _refused(_show(driver, project, **{name: value}), what=what, fix=fix, where=name)


@pytest.mark.parametrize(
    ("assignment", "what", "fix"),
    [
        ("training.seed", "not of the form key=value", "--set data.target=Churn"),
        ("training.sed=1", "training.sed", "`seed`"),
        ("training.seed=[1, 2]", "training.seed", ""),
        ("training.seed={", "not valid YAML", ""),
        ("training.algorithms.no_such_thing={}", "no_such_thing", ""),
    ],
)
def test_a_wrong_assignment_is_refused(
    project: Path, assignment: str, what: str, fix: str, driver: Driver
) -> None:
    _refused(
        driver.ratchet("check", "--project", project, "--set", assignment, "--json"),
        what=what,
        fix=fix,
    )
    assert not (project / ".ratchet").exists()


@pytest.mark.parametrize(
    ("text", "what", "fix", "line"),
    [
        (SMALL + "traning: {seed: 1}\n", "traning", "`training`", 13),
        (SMALL.replace("target:", "tagret:"), "tagret", "`target`", 4),
        (SMALL.replace("folds: 3", "folds: many"), "folds", "", 9),
        (SMALL.replace("id: customer", "id: [1, 2]"), "data.id", "", 6),
        (SMALL + "training: {seed: 1}\n", "twice", "", 13),
        (SMALL + "checks: {rows: {min: 012}}\n", "zero", "", 13),
        (SMALL + "checks: [\n", "not valid YAML", "", 14),
        (SMALL.replace("  target: churn\n", ""), "target", "data", 3),
        (SMALL.replace("type: csv", "type: xlsx"), "data.source.type", "", 3),
        (SMALL.replace("project: small", "project: a/b"), "project", "", 1),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    project: Path, text: str, what: str, fix: str, line: int, driver: Driver
) -> None:
    (project / "ratchet.yaml").write_text(text, encoding="utf-8")
    error = _refused(_show(driver, project), what=what, fix=fix, where="ratchet.yaml")
    shown = int(error["where"].rpartition(":")[2])
    # The place of a section stands in for one of its missing keys.
    assert shown in (line, line - 1), error


@pytest.fixture
def secretive(tmp_path: Path) -> Path:
    """A project with one password taken from the environment and one written into an address."""
    (tmp_path / "ratchet.yaml").write_text(
        "project: small\n"
        "data:\n"
        "  source:\n"
        "    type: postgres\n"
        "    url: postgresql://reader:${RATCHET_TEST_PASSWORD}@127.0.0.1:1/db\n"
        "    table: customers\n"
        "  target: churn\n"
        f"storage: {{ledger: 'postgresql://writer:{SECRET}@127.0.0.1:1/db'}}\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "show"),
        ("config", "show", "--json"),
        ("config", "explain", "data.source.url"),
        ("config", "explain", "storage.ledger"),
        ("config", "explain", "data.source", "--json"),
        ("check", "--json"),
        ("run", "--json"),
    ],
)
def test_no_command_prints_a_secret(
    secretive: Path, arguments: tuple[str, ...], driver: Driver
) -> None:
    result = driver.ratchet(*arguments, "--project", secretive, RATCHET_TEST_PASSWORD=SECRET)
    assert SECRET not in result.out + result.err
    kept = [path for path in secretive.rglob("*") if path.is_file() and path.suffix != ".yaml"]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_a_secret_is_shown_as_it_is_written(secretive: Path, driver: Driver) -> None:
    settings = _show(driver, secretive, RATCHET_TEST_PASSWORD=SECRET).data["settings"]
    assert "${RATCHET_TEST_PASSWORD}" in settings["data"]["source"]["url"]
    assert settings["storage"]["ledger"] == "postgresql://writer:***@127.0.0.1:1/db"


def test_a_missing_secret_names_its_variable(secretive: Path, driver: Driver) -> None:
    (secretive / "ratchet.yaml").write_text(
        (secretive / "ratchet.yaml").read_text().rpartition("storage:")[0], encoding="utf-8"
    )
    result = driver.ratchet("check", "--project", secretive, "--json")
    _refused(
        result, what="RATCHET_TEST_PASSWORD", fix="export RATCHET_TEST_PASSWORD", where="yaml:5"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("storage.ledger", f"mysql://root:{SECRET}@127.0.0.1/db"),
        ("storage.tracking", f"ftp://root:{SECRET}@127.0.0.1/db"),
        ("training.seed", f"postgresql://root:{SECRET}@127.0.0.1/db"),
        ("data.source.type", f"postgresql://root:{SECRET}@127.0.0.1/db"),
    ],
)
def test_a_refused_value_does_not_show_its_password(
    project: Path, key: str, value: str, driver: Driver
) -> None:
    by_option = driver.ratchet("config", "show", "--project", project, "--set", f"{key}={value}")
    variable = "RATCHET__" + key.upper().replace(".", "__")
    by_variable = _show(driver, project, **{variable: value})
    for result in (by_option, by_variable):
        assert result.code == 4
        assert SECRET not in result.out + result.err


def test_explain_tells_meaning_type_default_value_and_place(project: Path, driver: Driver) -> None:
    data = driver.ratchet("config", "explain", "training.seed", "--project", project, "--json").data
    assert data["key"] == "training.seed"
    assert data["type"] == "integer"
    assert data["default"] == 42
    assert data["value"] == 42
    assert data["origin"] == "default"
    assert data["description"]
    changed = driver.ratchet(
        *("config", "explain", "gates.minimum", "--project", project, "--json"),
        RATCHET__GATES__MINIMUM__ROC_AUC="0.7",
    ).data
    assert changed["value"] == {"roc_auc": 0.7}


def test_explain_a_section_lists_its_keys_for_people(project: Path, driver: Driver) -> None:
    result = driver.ratchet("config", "explain", "data.split", "--project", project)
    assert result.code == 0
    for key in ("by", "test", "seed"):
        assert f".{key}" in result.out


def test_explain_works_outside_a_project(tmp_path: Path) -> None:
    result = ratchet("config", "explain", "gates.champion.margin", "--json", cwd=tmp_path)
    assert result.data["default"] == 0.0
    assert result.data["description"]


def test_explain_an_unknown_key_suggests_the_nearest(project: Path, driver: Driver) -> None:
    result = driver.ratchet(
        "config", "explain", "gates.champion.margn", "--project", project, "--json"
    )
    assert result.code == 2
    assert "`gates.champion.margin`" in result.error["fix"]


def test_the_project_is_found_from_below_and_showing_writes_nothing(
    project: Path, driver: Driver
) -> None:
    below = project / "notebooks" / "deep"
    below.mkdir(parents=True)
    assert (
        driver.ratchet("config", "show", "--json", cwd=below).data["settings"]["project"] == "small"
    )
    assert sorted(path.name for path in project.iterdir()) == [
        "data.csv",
        "notebooks",
        "ratchet.yaml",
    ]


def test_for_people_each_setting_made_says_where(project: Path) -> None:
    shown = ratchet("config", "show", "--project", project)
    assert shown.code == 0
    line = next(line for line in shown.out.splitlines() if line.startswith("data.target "))
    assert '"churn"' in line
    assert line.endswith("# ratchet.yaml:4")


@pytest.mark.parametrize("folder", ["nowhere", "small/data.csv", "."])
def test_a_folder_without_a_project_says_how_to_name_one(
    project: Path, folder: str, driver: Driver
) -> None:
    result = driver.ratchet("config", "show", "--project", folder, "--json", cwd=project.parent)
    assert result.code == 2
    assert "--project" in result.error["fix"]
