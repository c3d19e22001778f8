"""The server's own description: ``/openapi.json``, and ``/docs``, a page that shows it.

The description is of what serves: its columns and classes, a typical row of its training data as
the example, and what the model answers to that row. The page is the same for everybody and holds
nothing of the model; its script fetches the description with the key that its reader gives.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ratchet.errors import RatchetError
from ratchet.serving.http import Answer, Request, Routes

if TYPE_CHECKING:
    from ratchet.serving.desk import Desk
    from ratchet.serving.service import Service

_PAGE = Path(__file__).with_name("openapi.html")
_HTML = b"text/html; charset=utf-8"


class Description:
    """The two paths; the description is made once for each state of what serves."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._made: tuple[Desk, bytes] | None = None
        self._page: Answer | None = None

    def add_to(self, routes: Routes) -> None:
        """Answer ``/openapi.json`` and ``/docs``."""
        routes.add("GET", "/openapi.json", self.document, "read")
        routes.add("GET", "/docs", self.page, None)

    async def document(self, request: Request) -> Answer:
        """The description of what serves; 503 while nothing does."""
        desk = self._service.desk
        if self._made is None or self._made[0] is not desk:
            # Seldom asked for; the server starts without it.
            from ratchet.serving.openapi_document import describe, served_by

            described = describe(served_by(self._service, desk))
            self._made = desk, msgspec.json.encode(described)
        return Answer(200, self._made[1])

    async def page(self, request: Request) -> Answer:
        """The page."""
        if self._page is None:
            self._page = make_page(_PAGE.read_text(encoding="utf-8"))
        return self._page


def make_page(source: str) -> Answer:
    """The page, allowed to run its own script and style and to ask this server, and no more."""
    script, style = _digest(source, "script"), _digest(source, "style")
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = ((b"content-security-policy", policy.encode()),)
    return Answer(200, source.encode(), _HTML, headers)


def _digest(source: str, tag: str) -> str:
    """What a policy calls the one inline ``script`` or ``style`` of a page."""
    found = re.search(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
    if found is None:
        raise RatchetError(f"The page has no {tag}", where=str(_PAGE))
    digest = hashlib.sha256(found[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
