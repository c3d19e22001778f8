"""The server against its own description: schemathesis asks what it allows, and what not."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from integration.registry.registry_bundles import make_bundle
from protocol_server import serve_bundle
from ratchet.packaging.decision import Interval
from unit.packaging.packaging_models import bundle_of, train

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
)
"""Not that everything allowed is accepted: a table whose rows are uneven has no JSON Schema."""

AS_MLFLOW_DOES = ("/ping", "/health", "/version")
"""They call text JSON, and their clients expect it."""

SETTINGS = """\
[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 409, 413, 415, 422]
"""

MODELS = {
    "classes": make_bundle,
    "numbers": lambda folder: bundle_of(
        train("lightgbm", 0), folder, interval=Interval(0.9, -20.0, 35.0)
    ),
}


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.parametrize(
    "model", ["classes", pytest.param("numbers", marks=pytest.mark.exhaustive)]
)
def test_answers_are_as_described_whatever_is_asked(model: str, tmp_path: Path) -> None:
    bundle = MODELS[model](tmp_path)
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    id = "customer" if model == "classes" else None
    with serve_bundle(tmp_path / "site", bundle.path, id=id, max_rows=50) as server:
        # A process of its own: its plugin would cost every run of the tests a second.
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "10", "--generation-deterministic"),
            *("--suppress-health-check", "all", "--request-timeout", "20"),
            *(word for path in AS_MLFLOW_DOES for word in ("--exclude-path", path)),
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "No issues found" in done.stdout
        assert server.process.poll() is None
