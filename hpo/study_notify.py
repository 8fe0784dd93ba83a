"""`[notify]` of a study file: who is told when a study ends, fails or gets stuck. No secret stands in it."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hpo.study_table import Positive, Table

Kind = Literal["finished", "failed", "stuck"]
_VARIABLE = r"^HPO_[A-Z0-9_]+$"  # such variables never reach the processes of trials
_ADDRESS = r"^[^@\s,;<>\"()\[\]]+@[^@\s,;<>\"()\[\]]+$"
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_NAMED = "the name of a variable that begins with HPO_"


class Notify(Table):
    """Where to, and of what. A file with a secret lies on the machines of the workers."""

    on: tuple[Kind, ...] = Field(("finished", "failed", "stuck"), description="a list of 'finished', 'failed', 'stuck'")
    stuck_minutes: Positive = Field(30.0, description="a finite number above 0")
    webhook_file: str | None = Field(None, min_length=1, description="the path of a file that holds the address")
    webhook_env: str | None = Field(None, pattern=_VARIABLE, description=_NAMED)
    email_to: tuple[str, ...] = Field((), description="a list of addresses")
    email_from: str | None = Field(None, pattern=_ADDRESS, description="an address")
    smtp_host: str | None = Field(None, pattern=r"^[A-Za-z0-9.:_-]+$", description="a host's name")
    smtp_port: int | None = Field(None, ge=1, le=65535, description="a whole number from 1 to 65535")
    smtp_tls: Literal["starttls", "tls", "none"] = Field("starttls", description="'starttls', 'tls' or 'none'")
    smtp_user: str | None = Field(None, pattern=r"^[^\r\n]+$", description="a user's name")
    smtp_password_file: str | None = Field(None, min_length=1, description="the path of a file that holds the password")
    smtp_password_env: str | None = Field(None, pattern=_VARIABLE, description=_NAMED)

    @field_validator("email_to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not re.fullmatch(_ADDRESS, address):
                raise ValueError(f"got {address!r}; accepted: a list of addresses, each like ada@example.org")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """What belongs together."""
        problems = []
        if self.webhook_file and self.webhook_env:
            problems.append("webhook_file and webhook_env both name an address; give one of them")
        if self.smtp_password_file and self.smtp_password_env:
            problems.append("smtp_password_file and smtp_password_env both name a password; give one of them")
        if bool(self.email_to) != bool(self.smtp_host):
            problems.append("e-mail needs email_to and smtp_host")
        if self.email_to and not (self.email_from or self.smtp_user):
            problems.append("e-mail needs email_from")
        if bool(self.smtp_user) != bool(self.smtp_password_file or self.smtp_password_env):
            problems.append("smtp_user and its password (smtp_password_file or smtp_password_env) come together")
        if self.smtp_user and self.smtp_tls == "none":
            problems.append("smtp_tls = 'none' would send a password in clear")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def port(self) -> int:
        """Of the mail server."""
        return self.smtp_port or _PORTS[self.smtp_tls]
