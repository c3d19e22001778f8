from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ratchet.checks.settings import ChecksSettings


def test_a_word_is_short_for_the_severity() -> None:
    settings = ChecksSettings.model_validate({"leakage": "warn", "missing": "off", "mixed": False})
    assert settings.leakage.severity == "warn"
    assert settings.leakage.error == 0.999
    assert settings.missing.severity == settings.mixed.severity == "off"


def test_limits_can_be_changed() -> None:
    settings = ChecksSettings.model_validate({"rows": {"min": 7}, "missing": {"share": 0.9}})
    assert (settings.rows.min, settings.rows.severity) == (7, "error")
    assert (settings.missing.share, settings.missing.severity) == (0.9, "warn")


@pytest.mark.parametrize(
    "raw",
    [
        {"leakage": "loud"}, {"leakage": True}, {"rows": {"mn": 3}}, {"rows": {"min": 0}},
        {"max_age": "2 fortnights"}, {"future": {"tolerance": "soon"}}, {"missing": {"share": 2}},
        {"no_such_check": "off"},
    ],
)  # fmt: skip
def test_refusals(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChecksSettings.model_validate(raw)


@pytest.mark.parametrize("text", ["2d", "30m", "6h", "1w"])
def test_ages(text: str) -> None:
    assert ChecksSettings(max_age=text).max_age == text


def test_every_key_is_described() -> None:
    def walk(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                walk(field.annotation)

    walk(ChecksSettings)


def test_settings_load_nothing_heavy() -> None:
    code = (
        "import sys, ratchet.checks.settings; "
        "sys.exit(bool({'polars', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
