"""Who may ask the server for what: API keys, their scopes, and how often."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ratchet.errors import ConfigError, EnvironmentFault
from ratchet.serving.http import ProblemError
from ratchet.serving.limits import RateLimit, address_group
from ratchet.serving.settings import LOOPBACK

if TYPE_CHECKING:
    from ratchet.ledger.keys import Key
    from ratchet.ledger.served import ServedLedger
    from ratchet.ledger.store import Ledger
    from ratchet.serving.http import Request, Scope
    from ratchet.serving.settings import ServingSettings

_KEY = re.compile(rb"rk_([0-9a-f]{8})_[0-9a-f]{64}\Z")
_NOBODY = bytes(32)


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks.

    Attributes:
        name: what is counted and logged: a key's id, or an address; never a secret.
        key_id: the key's public part; None for an address.
        scopes: what is open to them.
    """

    name: str
    key_id: str | None
    scopes: frozenset[str]


def issue_key(ledger: Ledger, name: str, scopes: Sequence[str], *, by: str) -> tuple[Key, str]:
    """Make an API key of 256 random bits.

    Returns:
        What is kept of it, and the key itself: it is nowhere else and cannot be found again.

    Raises:
        UsageError, ConflictError: see ``Ledger.add_key``.
    """
    key_id = secrets.token_hex(4)
    secret = f"rk_{key_id}_{secrets.token_hex(32)}"
    return ledger.add_key(key_id, name, scopes, _digest(secret.encode()).hex(), by=by), secret


def require_keys(settings: ServingSettings, keys: Sequence[Key]) -> None:
    """Refuse to be reachable from other machines without a key.

    Raises:
        ConfigError: a key is needed, and there is no live one.
    """
    local = is_loopback(settings.host)
    if any(key.live for key in keys) or (local and settings.keys == "auto" and not keys):
        return
    if not local:
        what = f"Serving on {settings.host} needs an API key, and there is none"
        why = "any address but loopback can be reached from other machines"
    else:
        what = "Serving needs an API key, and there is none"
        why = "every key was revoked" if keys else "serving.keys is `required`"
    raise ConfigError(
        what,
        why=why,
        fix="make one: ratchet keys create NAME --scope predict --scope feedback",
        where="serving.host" if not local else "serving.keys",
        code="no_api_key",
    )


def is_loopback(host: str) -> bool:
    """Whether an address, as it is written in settings or a ``Host``, is this machine only."""
    host = host.strip("[]").lower()
    return host in LOOPBACK or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


