"""Where a project keeps its things."""

from __future__ import annotations

from pydantic import Field, field_validator

from ratchet.config.section import Section


class StorageSettings(Section):
    """Stores: files beside the project by default, each replaceable by a URL."""

    ledger: str = Field(
        default="sqlite",
        description="Runs, versions and decisions: `sqlite` (.ratchet/ledger.db) or postgresql://...",
    )
    lake: str = Field(
        default=".ratchet/lake",
        description="Versioned tables (Delta): a folder or s3://bucket/prefix.",
    )
    tracking: str = Field(
        default="sqlite",
        description="MLflow: `sqlite` (.ratchet/mlflow.db) or a server at http://....",
    )

    features: str = Field(
        default="sqlite",
        description="Feature store: `sqlite` (.ratchet/features.db) or redis://....",
    )

    @field_validator("features")
    @classmethod
    def _known_features(cls, value: str) -> str:
        return _known(value, "sqlite", ("sqlite:///", "redis://", "rediss://", "unix://"))

    @field_validator("ledger")
    @classmethod
    def _known_ledger(cls, value: str) -> str:
        return _known(value, "sqlite", ("sqlite:///", "postgresql://"))

    @field_validator("tracking")
    @classmethod
    def _known_tracking(cls, value: str) -> str:
        return _known(value, "sqlite", ("sqlite:///", "postgresql://", "http://", "https://"))


def _known(value: str, word: str, prefixes: tuple[str, ...]) -> str:
    if value == word or value.startswith(prefixes) or value.startswith("${"):
        return value
    raise ValueError(f"write `{word}` or an address that starts with {' or '.join(prefixes)}")
