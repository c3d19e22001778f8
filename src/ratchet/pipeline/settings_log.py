"""A project's settings as they may be shown and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratchet.alerts.settings import host_of, scheme_of
from ratchet.config.secrets import masked

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project


def shown_settings(project: Project) -> dict[str, Any]:
    """The settings without anything secret: no passwords, and no webhook's path."""
    values: dict[str, Any] = masked(project.dump())
    for alert in values["alerts"]:
        if "${" not in alert["url"]:
            host = host_of(alert["url"])
            alert["url"] = f"{scheme_of(alert['url'])}://{host}{'/' * bool(host)}***"
    return values


def note_settings(project: Project, ledger: Ledger) -> bool:
    """Keep an event if the settings changed since the project was last worked with."""
    settings = shown_settings(project)
    if project.environment is not None:
        settings["environment"] = project.environment
    return ledger.note_settings(settings)
