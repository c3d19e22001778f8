"""The models that are loaded, and the one reference that says what serves now.

The ledger is asked every second whether its record of what serves has changed. What a new record
needs is loaded beside what serves, proven, and put in place at once by one assignment; whoever
holds the old ``Serving`` goes on with it, and the last one to let go of it frees the old models.
A version that does not load changes nothing: the old record stays in force, it is told once, and
tried again when the record or the files change, or after a while.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from ratchet.config.durations import parse_duration
from ratchet.errors import RatchetError, StorageError
from ratchet.ledger.health import FAILED
from ratchet.ledger.traffic import Arm, Traffic
from ratchet.packaging.heap import release_heap
from ratchet.serving.codec import Codec
from ratchet.serving.resident import Resident, known_texts, load_resident
from ratchet.serving.router import Router
from ratchet.serving.trouble import Failures, Trouble, cause_of, recovery_of

if TYPE_CHECKING:
    from ratchet.ledger.served import ServedLedger
    from ratchet.serving.site import Site

Refreshed = Literal["same", "swapped", "failed"]

LOOK_BACK = 20
"""How many earlier records a fresh process goes back to find one that loads."""


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """What serves: a record and its loaded versions. Nothing in it ever changes.

    Attributes:
        residents: the versions of all arms, and the shadows that loaded, by number.
        champion: the champion; of an experiment without it, the first arm's version.
        codec: reads rows as the champion wants them, and takes what only the others read.
        shadows: the versions that answer unseen, in the record's order.
    """

    traffic: Traffic
    residents: Mapping[int, Resident]
    champion: Resident
    codec: Codec
    router: Router
    shadows: tuple[Resident, ...] = ()

    def choose(self, entity: str | None, prediction_id: str) -> tuple[Arm, Resident]:
        """Who answers: always the same arm for an entity, any for a row that names none."""
        arm = self.router.pick(prediction_id if entity is None else entity)
        return arm, self.residents[arm.version]


def leading(traffic: Traffic) -> int:
    """The version whose signature says what a row must hold."""
    versions = traffic.versions
    return traffic.champion if traffic.champion in versions else versions[0]


def assemble(site: Site, traffic: Traffic, residents: Mapping[int, Resident]) -> Serving:
    """A record with its loaded versions, among them those of all arms."""
    first = leading(traffic)
    others = [each.model.signature for number, each in residents.items() if number != first]
    codec = Codec(
        residents[first].model.signature,
        id_column=site.id,
        time_column=site.time,
        target=site.target,
        others=others,
        known=known_texts(residents[first].model),
    )
    shadows = tuple(residents[number] for number in traffic.shadow if number in residents)
    return Serving(traffic, residents, residents[first], codec, Router(traffic), shadows)


class Residence:
    """Loads what the ledger says, and keeps to it.

    ``now`` may be read from any thread at any time; everything else belongs to one thread at a
    time, which a lock sees to.

    Args:
        on_trouble: is told of everything that goes wrong, once each time it begins.
    """

    def __init__(
        self,
        site: Site,
        ledger: ServedLedger,
        on_trouble: Callable[[Trouble], None] = lambda trouble: None,
    ) -> None:
        self._site, self._ledger, self._on_trouble = site, ledger, on_trouble
        self._now: Serving | None = None
        self._wanted: Traffic | None = None
        self._seen: tuple[object, int] | None = None
        self._away: Trouble | None = None
        self._failures = Failures(site, on_trouble)
        self._untold_swap = False
        self._dropped = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.refresh()

    @property
    def now(self) -> Serving | None:
        """What serves; None when nothing does. Take it once and use it for a whole request."""
        return self._now

    @property
    def wanted(self) -> Traffic | None:
        """What the ledger last said is to serve."""
        return self._wanted

    @property
    def ledger_up(self) -> bool:
        """Whether the ledger could be read the last time."""
        return self._away is None

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Everything that is wrong at present."""
        ill = self._failures.troubles
        return ill if self._away is None else (self._away, *ill)

    def refresh(self) -> Refreshed:
        """Look at the ledger, and load and swap when it says something new.

        Returns:
            ``same``: nothing to do; ``swapped``: ``now`` is another one; ``failed``: what the
            ledger says cannot be read, or not all of it be loaded; ``now`` stays as it was.
        """
        with self._lock:
            try:
                self._look()
            except RatchetError as error:
                return self._ledger_lost(error)
            self._away = None
            swapped = self._settle()
            self._tell()
            self._release(swapped)
            if swapped:
                return "swapped"
            return "failed" if self._failures else "same"

    def start(self) -> None:
        """Refresh every ``serving.poll`` in a thread, until ``stop``."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._watch, name="residence", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; what serves stays loaded."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self) -> None:
        seconds = parse_duration(self._site.settings.poll).total_seconds()
        while not self._stop.wait(seconds):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - the thread's edge: it must go on looking
                self._on_trouble(
                    Trouble(None, None, "Looking for a new model failed", cause_of(error))
                )

    def _look(self) -> None:
        """Read the record when it moved, or when the ledger was away and may be another one."""
        identity = self._ledger.database.identity()
        if self._seen is not None and identity != self._seen[0]:
            self._ledger.close()  # its connections still hold the file that was there before
        seen = (identity, self._ledger.position())
        if seen == self._seen and self._away is None:
            return
        if seen[1] == 0 and self._now is not None:
            raise StorageError(
                f"The ledger {self._ledger.place} is empty",
                why="it was replaced by one in which nothing ever served",
                fix="put the ledger back",
                where=self._ledger.place,
            )
        wanted = self._ledger.traffic()
        if _seq(wanted) != _seq(self._wanted):
            self._failures.clear()
        self._wanted, self._seen = wanted, seen

    def _ledger_lost(self, error: RatchetError) -> Refreshed:
        trouble = Trouble(None, None, error.what, error.why, error.fix)
        if self._away is None:
            self._on_trouble(trouble)
        self._away = trouble
        return "failed"

    def _settle(self) -> bool:
        """Make ``now`` what is wanted, as far as it loads; whether it is another one now."""
        wanted, now = self._wanted, self._now
        if wanted is None:
            self._now = None
            return now is not None
        if now is not None and _seq(now.traffic) == wanted.seq and not self._failures:
            return False
        found = self._serving(wanted)
        if found is None and now is None:
            found = self._earlier(wanted)
        if found is None or found is now:
            return False
        self._now = found
        self._untold_swap = True
        return True

    def _release(self, swapped: bool) -> None:
        """A refresh after a swap, when the old models' last requests are done: their memory."""
        if self._dropped and not swapped:
            release_heap()
        self._dropped = swapped

    def _serving(self, traffic: Traffic) -> Serving | None:
        """The record with its versions loaded; None when one that answers does not load.

        A shadow that does not load is left out: it has no say in any answer.
        """
        if any(self._failures.rests(traffic.pinned[number]) for number in traffic.versions):
            return None
        loaded = {number: self._resident(traffic, number) for number in traffic.pinned}
        residents = {number: each for number, each in loaded.items() if each is not None}
        if any(number not in residents for number in traffic.versions):
            return None
        now = self._now
        if now is not None and (now.traffic.seq, now.residents) == (traffic.seq, residents):
            return now
        try:
            return assemble(self._site, traffic, residents)
        except Exception as error:  # noqa: BLE001 - as below
            self._failures.note(traffic, leading(traffic), error)
            return None

    def _earlier(self, wanted: Traffic) -> Serving | None:
        """The newest earlier record that loads: what a process that lived on would serve now."""
        seq = wanted.seq
        for _ in range(LOOK_BACK):
            try:
                traffic = self._ledger.traffic(before=seq)
            except RatchetError:
                return None  # the next refresh finds out that the ledger is away
            if traffic is None:
                return None
            found = self._serving(traffic)
            if found is not None:
                return found
            seq = traffic.seq
        return None

    def _resident(self, traffic: Traffic, number: int) -> Resident | None:
        """The version as it is loaded, or loaded now; None when it does not load."""
        pinned = traffic.pinned[number]
        there = None if self._now is None else self._now.residents.get(number)
        if there is not None and there.pinned == pinned:
            return there
        if self._failures.rests(pinned):
            return None
        try:
            resident = load_resident(self._site, pinned)
        except Exception as error:  # noqa: BLE001 - whatever a bundle does, the old one goes on
            self._failures.note(traffic, number, error)
            return None
        self._failures.forget(number)
        return resident

    def _tell(self) -> None:
        """Keep in the ledger what is news; what cannot be written now is written next time."""
        try:
            if self._untold_swap:
                self._tell_recovered()
                self._untold_swap = False
            self._failures.tell(self._ledger)
        except RatchetError as error:
            self._on_trouble(Trouble(None, None, "An alert could not be kept", error.what))

    def _tell_recovered(self) -> None:
        """What was told of as not loading, by whichever process, and has loaded now."""
        now, wanted = self._now, self._wanted
        if now is None or wanted is None or now.traffic.seq != wanted.seq:
            return
        told = self._ledger.events(kind=FAILED, after=wanted.seq)
        for number in sorted({event.facts["version"] for event in told} & now.residents.keys()):
            notices = partial(recovery_of, self._site, number, wanted.seq)
            self._ledger.note_serving(wanted.seq, number, "", notices)


def _seq(traffic: Traffic | None) -> int | None:
    return None if traffic is None else traffic.seq
