"""The ways to tell: a webhook and e-mail. Secrets are read here, and appear nowhere else, in no message either."""

import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from html import escape
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import ValidationError

from hpo import redact, settings
from hpo.errors import UsageError, nearest
from hpo.store.address import read_secret
from hpo.study_notify import Notify

SECRET_LETTERS = 16  # of an address's path; a shorter one is no secret, but may be part of ordinary words
MOST_BYTES = 1 << 16  # of an answer, which nobody reads any further
_INLINE = {"webhook": "webhook_env", "smtp_password": "smtp_password_env"}  # variables that hold the secret itself
_LISTS = ("on", "email_to")


class Undelivered(Exception):
    """It did not arrive; the message says why, without secrets."""


class Way(Protocol):
    """One way to tell.

    Attributes:
        name: of its rows in the outbox.
    """

    name: str

    def deliver(self, event: str, notice: Mapping[str, Any], seconds: float) -> None:
        """Tells it. Each step takes so many seconds at most.

        Raises:
            Undelivered: it may not have arrived.
        """


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follows none: the address was given for this very place."""


class Webhook:
    """An address that takes JSON.

    Args:
        url: a secret.

    Raises:
        UsageError: it is no address of http or https.
    """

    name = "webhook"

    def __init__(self, url: str) -> None:
        redact.remember(url)
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            fine = False
        if not fine or not url.isprintable() or " " in url:
            raise UsageError("notify: the webhook's address is none; accepted: http:// or https://, a host, a path")
        for secret in (parts.path, parts.query):
            if len(secret) >= SECRET_LETTERS:
                redact.remember(secret)
        redact.remember(parts.password)
        self._url = url
        self._host = parts.hostname
        self._opener = urllib.request.build_opener(_NoRedirect)

    def deliver(self, event: str, notice: Mapping[str, Any], seconds: float) -> None:
        """Posts it. A redirect is not followed."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": event, "User-Agent": "hpo"}
        # as chats show it as it is: https://docs.slack.dev/messaging/formatting-message-text#escaping
        body = json.dumps({**notice, "text": escape(notice.get("text", ""), quote=False)}).encode()
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - looked at above
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                answer.read(MOST_BYTES)
        except urllib.error.HTTPError as error:
            error.close()
            raise Undelivered(f"{self._host} answered {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Undelivered(f"{self._host} could not be reached: {_kind(error)}") from error


class Email:
    """A mail server.

    Args:
        notify: with everything that e-mail needs.
        password: None where the server wants none.
    """

    name = "email"

    def __init__(self, notify: Notify, password: str | None) -> None:
        redact.remember(password)
        self._notify = notify
        self._password = password

    def deliver(self, event: str, notice: Mapping[str, Any], seconds: float) -> None:
        """Hands it to the server, with the event's id as that of the message."""
        wanted = self._notify
        host, context = wanted.smtp_host or "", ssl.create_default_context()
        try:
            if wanted.smtp_tls == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(host, wanted.port, timeout=seconds, context=context)
            else:
                server = smtplib.SMTP(host, wanted.port, timeout=seconds)
            with server:
                if wanted.smtp_tls == "starttls":
                    server.starttls(context=context)
                if wanted.smtp_user and self._password:
                    server.login(wanted.smtp_user, self._password)
                refused = server.send_message(self._message(event, notice))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise Undelivered(f"{host} did not take the mail: {_kind(error)}") from error
        if refused:
            raise Undelivered(f"{host} refused {len(refused)} of {len(wanted.email_to)} addresses")

    def _message(self, event: str, notice: Mapping[str, Any]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = f"hpo: study {notice['study']}: {notice['kind']}"
        message["From"] = self._notify.email_from or self._notify.smtp_user
        message["To"] = ", ".join(self._notify.email_to)
        message["Date"] = formatdate(notice["at"])
        message["Message-ID"] = f"<{event}@hpo.invalid>"
        rest = {key: value for key, value in notice.items() if key != "text"}
        message.set_content(f"{notice['text']}\n\n{json.dumps(rest, indent=2)}\n")
        return message


def _kind(error: BaseException) -> str:
    """What went wrong, in words that hold no address and no answer of the server's."""
    inner = getattr(error, "reason", None)  # urllib wraps what went wrong
    found = inner if isinstance(inner, BaseException) else error
    match found:
        case smtplib.SMTPResponseException():
            return f"it answered {found.smtp_code}"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not to be trusted: {found.verify_message}"
        case OSError() if found.strerror:
            return found.strerror
    return type(found).__name__


def wanted(notify: Notify, environment: Mapping[str, str]) -> Notify:
    """What the study file says, with what the variables HPO_NOTIFY_... say in its place.

    Raises:
        UsageError: a variable that there is not, or that says something wrong. The message shows no value.
    """
    raw = {key: value for key, value in notify.model_dump().items() if key in notify.model_fields_set}
    known = [*Notify.model_fields, *_INLINE]
    for key, value in environment.items():
        if key not in known:
            raise UsageError(f"unknown variable HPO_NOTIFY_{key.upper()}; {nearest(key, known)}")
        secret = key.removesuffix("_file").removesuffix("_env")
        if secret in _INLINE:  # one way to give a secret takes the place of the others
            for other in (f"{secret}_file", f"{secret}_env"):
                raw.pop(other, None)
        if key in _INLINE:
            raw[_INLINE[key]] = f"HPO_NOTIFY_{key.upper()}"
        else:
            raw[key] = tuple(filter(None, map(str.strip, value.split(",")))) if key in _LISTS else value
    try:
        return Notify.model_validate(raw, strict=False)
    except ValidationError as error:
        places = sorted({f"HPO_NOTIFY_{str(found['loc'][0]).upper()}" for found in error.errors() if found["loc"]})
        said = [str(found["ctx"]["error"]) for found in error.errors() if found["type"] == "value_error"]
        raise UsageError(f"notify: {'; '.join(said or [f'cannot use {place}' for place in places])}") from None


def ways(notify: Notify, base: Path) -> tuple[dict[str, Way], list[str]]:
    """The ways that can be gone from here, by name, and what is wrong with the others.

    Args:
        notify: see `wanted`.
        base: folder from which relative paths count.
    """
    found: dict[str, Way] = {}
    problems = []
    try:
        if (url := _secret(notify, "webhook", base)) is not None:
            found["webhook"] = Webhook(url)
    except UsageError as error:
        problems.append(str(error))
    try:
        if notify.email_to:
            found["email"] = Email(notify, _secret(notify, "smtp_password", base))
    except UsageError as error:
        problems.append(str(error))
    return found, problems


def asked(notify: Notify) -> bool:
    """Whether anybody is to be told, as far as this process knows.

    Raises:
        UsageError: see `wanted`.
    """
    found = wanted(notify, settings.notify_environment())
    return bool(found.webhook_file or found.webhook_env or found.email_to)


def check(notify: Notify, base: Path) -> None:
    """Refuses what could tell nobody from here.

    Raises:
        UsageError: a secret that cannot be read, or is none.
    """
    _, problems = ways(wanted(notify, settings.notify_environment()), base)
    if problems:
        raise UsageError("; ".join(problems))


def _secret(notify: Notify, name: str, base: Path) -> str | None:
    file, variable = getattr(notify, f"{name}_file"), getattr(notify, f"{name}_env")
    if file is not None:
        return read_secret(base / Path(file).expanduser(), f"notify.{name}_file")
    if variable is None:
        return None
    value = settings.variable(variable)
    if value is None:
        raise UsageError(f"notify.{name}_env: the variable {variable} is not set")
    return value.strip()
