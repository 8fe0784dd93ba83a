"""Zips that a stranger may have made: opened only where their directory is small, read only where that takes little."""

import os
import struct
import zipfile
import zlib
from typing import IO, Final

DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # what is encrypted, or of a version that nobody knows
    ValueError,  # what makes no sense, as KeyError
    KeyError,
    OverflowError,  # a place beyond all files
)
"""What zipfile raises where a zip is none, now or while it is read."""
# At the end of a zip: what it is, disks, entries, bytes and place of the directory.
_END: Final = struct.Struct("<4s4H2LH")
_DIRECTORY: Final = 1 << 16  # bytes; those of bundles and of what lies in them have one or two kB
_ZIP64_LOCATOR: Final = struct.Struct("<4sLQL")  # in front of the end, where it lies elsewhere


def opened(file: IO[bytes]) -> zipfile.ZipFile:
    """The zip in a file. zipfile takes its directory into memory, so that has to be small, and nothing behind it.

    Raises:
        zipfile.BadZipFile: it is none, or not such a one. Others of `DAMAGED` too.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _ZIP64_LOCATOR.size))
    end = file.read()
    if len(end) < _END.size:
        raise zipfile.BadZipFile("File is not a zip file")
    mark, *_, directory, _place, comment = _END.unpack(end[-_END.size :])
    if mark != b"PK\x05\x06" or comment:
        raise zipfile.BadZipFile("it does not end as a zip does, or something lies behind its end")
    if directory > _DIRECTORY or end.startswith(b"PK\x06\x07"):
        raise zipfile.BadZipFile(f"its directory has more than {_DIRECTORY} bytes")
    return zipfile.ZipFile(file)


def member(archive: zipfile.ZipFile, name: str, *, deflated: bool = False) -> IO[bytes]:
    """A member of a zip, to be read in pieces.

    Args:
        deflated: whether it may be so, and not only stored. What is compressed in any other way zipfile unpacks at
            once, whatever size that has.

    Raises:
        zipfile.BadZipFile: it is compressed in another way. Others of `DAMAGED` too.
    """
    method = archive.getinfo(name).compress_type
    if method != zipfile.ZIP_STORED and not (deflated and method == zipfile.ZIP_DEFLATED):
        accepted = "stored or deflated" if deflated else "stored"
        raise zipfile.BadZipFile(f"{name!a} is compressed (method {method}); accepted: {accepted}")
    return archive.open(name)
