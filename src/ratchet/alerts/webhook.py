"""Alerts by HTTP POST: Slack's incoming webhooks, and anything else that takes JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.settings import host_of


class _NoRedirect(HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without the message: better to say so."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A web address that takes alerts; whoever knows it can post, so it is a secret."""

    url: str = field(repr=False)
    timeout: float = 5.0

    def send(self, body: Mapping[str, Any], key: str) -> None:
        """Post the message as JSON, with its key in the header ``Idempotency-Key``.

        Raises:
            DeliveryFailed: no answer, or none of the 200s.
        """
        host = host_of(self.url)
        try:
            request = Request(  # noqa: S310 - only http and https come here
                self.url,
                data=json.dumps(dict(body), ensure_ascii=False).encode(),
                headers={
                    "Content-Type": "application/json; charset=utf-8",
                    "User-Agent": "ratchet",
                    "Idempotency-Key": key,
                },
                method="POST",
            )
            with build_opener(_NoRedirect).open(request, timeout=self.timeout) as answer:
                answer.read(1024)
        except HTTPError as error:
            error.close()
            raise DeliveryFailed(f"{host} answered {error.code}") from None
        except URLError as error:
            raise DeliveryFailed(f"{host}: {_plain(error.reason)}") from None
        except OSError as error:
            raise DeliveryFailed(f"{host}: {_plain(error)}") from None
        except (HTTPException, ValueError) as error:
            # Their texts quote the address.
            raise DeliveryFailed(f"{host}: {type(error).__name__}") from None


def _plain(reason: object) -> str:
    if isinstance(reason, OSError):
        return reason.strerror or type(reason).__name__
    return type(reason).__name__