class Keyring:
    """The live keys, as of the last look at the ledger.

    While the ledger is away the keys stay as they were. Once there was a key, one is asked for:
    revoking the last one opens nothing.

    Args:
        always: whether keys are asked for when there never was one.
        on_trouble: is told, in a sentence, of what keeps the keys from being read.
    """

    def __init__(
        self,
        ledger: ServedLedger,
        *,
        always: bool,
        on_trouble: Callable[[str], None] = lambda told: None,
    ) -> None:
        self._ledger, self._always, self._on_trouble = ledger, always, on_trouble
        self._known: dict[bytes, tuple[bytes, Caller]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.required = True
        self.replace(ledger.api_keys())

    def replace(self, keys: Sequence[Key]) -> None:
        """Take over what the ledger holds."""
        self._known = {
            key.key_id.encode(): (
                bytes.fromhex(key.digest),
                Caller(key.key_id, key.key_id, frozenset(key.scopes)),
            )
            for key in keys
            if key.live
        }
        self.required = self._always or bool(keys)

    def find(self, key: bytes) -> Caller | None:
        """Whose key this is. Takes as long for a wrong secret as for a right one."""
        match = _KEY.match(key)
        digest, caller = self._known.get(match.group(1) if match else b"", (_NOBODY, None))
        return caller if hmac.compare_digest(_digest(key), digest) else None

    def start(self, poll: float) -> None:
        """Look at the ledger every ``poll`` seconds, in a thread, until ``stop``."""
        self._thread = threading.Thread(
            target=self._watch, args=(poll,), name="ratchet-keys", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, poll: float) -> None:
        while not self._stop.wait(poll):
            try:
                self.replace(self._ledger.api_keys())
            except EnvironmentFault:
                continue  # the residence, which asks the ledger too, tells that it is away
            except Exception as error:  # noqa: BLE001 - the thread's edge: it must go on looking
                self._on_trouble(f"The API keys could not be read: {type(error).__name__}")


class Guard:
    """Lets requests in, or refuses them.

    Args:
        keyring: the keys.
        rate: requests per second for each key, or address without one; None is no limit.
    """

    def __init__(self, keyring: Keyring, rate: float | None = None) -> None:
        self._keyring = keyring
        self._limit = None if rate is None else RateLimit(rate)

    def admit(self, request: Request, scope: Scope | None) -> None:
        """Note who asks in ``request.caller``.

        Args:
            scope: what the caller must be allowed; None lets everybody in, uncounted.

        Raises:
            ProblemError: 401 no or a wrong key, 403 not allowed to this one, 429 too often.
        """
        if scope is None:
            return
        key = _key_of(request.headers)
        if not self._keyring.required:
            _refuse_strangers(request.headers)
            self._admit_anybody(request)
            return
        caller = None if key is None else self._keyring.find(key)
        if caller is None:
            self._count(address_group(request.client))
            raise _key_missing() if key is None else _key_unknown()
        self._count(caller.name)
        if scope not in caller.scopes and "admin" not in caller.scopes:
            raise ProblemError(
                403,
                "scope_missing",
                f"This key does not have the scope `{scope}`",
                fix=f"ratchet keys create NAME --scope {scope}",
            )
        request.caller = caller

    def _admit_anybody(self, request: Request) -> None:
        address = address_group(request.client)
        self._count(address)
        request.caller = Caller(address, None, _EVERYTHING)

    def _count(self, name: str) -> None:
        wait = 0.0 if self._limit is None else self._limit.take(name)
        if wait:
            raise ProblemError(
                429,
                "too_many_requests",
                "Too many requests",
                why="serving.rate is the limit for each key or address",
                fix="wait as long as Retry-After says",
                retry_after=math.ceil(wait),
            )


_EVERYTHING = frozenset({"predict", "feedback", "read", "admin"})
_ASK = ((b"www-authenticate", b'Bearer realm="ratchet"'),)


def _key_missing() -> ProblemError:
    return ProblemError(
        401,
        "key_missing",
        "This server asks for an API key",
        fix="send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
        headers=_ASK,
    )


def _key_unknown() -> ProblemError:
    return ProblemError(
        401,
        "key_unknown",
        "This API key opens nothing",
        why="it is wrong or was revoked",
        fix="make a new one: ratchet keys create NAME --scope predict",
        headers=_ASK,
    )


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _key_of(headers: dict[bytes, bytes]) -> bytes | None:
    told = headers.get(b"authorization")
    if told is not None and told[:7].lower() == b"bearer ":
        return told[7:].strip()
    return headers.get(b"x-api-key")


def _refuse_strangers(headers: dict[bytes, bytes]) -> None:
    """Without keys, only programs of this machine may ask, and no page of another site.

    A browser sends a page's requests to loopback too: straight away, where the body claims to be
    plain text, or under the page's own name, where that name was pointed to 127.0.0.1 (DNS
    rebinding). Both would let any page on the web write feedback.
    """
    host = headers.get(b"host")
    origin = headers.get(b"origin")
    if host is not None and not is_loopback(_name_of(host)):
        told = "The server is asked for under a name that is not this machine's"
    elif origin is not None and not is_loopback(_name_of(origin.partition(b"://")[2])):
        told = "The request comes from a page of another site"
    else:
        return
    raise ProblemError(
        403,
        "stranger",
        told,
        why="without API keys only programs of this machine may ask",
        fix="make a key: ratchet keys create NAME --scope predict",
    )


def _name_of(place: bytes) -> str:
    """``host`` of ``host:port`` or ``[host]:port``."""
    text = place.decode("latin-1")
    return text.partition("]")[0] if text.startswith("[") else text.rpartition(":")[0] or text
