"""Alerts by e-mail over SMTP: with TLS from the start (smtps), by STARTTLS, or on a local relay.

``smtp://user:password@host:587?to=team@example.org,boss@example.org&from=ratchet@example.org``;
``tls=required`` (the default when there is a password), ``auto`` or ``off``.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.rendering import render_html, render_text, render_title

Tls = Literal["required", "auto", "off"]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail server and who gets the mail.

    Attributes:
        direct: TLS from the first byte (smtps).
        tls: whether an open connection must be, may be, or is not made secret by STARTTLS.
        timeout: seconds for each exchange.
    """

    host: str
    port: int
    to: tuple[str, ...]
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    direct: bool = False
    tls: Tls = "auto"
    timeout: float = 5.0

    def send(self, body: Mapping[str, Any], key: str) -> None:
        """Send one mail; its Message-ID is made of the key, so a repetition can be told.

        Raises:
            DeliveryFailed: the server does not answer, or refuses us or a recipient.
        """
        try:
            with self._connect() as server:
                refused = server.send_message(self._write(body, key))
        except smtplib.SMTPResponseException as error:
            raise DeliveryFailed(
                f"{self.host}:{self.port} answered {error.smtp_code} ({_kind(error)})"
            ) from None
        except (smtplib.SMTPException, UnicodeError) as error:
            raise DeliveryFailed(f"{self.host}:{self.port}: {_kind(error)}") from None
        except OSError as error:
            raise DeliveryFailed(
                f"{self.host}:{self.port}: {error.strerror or _kind(error)}"
            ) from None
        if refused:
            raise DeliveryFailed(
                f"{self.host}:{self.port} refused {len(refused)} of {len(self.to)} recipients"
            )

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.direct:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.timeout, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        try:
            server.ehlo()
            if not self.direct and self.tls != "off":
                self._start_tls(server, context)
            if self.user:
                self._login(server)
        except BaseException:
            server.close()
            raise
        return server

    def _login(self, server: smtplib.SMTP) -> None:
        try:
            server.login(self.user, self.password)
        except smtplib.SMTPServerDisconnected:
            # Some servers hang up on a wrong password instead of answering 535.
            raise DeliveryFailed(f"{self.host}:{self.port} hung up at the login") from None

    def _start_tls(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        if server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif self.tls == "required":
            raise DeliveryFailed(
                f"{self.host}:{self.port} offers no TLS, so the password was not sent; "
                "use smtps://, or add tls=off to the address"
            )

    def _write(self, body: Mapping[str, Any], key: str) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = render_title(body)[:150]
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{key}@ratchet>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday reply comes back
        mail.set_content(render_text(body) + "\n")
        mail.add_alternative(render_html(body), subtype="html")
        return mail


def open_mail(url: str, timeout: float) -> Mail:
    """The mail channel behind an address.

    Raises:
        DeliveryFailed: the address names no server or nobody to write to.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise DeliveryFailed("the mail address cannot be read") from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    to = tuple(item.strip() for item in options.get("to", "").split(",") if item.strip())
    if not host or not to:
        raise DeliveryFailed("the mail address needs a server and ?to=somebody@example.org")
    user = unquote(parts.username or "")
    direct = parts.scheme.lower() == "smtps"
    return Mail(
        host=host,
        port=port or (465 if direct else 587),
        to=to,
        sender=options.get("from") or (user if "@" in user else to[0]),
        user=user,
        password=unquote(parts.password or ""),
        direct=direct,
        tls=_tls(options.get("tls", ""), secret=bool(user)),
        timeout=timeout,
    )


def _tls(text: str, *, secret: bool) -> Tls:
    if text == "off":
        return "off"
    return "required" if text == "required" or (secret and text != "auto") else "auto"


def _kind(error: BaseException) -> str:
    return type(error).__name__
