"""The docs say what the product does: nothing undocumented, no dead link, no stale page."""

import importlib.util
import re
from pathlib import Path

import pytest

from ratchet.config.yaml import parse_value
from ratchet.pipeline.outcome import Run
from ratchet.project import ProjectSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])


def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_up_to_date():
    for name, text in reference().pages().items():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, (
            f"{name} is out of date: run `make docs`"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_project_files_in_the_docs_are_valid(page):
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        ProjectSettings.model_validate(parse_value(block, page.name))


def test_the_codes_of_errors_are_listed_with_their_exit_codes():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    assert "| `no_version` | 2 | `UsageError` |" in page
    assert "| `port_taken` | 5 | `ConflictError` |" in page
    assert "| `log_full` | 6 | `StorageError` |" in page
    assert "| `no_champion` | 2, 5 | `ConflictError`, `UsageError` |" in page
    for source in (ROOT / "src").rglob("*.py"):
        for code in re.findall(r"\bcode=\"(\w+)\"", source.read_text(encoding="utf-8")):
            assert f"| `{code}` | " in page, f"{source.name}: the code {code} is not documented"


def test_every_field_of_a_run_is_documented():
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    run = Run(run_id="r", outcome="skipped", reason="x", trigger="manual", seconds=0.0)
    for field in run.to_json():
        assert f"| `{field}` |" in page, f"`run --json` field {field} is not documented"
