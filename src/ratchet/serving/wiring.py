"""How the parts of a worker are put together; nothing else knows all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.config.durations import parse_duration, parse_size
from ratchet.data.predictions.log import LogPolicy, PredictionLog
from ratchet.errors import RatchetError
from ratchet.ids import digest_of
from ratchet.serving.app import App, make_app
from ratchet.serving.auth import Guard, Keyring, is_loopback
from ratchet.serving.courier import Courier
from ratchet.serving.health import Health
from ratchet.serving.http import Answer, Request, Routes
from ratchet.serving.lookup import Lookup
from ratchet.serving.metrics import Later, Metrics
from ratchet.serving.openapi import Description
from ratchet.serving.protocols.mlflow import MlflowProtocol
from ratchet.serving.protocols.open_inference import OpenInferenceProtocol
from ratchet.serving.protocols.ratchet import RatchetProtocol
from ratchet.serving.residence import Residence
from ratchet.serving.service import Service

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from ratchet.ledger.served import ServedLedger
    from ratchet.serving.board import Board
    from ratchet.serving.settings import ServingSettings
    from ratchet.serving.site import Site
    from ratchet.serving.trouble import Trouble

Access = Callable[[Request, Answer, float], None]
_SAME_NEWS = 600.0
"""Seconds in which workers that see the same trouble send one alert."""


def assemble(
    site: Site,
    board: Board,
    *,
    tell: Callable[[str], None] = lambda told: None,
    access: Access | None = None,
    deliver: Callable[[ServedLedger], object] | None = None,
    watch: Callable[[ServedLedger], Collector] | None = None,
) -> Plant:
    """Everything that one process needs to answer requests, loaded and proven.

    Args:
        board: the numbers that the processes of the server share.
        tell: writes a line for people.
        access: is told of every request after its answer.
        deliver: sends the alerts that wait in the ledger.
        watch: makes of the ledger more to tell in the metrics; called in a thread soon after the
            start, or when they are asked for before.

    Raises:
        EnvironmentFault: the ledger or the log's folder cannot be used.
    """
    ledger = site.open_ledger()
    try:
        news = _News(site, ledger, tell)
        residence = Residence(site, ledger, news.tell)
        always = site.settings.keys == "required" or not is_loopback(site.settings.host)
        keyring = Keyring(ledger, always=always, on_trouble=tell)
        log = PredictionLog.open(site.log_folder, log_policy(site.settings))
    except BaseException:
        ledger.close()
        raise
    metrics = Metrics()
    metrics.add(board)
    more = None if watch is None else Later(partial(watch, ledger))
    if more is not None:
        metrics.add(more)
    lookup = None if site.id is None else _lookup(site, metrics)
    service = Service(site, residence, log, metrics, lookup, on_trouble=news.alert)
    routes = make_routes(service)
    app = make_app(service, routes, Guard(keyring, site.settings.rate), access=access)
    courier = None
    if deliver is not None and site.alerts:
        courier = Courier(partial(deliver, ledger), tell)
    return Plant(app, service, ledger, residence, keyring, log, lookup, courier, more)


def make_routes(service: Service) -> Routes:
    """Every path that is answered."""
    routes = Routes()
    Health(service).add_to(routes)
    RatchetProtocol(service).add_to(routes)
    MlflowProtocol(service).add_to(routes)
    OpenInferenceProtocol(service).add_to(routes)
    Description(service).add_to(routes)
    return routes


def log_policy(settings: ServingSettings) -> LogPolicy:
    """How the prediction log keeps what it takes."""
    log = settings.log
    return LogPolicy(
        fsync=log.fsync,
        exposure=parse_duration(log.exposure).total_seconds(),
        max_disk=parse_size(log.max_disk),
        age=parse_duration(log.compact).total_seconds(),
    )


@dataclass(frozen=True, slots=True)
class Plant:
    """What answers in one process; see ``worker.Assembly``."""

    app: App
    service: Service
    ledger: ServedLedger
    residence: Residence
    keyring: Keyring
    log: PredictionLog
    lookup: Lookup | None
    courier: Courier | None = None
    more: Later | None = None

    @property
    def serves(self) -> tuple[int | None, str]:
        """The champion's version; or None, and why nothing serves."""
        now, problem = self.residence.now, self.service.unready
        version = None if now is None else now.champion.version
        return version, "" if problem is None else problem.what

    def start(self) -> None:
        """Look at the ledger from now on, and begin what runs beside the requests."""
        poll = parse_duration(self.service.site.settings.poll).total_seconds()
        self.service.start()
        self.residence.start()
        self.keyring.start(poll)
        if self.courier is not None:
            self.courier.start()
        if self.more is not None:
            self.more.start()

    def drain(self) -> None:
        """Say that this process ends: ``/readyz`` sends load balancers elsewhere."""
        self.service.draining = True

    async def stop(self) -> None:
        """End it, with everything that was answered on disk."""
        try:
            await self.service.stop()
        finally:
            self.log.close()
            self.residence.stop()
            self.keyring.stop()
            if self.courier is not None:
                self.courier.stop()
            if self.more is not None:
                self.more.stop()
            if self.lookup is not None:
                self.lookup.close()
            self.ledger.close()


def _lookup(site: Site, metrics: Metrics) -> Lookup:
    settings = site.settings
    return Lookup(
        site.open_features,
        max_age=None if settings.max_age is None else parse_duration(settings.max_age),
        poll=parse_duration(settings.poll).total_seconds(),
        measure=metrics.feature_age,
    )


@dataclass(frozen=True, slots=True)
class _News:
    """Troubles, on the way to people."""

    site: Site
    ledger: ServedLedger
    say: Callable[[str], None]

    def tell(self, trouble: Trouble) -> None:
        """Write a line; whoever found it sees to the alert."""
        self.say(f"{trouble}. {trouble.fix}".strip())

    def alert(self, trouble: Trouble) -> None:
        """Write a line, and keep an alert; beside the requests, as the ledger may be slow."""
        self.tell(trouble)
        threading.Thread(target=self._keep, args=(trouble,), daemon=True).start()

    def _keep(self, trouble: Trouble) -> None:
        from ratchet.alerts.messages import compose

        at = clock.now()
        period = int(at.timestamp() // _SAME_NEWS)
        messages = compose(
            self.site.alerts,
            "unhealthy",
            project=self.site.project,
            reason=f"{trouble}. {trouble.fix}".strip(),
            at=at,
        )
        told = [
            replace(
                each, key=digest_of([self.site.project, trouble.what, period, each.channel])[:32]
            )
            for each in messages
        ]
        try:
            self.ledger.enqueue(told)
        except RatchetError as error:
            self.say(f"An alert could not be kept: {error.what}")
