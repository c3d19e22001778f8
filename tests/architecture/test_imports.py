"""What may be loaded when: the start must stay light."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "polars", "sklearn", "mlflow", "pandas", "lightgbm", "sqlalchemy", "onnxruntime")


def modules_after(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("import ratchet", 150),
        (
            ("import sys\nfrom ratchet.cli.main import _invoke\nassert _invoke(['--help']) == 0"),
            400,
        ),
        (
            (
                "import sys\nfrom ratchet.cli.main import _invoke\n"
                "assert _invoke(['run', '--help']) == 0"
            ),
            520,  # Typer reads arguments with pydantic; every command has a module
        ),
    ],
    ids=["import", "help", "run-help"],
)
def test_the_start_loads_nothing_heavy(code, limit):
    loaded = modules_after(code)
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]
    assert len(loaded) < limit


def test_the_project_file_is_read_without_heavy_libraries():
    loaded = modules_after("import ratchet.project")
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]
