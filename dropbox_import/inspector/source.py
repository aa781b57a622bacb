"""Bounded reading at an offset: what every check gets instead of a file."""

from __future__ import annotations

import os
from typing import Protocol

WINDOW = 4096


class Source(Protocol):
    """Bytes that can be read at an offset; a read past the end gives fewer bytes."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...


class Buffer:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length] if length > 0 else b""


class OpenFile:
    """An open descriptor. Keeps one small window, as directories of a TIFF are many small reads close together."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._start = 0
        self._window = b""

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self._size - offset))
        if not length:
            return b""
        if length > WINDOW:
            return self._fetch(offset, length)
        at = offset - self._start
        if at < 0 or at + length > len(self._window):
            self._start, at = offset, 0
            self._window = self._fetch(offset, WINDOW)
        return self._window[at : at + length]

    def _fetch(self, offset: int, length: int) -> bytes:
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        parts: list[bytes] = []
        while length > 0:
            part = os.read(self._descriptor, min(length, 1 << 24))
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
