"""Secrets: written ``${NAME}``, read from the environment where they are used, shown nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ratchet.errors import ConfigError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_PARAMETER = re.compile(
    r"((?:password|passwd|pwd|token|secret|key)=)([^&\s]+)", re.IGNORECASE
)


def resolve(text: str, environment: Mapping[str, str], *, where: str) -> str:
    """``text`` with every ``${NAME}`` replaced by the environment variable of that name.

    Raises:
        ConfigError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            raise ConfigError(
                f"The environment variable {name} is not set",
                fix=f"export {name}=... before you start ratchet",
                where=where,
            )
        return environment[name]

    return _REFERENCE.sub(value, text)


def mask(text: str) -> str:
    """``text`` without the password a URL in it may carry; ``${NAME}`` tells nothing and stays."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text.split("://", 1)[0] + "://***"
    host = parts.netloc
    if "@" not in host and not _SECRET_PARAMETER.search(parts.query):
        return text
    if "@" in host:
        login, _, address = host.rpartition("@")
        user, colon, password = login.partition(":")
        # A bare `token@host` is a secret too; `user:***@host` keeps what helps.
        secret = password if colon else user
        hidden = secret if _REFERENCE.fullmatch(secret) else "***"
        host = f"{user}:{hidden}@{address}" if colon else f"{hidden}@{address}"
    query = _SECRET_PARAMETER.sub(_hide_parameter, parts.query)
    return urlunsplit((parts.scheme, host, parts.path, query, parts.fragment))


def _hide_parameter(match: re.Match[str]) -> str:
    name, value = match.group(1), match.group(2)
    return name + (value if _REFERENCE.fullmatch(value) else "***")


def masked(value: Any) -> Any:
    """A JSON-like value in which no URL carries a password."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value
