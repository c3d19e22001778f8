"""A project's settings as they may be shown and kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.alerts.settings import host_of, scheme_of
from ratchet.config.secrets import masked
from ratchet.ids import digest_of
from ratchet.ledger.settings_log import CHANGED
from ratchet.ledger.tables import plain
from ratchet.project import FILE

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
    return ledger.note_settings(_kept_settings(project))


def note_changed_file(project: Project, ledger: Ledger, known: str | None) -> tuple[str, list[str]]:
    """The same for who looks after a project and did not change anything: the file did.

    Args:
        known: the digest that was given back last; nothing is read while it stays the same, so
            that settings of one run alone (``--set``) are not taken for a change of the file.

    Returns:
        The digest, and the keys that changed, where that became an event.
    """
    settings = _kept_settings(project)
    digest = digest_of(plain(settings))
    if digest == known or not ledger.note_settings(settings, by=_changer(project.root / FILE)):
        return digest, []
    (event,) = ledger.events(kind=CHANGED, limit=1)
    return digest, list(event.facts["changed"])


def _kept_settings(project: Project) -> dict[str, Any]:
    settings = shown_settings(project)
    if project.environment is not None:
        settings["environment"] = project.environment
    return settings


def _changer(file: Path) -> str:
    """The file, and whose it is: nobody saw who wrote to it."""
    try:
        return f"{file.name} ({file.owner()}'s)"
    except (OSError, KeyError, NotImplementedError):
        return file.name  # of a user without a name, as in a container
