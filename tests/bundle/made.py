"""A bundle as an earlier run of hpo made it, and what a stranger could make of it.

golden.hpo.zip holds a small LSTM, trained on made-up windows of 16 steps and 2 channels; the study is in it. It stays
as it is: a later hpo has to read what an earlier one wrote.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpo.bundle.manifest import DIGEST, MANIFEST

GOLDEN = Path(__file__).parent / "golden.hpo.zip"
WINDOWS = Path(__file__).parent / "windows.csv"
"""Three of its test windows, one of each class."""
SHAPE, CLASSES = (16, 2), ("left", "none", "right")
Members = dict[str, bytes]
Entry = tuple[zipfile.ZipInfo, bytes]


def contents() -> Members:
    """Every file in the bundle."""
    with zipfile.ZipFile(GOLDEN) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entry(name: str, content: bytes, mode: int = 0o100644) -> Entry:
    """One file for a zip, as a bundle's writer makes it."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = mode << 16
    info.create_system = 3
    return info, content


def zipped(path: Path, entries: list[Entry]) -> Path:
    """A zip of these entries, in this order."""
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return path


def entries(members: Mapping[str, bytes]) -> list[Entry]:
    """All members as a bundle has them."""
    return [entry(name, members[name]) for name in sorted(members)]


def sealed(
    path: Path,
    changes: Mapping[str, bytes] | None = None,
    about: Callable[[dict[str, Any]], object] = lambda manifest: None,
) -> Path:
    """A bundle whose hashes all agree: what somebody can make who knows how bundles are made.

    Args:
        path: of the bundle.
        changes: member -> its new content.
        about: changes the manifest.
    """
    members = {**contents(), **(changes or {})}
    manifest = json.loads(members[MANIFEST])
    manifest["members"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in members.items()
        if name not in (MANIFEST, DIGEST)
    }
    about(manifest)
    members[MANIFEST] = json.dumps(manifest).encode()
    members[DIGEST] = f"{hashlib.sha256(members[MANIFEST]).hexdigest()}  {MANIFEST}\n".encode()
    return zipped(path, entries(members))


def number(value: int, spare: int = 0) -> bytes:
    """A whole number as protobuf writes it, with so many bytes more than it takes."""
    done = bytearray()
    while value >= 0x80:
        done.append(value & 0x7F | 0x80)
        value >>= 7
    if not spare:
        return bytes([*done, value])
    return bytes([*done, value | 0x80, *[0x80] * (spare - 1), 0])


def field(key: int, content: bytes, write: Callable[[int], bytes] = number) -> bytes:
    """A field of bytes with this number as protobuf writes it; `write` writes its tag."""
    return write(key << 3 | 2) + number(len(content)) + content
