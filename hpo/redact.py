"""Keeps passwords out of what is printed: the last guard, for no message is meant to hold one.

What was read as a password is remembered and replaced wherever it appears; what looks like one is replaced anyway.
"""

import re
from urllib.parse import quote, quote_plus

HIDDEN = "***"
SHORTEST = 6  # a shorter password is also part of ordinary words

_secrets: set[str] = set()
# the password of an address, and those of the words that libpq reads
_PATTERNS = (
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+(?=@)"), rf"\g<1>{HIDDEN}"),
    (re.compile(r"(\b(?:ssl)?password\s*=\s*)('[^']*'|[^\s&'\"]+)", re.IGNORECASE), rf"\g<1>{HIDDEN}"),
)


def remember(secret: str | None) -> None:
    """From now on `scrub` replaces it, as it is and as it stands in an address."""
    if secret and len(secret) >= SHORTEST:
        _secrets.update((secret, quote(secret, safe=""), quote_plus(secret)))


def scrub(text: str) -> str:
    """The text without passwords."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
