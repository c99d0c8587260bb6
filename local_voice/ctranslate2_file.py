"""The weights in CTranslate2's model.bin, which CTranslate2 itself does not hand out.

The format is that of `ctranslate2/specs/model_spec.py` (OpenNMT/CTranslate2), version 6: a header, then for
each variable its name, shape, type and bytes, then the names that stand for another one. This room must not
know what the weights are for.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

Weights = dict[str, npt.NDArray[np.generic]]
"""By name; read from the disk where they are looked at."""

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""By CTranslate2's number; 5, bfloat16, is nothing that numpy knows."""
_VERSION = 6


class UnknownLayoutError(Exception):
    """The file is not laid out as this room expects; the message says where."""


def read_weights(path: Path) -> Weights:
    """All variables of a model.bin.

    Raises `UnknownLayoutError`, and `OSError` where the file can't be read.
    """
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise UnknownLayoutError("it is empty") from error
    try:
        return _variables(_Reader(data))
    except (struct.error, KeyError, ValueError) as error:
        raise UnknownLayoutError(f"its variables can't be read ({error})") from error


class _Reader:
    """Walks through the bytes, all numbers little-endian."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def number(self, kind: str) -> int:
        """`kind`: as in `struct`: B, H or I."""
        (number,) = struct.unpack_from(f"<{kind}", self.data, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return int(number)

    def text(self) -> str:
        """A text behind its length, which counts the NUL at its end."""
        length = self.number("H")
        self.at += length
        if self.at > len(self.data):
            raise ValueError("a name is cut off")
        return self.data[self.at - length : self.at - 1].decode()


def _variables(file: _Reader) -> Weights:
    version = file.number("I")
    if version != _VERSION:
        raise UnknownLayoutError(f"it is of version {version}, not {_VERSION}")
    file.text()  # The kind of model.
    file.number("I")  # Its revision.
    found: Weights = {}
    for _ in range(file.number("I")):
        name = file.text()
        shape = [file.number("I") for _ in range(file.number("B"))]
        number = file.number("B")
        if number not in _TYPES:
            raise UnknownLayoutError(f"{name} is of numbers of type {number}")
        kind = np.dtype(_TYPES[number])
        size = file.number("I")
        found[name] = np.frombuffer(file.data, kind, size // kind.itemsize, file.at).reshape(shape)
        file.at += size
    for _ in range(file.number("I")):
        alias = file.text()
        found[alias] = found[file.text()]
    return found
