"""Reads arrays out of an .npz, whoever made it: piece by piece, no pickle, and nothing that claims what it has not."""

import math
import os
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpo.bundle.zips import DAMAGED, member, opened
from hpo.errors import DataError

NUMBERS, LABELS = "fiu", "fiubUS"  # kinds of dtype, by NumPy's letters
npy: Any = np.lib.format  # its functions have no types
# What NumPy's readers of headers raise: what ast.literal_eval does, and what mending headers of Python 2 does.
UNREADABLE = (ValueError, TypeError, SyntaxError, IndexError, MemoryError, RecursionError, tokenize.TokenError)
_DENSEST = 1032  # bytes that one deflated byte becomes at most (https://zlib.net/zlib_tech.html)
_NAMED = 20  # arrays in a message
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Npz:
    """An open .npz.

    Args:
        file: its bytes.
        shown: what error messages call it.
        stored: it is a part of a bundle, and holds few arrays, none of them compressed.

    Raises:
        DataError: it is none.
    """

    def __init__(self, file: IO[bytes], shown: str, *, stored: bool = False) -> None:
        self._shown, self._stored = shown, stored
        with self._refusing(""):
            self._most = _DENSEST * file.seek(0, os.SEEK_END)
            self._archive = opened(file) if stored else zipfile.ZipFile(file)
        self.names = [name.removesuffix(".npy") for name in self._archive.namelist()]

    def shape(self, name: str, kinds: str) -> tuple[int, ...]:
        """Of an array, which is not read.

        Args:
            name: of the array.
            kinds: of dtype that it may have.

        Raises:
            DataError: there is no such array, its dtype is another, or it claims more or less than the file holds.
        """
        with self._open(name) as file:
            return self._header(file, name, kinds)[0]

    def pieces(self, name: str, kinds: str, rows: int) -> Iterator[NDArray[Any]]:
        """The array in pieces of `rows` along its first axis, the last one perhaps shorter. Raises as `shape`.

        An array in Fortran's order, whose rows lie apart, is read at once.
        """
        with self._open(name) as file:
            shape, fortran, dtype = self._header(file, name, kinds)
            if not shape:
                raise DataError(f"{self._shown}: {name} is a single number; expected an array")
            row = math.prod(shape[1:]) * dtype.itemsize
            at_once = max(1, shape[0]) if fortran else rows
            for start in range(0, shape[0], at_once):
                count = min(at_once, shape[0] - start)
                content = file.read(count * row)
                if len(content) != count * row:
                    raise DataError(f"{self._shown}: {name} is cut off in row {start + len(content) // max(1, row)}")
                array = np.frombuffer(content, dtype).reshape((count, *shape[1:]), order="F" if fortran else "C")
                yield from (array[i : i + rows] for i in range(0, count, rows))

    def _header(self, file: IO[bytes], name: str, kinds: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        version = npy.read_magic(file)
        if version not in _READERS:
            raise DataError(f"{self._shown}: {name} has version {version} of the npy format; accepted: 1.0 and 2.0")
        try:
            shape, fortran, dtype = _READERS[version](file)
        except UNREADABLE as error:
            raise DataError(f"{self._shown}: {name} has a header that makes no sense: {str(error)[:200]!a}") from error
        if dtype.kind not in kinds:
            what = "Python objects, which are never unpickled" if dtype.hasobject else f"values of dtype {dtype}"
            raise DataError(
                f"{self._shown}: {name} holds {what}; expected {'numbers' if kinds == NUMBERS else 'labels'}"
            )
        claimed = math.prod(shape) * dtype.itemsize
        there = min(self._archive.getinfo(f"{name}.npy").file_size, self._most) - file.tell()
        if min(shape, default=0) < 0 or claimed != there:
            raise DataError(f"{self._shown}: {name} claims shape {shape}, {claimed} bytes, but holds {there}")
        return shape, fortran, dtype

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        if name not in self.names:
            names = ", ".join(self.names[:_NAMED]) + (", ..." if len(self.names) > _NAMED else "")
            raise DataError(f"{self._shown} holds no array {name!r}; it has: {ascii(names)[1:-1] or 'none'}")
        with self._refusing(f" in {name}"), member(self._archive, f"{name}.npy", deflated=not self._stored) as file:
            yield file

    @contextmanager
    def _refusing(self, where: str) -> Iterator[None]:
        """Whatever is wrong with the zip or with an array's header is a DataError."""
        try:
            yield
        except DAMAGED as error:
            raise DataError(f"{self._shown}: not a readable .npz{where}: {error}") from error
