"""A bundle's zip: written so that the same content gives the same bytes, and read as what a stranger may have made.

Members are stored, not compressed. So a file cannot claim more than it has, and every byte of it is accounted for:
the members, for each a header and an entry in the directory as we write them, and nothing before, between or after.
"""

import hashlib
import io
import os
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import uuid4

from hpo.bundle import architecture, graph
from hpo.bundle.manifest import (
    DIGEST,
    KERAS,
    LARGEST,
    MANIFEST,
    ONNX,
    OPTIONAL,
    REQUIRED,
    SMALL,
    Manifest,
    Member,
    parse,
)
from hpo.bundle.zips import DAMAGED, member, opened
from hpo.errors import DataError, UsageError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can say
_DAY = 1 << 5 | 1  # the same, as it is written
_MODE = stat.S_IFREG | 0o644
_UNIX, _VERSION = 3, 20  # what made the zip, and what is needed to read it
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle whose members have the hashes that its manifest says, and whose models hold no code.

    Attributes:
        digest: SHA-256 of the manifest, and so of everything in the bundle.
    """

    path: Path
    manifest: Manifest
    digest: str

    def read(self, name: str) -> bytes:
        """The content of a member. It is what the hash says even if somebody changed the file meanwhile.

        Raises:
            DataError: it is not.
        """
        listed = self.manifest.members[name]
        try:
            with _archive(self.path) as archive, member(archive, name) as file:
                content = file.read(listed.size + 1)
            _agree(name, io.BytesIO(content), listed)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error
        return content


def describe(content: bytes) -> Member:
    """What a manifest says of a member with this content."""
    return Member(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def write_bundle(path: Path, manifest: Manifest, members: Mapping[str, bytes]) -> Bundle:
    """Writes a bundle beside its place, reads it as a stranger's, and moves it there.

    Args:
        members: name -> content, as `manifest.members` describes them.

    Raises:
        UsageError: the file cannot be written.
        DataError: what was written is no bundle.
    """
    head = manifest.model_dump_json(indent=2).encode() + b"\n"
    digest = hashlib.sha256(head).hexdigest()
    everything = {**members, MANIFEST: head, DIGEST: _digest_line(digest)}
    beside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with zipfile.ZipFile(beside, "x", zipfile.ZIP_STORED, allowZip64=False) as archive:
            for name in sorted(everything):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.external_attr = _MODE << 16
                info.create_system = _UNIX  # whatever wrote it
                archive.writestr(info, everything[name])
        bundle = open_bundle(beside)
        os.replace(beside, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return replace(bundle, path=path)


def open_bundle(path: Path) -> Bundle:
    """Reads a bundle's manifest, checks every byte of the file against it, then looks into the models. Loads nothing.

    Raises:
        DataError: there is no such file, or it is not a bundle, damaged, changed, or made to do harm.
    """
    try:
        return _open(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _open(path: Path) -> Bundle:
    with _archive(path) as archive:
        infos = archive.infolist()
        problems = _strange(infos) or _unaccounted(infos, path)
        if problems:
            raise DataError(f"refused: {'; '.join(problems[:20])}")
        head, said = archive.read(MANIFEST), archive.read(DIGEST)
        digest = hashlib.sha256(head).hexdigest()
        if said != _digest_line(digest):
            raise DataError(f"refused: {MANIFEST} was changed: its SHA-256 is {digest}, and {DIGEST} says otherwise")
        manifest = parse(head)
        there = {info.filename for info in infos} - {MANIFEST, DIGEST}
        if there != manifest.members.keys():
            odd = ", ".join(sorted(there ^ manifest.members.keys()))
            raise DataError(f"refused: {MANIFEST} and the members of the zip do not agree on {odd}")
        for name, listed in sorted(manifest.members.items()):
            with archive.open(name) as file:
                _agree(name, file, listed)
    bundle = Bundle(path, manifest, digest)
    for name, check in ((ONNX, graph.check), (KERAS, architecture.check)):
        try:
            check(bundle.read(name))
        except DataError as error:
            raise DataError(f"refused: {name} {error}") from error
    return bundle


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at a path. What it turns out to be is a DataError, now or while it is read."""
    try:
        with path.open("rb") as file, opened(file) as archive:
            yield archive
    except FileNotFoundError as error:
        raise DataError("there is no such file") from error
    except DAMAGED as error:
        raise DataError(f"refused: not a whole bundle: {error}") from error


def _strange(infos: list[zipfile.ZipInfo]) -> list[str]:
    """Why these are not the members of a bundle."""
    names = [info.filename for info in infos]
    problems = [problem for info in infos if (problem := _problem(info))]
    problems += [f"{name!r} is there {count} times" for name, count in Counter(names).items() if count > 1]
    problems += [f"{name} is missing" for name in sorted((REQUIRED | {MANIFEST, DIGEST}) - set(names))]
    return problems


def _problem(info: zipfile.ZipInfo) -> str | None:
    """Why one entry does not belong into a bundle; None where it does."""
    shown = ascii(info.filename)
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    if ".." in parts:
        return f"{shown} has '..' in it"
    if info.filename.startswith(("/", "\\")) or info.filename[1:2] == ":":
        return f"{shown} is an absolute name"
    if info.external_attr >> 16 != _MODE:
        return f"{shown} is a link, a folder or anything else that is not a plain file"
    if info.filename not in REQUIRED | OPTIONAL | {MANIFEST, DIGEST}:
        return f"{shown} is no member of a bundle"
    if info.flag_bits & 1:
        return f"{shown} is encrypted"
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return f"{shown} is compressed ({info.compress_size} bytes that become {info.file_size}); members are stored"
    if info.file_size > (limit := SMALL.get(info.filename, LARGEST)):
        return f"{shown} has {info.file_size} bytes; accepted: up to {limit}"
    return None


def _unaccounted(infos: list[zipfile.ZipInfo], path: Path) -> list[str]:
    """Why the file holds something else than its members one after the other, and the directory, as we write them."""
    directory, end = b"", 0
    with path.open("rb") as file:
        for info in infos:
            name = info.filename.encode()
            said = struct.pack(
                "<5H3L2H", _VERSION, 0, 0, 0, _DAY, info.CRC, info.file_size, info.file_size, len(name), 0
            )
            header = b"PK\x03\x04" + said + name
            directory += b"PK\x01\x02" + struct.pack("<BB", _VERSION, _UNIX) + said
            directory += struct.pack("<3H2L", 0, 0, 0, _MODE << 16, end) + name
            file.seek(end)
            if file.read(len(header)) != header:
                return [f"{info.filename} does not lie where it should, or its header is none of a bundle's"]
            end += len(header) + info.file_size
        directory += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(infos), len(infos), len(directory), end, 0)
        file.seek(end)
        if file.read(len(directory) + 1) != directory:
            return ["its directory is not that of a bundle: members overlap, or something lies behind them"]
    return []


def _digest_line(digest: str) -> bytes:
    """As `sha256sum` writes it, so that `sha256sum -c` reads it."""
    return f"{digest}  {MANIFEST}\n".encode()


def _agree(name: str, file: IO[bytes], member: Member) -> None:
    """Raises DataError where the content is not what the manifest says."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if size > member.size:
            break
    if size != member.size:
        raise DataError(f"refused: {name} was changed: it has {size} bytes or more, and {MANIFEST} says {member.size}")
    if digest.hexdigest() != member.sha256:
        raise DataError(
            f"refused: {name} was changed: its SHA-256 is {digest.hexdigest()}, and {MANIFEST} says {member.sha256}"
        )
