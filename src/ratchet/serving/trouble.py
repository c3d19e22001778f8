"""What keeps the server from what the ledger says, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.ids import digest_of
from ratchet.ledger.traffic import Pinned, Traffic
from ratchet.serving.resident import Stamp, stamp_of

if TYPE_CHECKING:
    from ratchet.alerts.messages import Message
    from ratchet.alerts.settings import Occasion
    from ratchet.ledger.served import ServedLedger
    from ratchet.serving.site import Site


FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=10)
"""How long a version that did not load waits before it is tried again, at first and at last."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps the server from what the ledger says.

    Attributes:
        version: the version that does not load; None: the ledger cannot be used.
        record: the number of the record that wants it.
    """

    version: int | None
    record: int | None
    what: str
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


@dataclass(slots=True)
class _Failure:
    """A version that did not load: from what files, how often, and when it is tried again."""

    trouble: Trouble
    record: int
    stamp: Stamp
    due: float
    tries: int
    told: bool


class Failures:
    """The versions that did not load.

    Args:
        on_trouble: is told of each once, and again when something else is wrong with it.
    """

    def __init__(self, site: Site, on_trouble: Callable[[Trouble], None]) -> None:
        self._site, self._on_trouble = site, on_trouble
        self._kept: dict[int, _Failure] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong with each."""
        return tuple(failure.trouble for failure in list(self._kept.values()))

    def rests(self, pinned: Pinned) -> bool:
        """Whether the version did not load, and nothing says that it would now."""
        failure = self._kept.get(pinned.version)
        if failure is None or clock.monotonic() >= failure.due:
            return False
        return failure.stamp == stamp_of(self._site.state / pinned.bundle_path)

    def note(self, traffic: Traffic, number: int, error: Exception) -> None:
        """A version of a record did not load."""
        stamp = stamp_of(self._site.state / traffic.pinned[number].bundle_path)
        fix = error.fix if isinstance(error, RatchetError) else ""
        what = f"Version {number} does not load; what served before goes on"
        trouble = Trouble(number, traffic.seq, what, cause_of(error), fix)
        before = self._kept.get(number)
        tries = 1 if before is None else before.tries + 1
        wait = min(FIRST_WAIT * 2 ** min(tries - 1, 10), LONGEST_WAIT).total_seconds()
        due = clock.monotonic() + wait
        told = before is not None and before.told
        self._kept[number] = _Failure(trouble, traffic.seq, stamp, due, tries, told)
        if before is None or before.trouble != trouble:
            self._on_trouble(trouble)

    def forget(self, number: int) -> None:
        """A version loaded."""
        self._kept.pop(number, None)

    def clear(self) -> None:
        """There is another record."""
        self._kept.clear()

    def tell(self, ledger: ServedLedger) -> None:
        """Keep an event, and an alert in the outbox, of each that is not told of yet.

        Raises:
            RatchetError: the ledger cannot be written.
        """
        for number, failure in self._kept.items():
            if not failure.told:
                notices = partial(notices_of, self._site, failure.trouble)
                ledger.note_serving(failure.record, number, failure.trouble.why, notices)
                failure.told = True


def cause_of(error: Exception) -> str:
    """What went wrong in a line, without the values it went wrong with."""
    if isinstance(error, RatchetError):
        return f"{error.what}: {error.why}" if error.why else error.what
    return type(error).__name__


def notices_of(site: Site, trouble: Trouble, seq: int) -> tuple[Message, ...]:
    """The alerts that tell of a trouble, whose event has the number ``seq``."""
    reason = f"{trouble}. {trouble.fix}".strip()
    facts = {"version": trouble.version, "record": trouble.record, "event": seq}
    return _numbered(site, "unhealthy", reason, facts, seq)


def recovery_of(site: Site, version: int, record: int, seq: int) -> tuple[Message, ...]:
    """The alerts that tell that a version loads after all, by the event of the number ``seq``."""
    facts = {"version": version, "record": record, "event": seq}
    return _numbered(site, "recovered", f"Version {version} loads and serves again.", facts, seq)


def _numbered(
    site: Site, occasion: Occasion, reason: str, facts: Mapping[str, object], seq: int
) -> tuple[Message, ...]:
    from ratchet.alerts.messages import compose

    messages = compose(
        site.alerts,
        occasion,
        project=site.project,
        reason=reason,
        at=clock.now(),
        facts=facts,
        topic=f"serving version {facts['version']}",
    )
    # Two troubles of one second are two pieces of news.
    return tuple(
        replace(each, key=digest_of([site.project, "serving", seq, each.channel])[:32])
        for each in messages
    )
