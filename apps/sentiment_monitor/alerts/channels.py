"""The channels on which alerts are sent. A channel raises OSError if it could not send an alert."""

from __future__ import annotations

import email.message
import hashlib
import http.client
import json
import os
import smtplib
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from apps.sentiment_monitor.alerts.alert import Alert
from apps.sentiment_monitor.errors import UsageError

PASSWORD_VARIABLE = "SENTIMENT_MONITOR_SMTP_PASSWORD"
_TIMEOUT = 20.0


class Channel(Protocol):
    """A way to send alerts."""

    @property
    def name(self) -> str:
        """The name of the channel, which the page shows: nothing secret."""
        ...

    def send(self, alert: Alert) -> None:
        """Sends an alert.

        Raises:
            OSError: It was not sent.
        """
        ...


class FileChannel:
    """Appends alerts to a file, a line of JSON for each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"file {path}"

    def send(self, alert: Alert) -> None:
        """Appends the alert, and waits until the disk has it."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(alert.payload, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


class WebhookChannel:
    """Posts alerts as JSON. The header Idempotency-Key is the same for each attempt at an alert."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"expected --webhook with an address of http or https. Received: {address[:60]}")
        self._address = address
        # Addresses of webhooks often contain a secret.
        self._key = hashlib.sha256(address.encode()).hexdigest()[:8]
        self.name = f"webhook {parts.hostname} {self._key}"

    def send(self, alert: Alert) -> None:
        """Posts the alert, and waits for an answer of success."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{self._key}-{alert.id}-{int(alert.time)}"}
        request = urllib.request.Request(self._address, json.dumps(alert.payload).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"status {error.code}") from None
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from None


class EmailChannel:
    """Sends alerts by SMTP.

    Args:
        server: The address of the server: smtp://HOST:25, smtp+starttls://USER@HOST:587 or smtps://USER@HOST:465. The
            password of the user is in the environment (PASSWORD_VARIABLE).
        sender: The address of the sender.
        to: The addresses of the receivers.
    """

    def __init__(self, server: str, sender: str, to: Sequence[str]) -> None:
        parts = urllib.parse.urlsplit(server)
        if parts.scheme not in ("smtp", "smtp+starttls", "smtps") or not parts.hostname:
            raise UsageError(
                "expected --smtp with smtp://HOST:PORT, smtp+starttls://USER@HOST:PORT or smtps://USER@HOST:PORT. "
                f"Received: {server[:60]}"
            )
        self._security = parts.scheme
        self._host = parts.hostname
        self._port = parts.port or {"smtp": 25, "smtp+starttls": 587, "smtps": 465}[parts.scheme]
        self._user = urllib.parse.unquote(parts.username or "")
        self._sender, self._to = sender, to
        self.name = f"e-mail {', '.join(to)}"

    def send(self, alert: Alert) -> None:
        """Hands the alert to the server."""
        message = email.message.EmailMessage()
        message["Subject"], message["From"], message["To"] = alert.title, self._sender, ", ".join(self._to)
        message["Message-ID"] = f"<alert-{alert.id}-{int(alert.time)}@{self._sender.rpartition('@')[2]}>"
        examples = "\n".join(f"- {example}" for example in alert.details["examples"])
        message.set_content(f"{alert.explanation}\n\n{examples}\n")
        try:
            with self._connect() as client:
                if self._user:
                    client.login(self._user, os.environ.get(PASSWORD_VARIABLE, ""))
                client.send_message(message)
        except smtplib.SMTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from None

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._security == "smtps":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_TIMEOUT, context=context)
        client = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT)
        if self._security == "smtp+starttls":
            client.starttls(context=context)
        return client
