"""The projects of a loop: which there are, which it holds, and how far their ledgers are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ratchet import clock
from ratchet.config.loop import LoopSettings
from ratchet.loop.heads import Heads, Server
from ratchet.loop.journal import Journal
from ratchet.loop.projects import Opening, find_projects
from ratchet.loop.wards import Ward

_SEARCH = 30.0
"""Seconds between two searches for projects that came or went."""


class Roster:
    """Keeps the projects in mind. Not safe for threads: the loop has one."""

    def __init__(self, folder: Path, opening: Opening, journal: Journal) -> None:
        self._folder, self._opening, self._journal = folder, opening, journal
        self.wards: dict[Path, Ward] = {}
        self._heads = Heads()
        self._servers: dict[str, Server] = {}
        self._searched = -_SEARCH

    @property
    def settings(self) -> list[LoopSettings]:
        """The loop's settings of every project that can be read."""
        return [one.watched.loop for one in self.wards.values() if one.watched is not None]

    @property
    def away(self) -> int:
        """Database servers with ledgers that cannot be reached."""
        return sum(bool(server.away) for server in self._servers.values())

    def head_of(self, ward: Ward) -> int:
        """The number of the newest event of a project whose settings are known."""
        assert ward.watched is not None
        server = self._servers.get(ward.watched.ledger)
        if server is not None:
            return server.heads.get(ward.name, 0)
        return self._heads.of(ward.watched)

    def close(self) -> None:
        """Let other loops have the projects."""
        for server in self._servers.values():
            server.close()
        for ward in self.wards.values():
            ward.leave()

    def search(self) -> list[str]:
        """Find projects that came, and let go of those that went; the names of these."""
        gone: list[str] = []
        if clock.monotonic() - self._searched < _SEARCH:
            return gone
        self._searched = clock.monotonic()
        found = find_projects(self._folder)
        for root in found:
            if root not in self.wards:
                self.wards[root] = Ward(root)
        for root in self.wards.keys() - set(found):
            ward = self.wards.pop(root)
            ward.leave()
            gone.append(ward.name)
            self._journal.tell("project_gone", ward.name, root=str(root))
        return gone

    def read_settings(self) -> bool:
        """Read what is new or was changed; whether anything was."""
        changed = False
        for ward in self.wards.values():
            known = ward.watched is not None
            if ward.read(self._opening):
                changed = True
                if ward.watched is None:
                    self._journal.tell(
                        "unreadable", ward.name, root=str(ward.root), **told_fault(ward)
                    )
                else:
                    event = "settings_changed" if known else "project_found"
                    self._journal.tell(event, ward.name, root=str(ward.root))
        return changed

    def take(self, now: datetime, every: float, *, once: bool = False) -> list[Ward]:
        """Lock the folders that no other loop has; the projects that are held from now on."""
        taken = []
        for ward in self.wards.values():
            if not ward.take(now, every, once=once):
                continue
            assert ward.watched is not None
            if ward.lock is None:
                if ward.holder:
                    self._journal.tell("held", ward.name, says=f"held by {ward.holder}; waiting")
                else:
                    self._journal.tell("fault", ward.name, **told_fault(ward))
                continue
            ward.claimed = ward.watched.ledger_file is not None
            self._journal.tell("taken", ward.name)
            taken.append(ward)
        return taken

    def see_ledgers(self) -> None:
        """See what moved; of ledgers on database servers, also what is this loop's."""
        self._heads.refresh(one.watched for one in self.wards.values() if one.watched is not None)
        wanted: dict[str, list[Ward]] = {}
        for ward in self.wards.values():
            if ward.lock is not None and ward.watched and ward.watched.ledger_file is None:
                wanted.setdefault(ward.watched.ledger, []).append(ward)
        for url in self._servers.keys() - wanted.keys():
            self._servers.pop(url).close()
        for url, wards in wanted.items():
            server = self._servers.setdefault(url, Server(url))
            was = server.away
            held = server.refresh(sorted({ward.name for ward in wards}))
            if server.away and not was:
                self._journal.tell("ledger_away", says=server.away)
            if was and not server.away:
                self._journal.tell("ledger_back")
            for ward in wards:
                self._note_claim(ward, held)

    def _note_claim(self, ward: Ward, held: dict[str, str] | None) -> None:
        if held is None:
            ward.claimed, ward.state, ward.signs = False, "away", None
            return
        holder = held.get(ward.name, "")
        if holder and holder != ward.holder:
            self._journal.tell("held", ward.name, says=f"held by {holder}; waiting")
        ward.holder, ward.claimed = holder, not holder
        if ward.state in ("away", "held", "new") or holder:
            ward.state = "held" if holder else "idle"


def told_fault(ward: Ward) -> dict[str, Any]:
    """A project's fault, for the journal."""
    fault = ward.fault or {}
    said = ". ".join(str(fault[name]) for name in ("what", "why") if fault.get(name))
    return {"says": said, "error": dict(fault)}
