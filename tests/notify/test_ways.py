"""A webhook and e-mail: what arrives, what is refused, and that no secret gets out."""

import shutil
import ssl
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from hpo import redact
from hpo.errors import UsageError
from hpo.notify import check
from hpo.notify.herald import _within
from hpo.notify.ways import Email, Undelivered, Webhook, wanted, ways
from hpo.study_notify import Notify
from tests.cli.run import TINY, call
from tests.conftest import Require
from tests.notify.receivers import mail_server, webhook
from tests.study.files import write

NOTICE: dict[str, Any] = {"text": "Study s has finished", "study": "s", "kind": "finished", "at": 0.0, "best": None}
SECRET = "very-secret-token"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test calls a secret is none in the next."""
    monkeypatch.setattr(redact, "_secrets", set())


def test_a_webhook_hears_it() -> None:
    """JSON with `text` for a chat beside our fields, and the event's id as a header."""
    with webhook() as hook:
        Webhook(hook.url).deliver("e1", NOTICE, 5)
    assert hook.heard == [("e1", NOTICE)]


def test_a_chat_shows_what_was_said() -> None:
    """An error's text calls nobody in a chat and leads nowhere: Slack's three letters are escaped, in `text` alone."""
    said = "TypeError: '<' not supported & <!channel> <https://example.org|your log>"
    with webhook() as hook:
        Webhook(hook.url).deliver("e1", NOTICE | {"text": said, "study": "a<b"}, 5)
    ((_, heard),) = hook.heard
    assert heard["text"] == (
        "TypeError: '&lt;' not supported &amp; &lt;!channel&gt; &lt;https://example.org|your log&gt;"
    )
    assert heard["study"] == "a<b"


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        (500, "127.0.0.1 answered 500", 30.0),
        (302, "127.0.0.1 answered 302", 30.0),
        ("hang", "127.0.0.1 could not be reached: ", 1.0),
    ],
)
def test_a_webhook_that_does_not_take_it(status: int | str, said: str, seconds: float) -> None:
    """An error, a redirect (to a file, even) and silence: not delivered, in words without the address's secret."""
    with webhook() as hook:
        hook.statuses = [status]
        with pytest.raises(Undelivered, match=said) as raised:
            Webhook(hook.url).deliver("e1", NOTICE, seconds)
        hook.wait(1)
        assert len(hook.heard) == 1
    assert SECRET not in str(raised.value)


def test_a_server_that_drips_holds_up_nobody() -> None:
    """A byte now and then keeps a connection alive for ever: the whole delivery has a limit."""
    with webhook() as hook:
        hook.statuses = ["drip"]
        began = time.monotonic()
        with pytest.raises(Undelivered, match=r"no answer within 0\.5 s"):
            _within(0.5, lambda: Webhook(hook.url).deliver("e1", NOTICE, 60))
        assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://h/x", "h/x", "http:///x", "https://h:x/y", "http://h/a b"]
)
def test_only_addresses_of_the_web(url: str) -> None:
    """No other scheme, no host that is none; the message does not show what stands there."""
    with pytest.raises(UsageError, match="accepted: http:// or https://") as raised:
        Webhook(url)
    assert url not in str(raised.value)


def mail(port: int, **more: Any) -> Notify:
    """To two people by a server on the loopback."""
    return Notify(
        email_to=("ada@example.org", "bob@example.org"), email_from="hpo@example.org", smtp_host="127.0.0.1",
        smtp_port=port, **{"smtp_tls": "none", **more},
    )  # fmt: skip


def test_a_mail_arrives() -> None:
    """To everybody, with the text, all fields, and the event's id as the message's."""
    with mail_server() as box:
        Email(mail(box.port), None).deliver("e1", NOTICE, 5)
    (text,) = box.mails
    for line in (
        "Subject: hpo: study s: finished",
        "Message-ID: <e1@hpo.invalid>",
        "Study s has finished",
        '"best": null',
    ):
        assert line in text
    assert [line for line in box.commands if line.startswith("rcpt")] == [
        "rcpt TO:<ada@example.org>",
        "rcpt TO:<bob@example.org>",
    ]


def test_no_password_without_tls() -> None:
    """A server that does not offer TLS gets neither user nor password, and no mail."""
    with mail_server() as box:
        notify = mail(box.port, smtp_tls="starttls", smtp_user="hpo", smtp_password_env="HPO_X")
        with pytest.raises(Undelivered, match="did not take the mail: SMTPNotSupportedError"):
            Email(notify, SECRET).deliver("e1", NOTICE, 5)
    assert box.mails == []
    assert not any("AUTH" in line or SECRET in line for line in box.commands)


def certificate(folder: Path) -> Path:
    """One for 127.0.0.1 that signs itself, with its key, in one file."""
    file = folder / "server.pem"
    subject = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(file), "-out", str(file.with_suffix(".crt"))]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def test_a_password_goes_through_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require: Require) -> None:
    """User and password are said once the line is encrypted, to a server that proves who it is; else not at all."""
    require(shutil.which("openssl"), "needs openssl (Debian: apt-get install openssl)")
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with mail_server(context) as box:
        email = Email(mail(box.port, smtp_tls="starttls", smtp_user="hpo", smtp_password_env="HPO_X"), SECRET)
        with pytest.raises(Undelivered, match=r"its certificate is not to be trusted: self.signed"):
            email.deliver("e1", NOTICE, 5)
        assert not any(line.startswith("AUTH") for line in box.commands)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        email.deliver("e1", NOTICE, 5)
        words = [line.split()[0].upper() for line in box.commands]
        assert words.index("STARTTLS") < words.index("AUTH") < words.index("DATA")
        assert box.commands[words.index("AUTH")] == "AUTH PLAIN " + b64encode(f"\0hpo\0{SECRET}".encode()).decode()
    assert len(box.mails) == 1


def test_a_mail_that_is_refused() -> None:
    """Not delivered; the server's own words are not repeated."""
    with mail_server() as box:
        box.refuse = "550"
        with pytest.raises(Undelivered, match="did not take the mail: SMTPRecipientsRefused") as raised:
            Email(mail(box.port), None).deliver("e1", NOTICE, 5)
    assert "secret reason" not in str(raised.value)


def test_secrets_come_from_files_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path counts from the study file's folder; one that cannot be read leaves the other ways open."""
    (tmp_path / "hook").write_text("https://hooks.example.org/T0/very-secret-token\n")
    (tmp_path / "hook").chmod(0o600)
    monkeypatch.setenv("HPO_MAIL", "mail-secret-token")
    both = mail(25, webhook_file="hook", smtp_user="u", smtp_password_env="HPO_MAIL", smtp_tls="tls")
    found, problems = ways(both, tmp_path)
    assert (list(found), problems) == (["webhook", "email"], [])
    for secret in (SECRET, "mail-secret-token", "https://hooks.example.org"):
        text = "".join(repr(way) + str(vars(way).get("_notify")) for way in found.values())
        assert secret not in text
    assert redact.scrub("to https://hooks.example.org/T0/very-secret-token as mail-secret-token") == "to *** as ***"
    monkeypatch.delenv("HPO_MAIL")
    found, problems = ways(both, tmp_path)
    assert list(found) == ["webhook"]
    assert problems == ["notify.smtp_password_env: the variable HPO_MAIL is not set"]
    with pytest.raises(UsageError, match="HPO_MAIL is not set"):
        check(both, tmp_path)


def test_variables_take_the_place_of_the_file() -> None:
    """Key by key; a way to give a secret replaces the other ways to give it."""
    notify = Notify(webhook_file="hook", stuck_minutes=5, on=("stuck",))
    found = wanted(notify, {"webhook": "https://x", "on": "finished, failed", "smtp_host": "h", "email_to": "a@b,c@d"} |
                   {"email_from": "x@y", "smtp_port": "2525"})  # fmt: skip
    assert (found.webhook_file, found.webhook_env, found.stuck_minutes) == (None, "HPO_NOTIFY_WEBHOOK", 5)
    assert (found.on, found.email_to, found.port) == (("finished", "failed"), ("a@b", "c@d"), 2525)
    assert wanted(notify, {}) == notify


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"webhok": "x"}, "unknown variable HPO_NOTIFY_WEBHOK; did you mean 'webhook'"),
        ({"smtp_port": SECRET}, "notify: cannot use HPO_NOTIFY_SMTP_PORT"),
        ({"smtp_host": "h"}, "notify: e-mail needs email_to and smtp_host"),
    ],
)
def test_wrong_variables(environment: dict[str, str], said: str) -> None:
    """They are named; what they hold is not shown."""
    with pytest.raises(UsageError) as raised:
        wanted(Notify(), environment)
    assert str(raised.value).startswith(said)
    assert SECRET not in str(raised.value)


def test_a_launch_that_could_tell_nobody_is_refused(tmp_path: Path) -> None:
    """A file that is not there, beside the study file: exit code 2, and no database is made."""
    study = write(tmp_path, TINY | {"notify": {"webhook_file": "nowhere"}})
    url = f"sqlite:///{tmp_path / 'hpo.db'}"
    run = call("launch", study, "--storage", url, "--cache", tmp_path / "cache", "--artifacts", tmp_path / "a")
    assert run.code == 2
    assert f"notify.webhook_file: cannot read {tmp_path / 'nowhere'}: No such file or directory" in run.err
    assert not (tmp_path / "hpo.db").exists()
