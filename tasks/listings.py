"""Which files a public source has, and their digests: told in advance, or published in a list on its server."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from .errors import PlumblineError
from .progress import track

Algorithm = Literal["md5", "sha1", "sha256"]
WINDOW = 1 << 16
"""Bytes of a sorted list that are read rather than divided further."""
_LONGEST_LINE = 1 << 10


class FetchError(PlumblineError):
    """A source could not be downloaded, or is not what it says it is."""


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file on a server, and how many the whole file has."""

    content: bytes
    total: int


class Server(Protocol):
    """Where a source lies: gives a small file whole, or a piece of a large one, from byte ``start`` to ``end``."""

    def text(self, path: str) -> str:
        """The whole file."""

    def piece(self, path: str, start: int, end: int) -> Piece:
        """The bytes ``start`` to ``end`` (not included), fewer where the file ends."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a source: its name below the folder, and its hexadecimal digest.

    ``path``: where it lies below the source's URL, if not under its name.
    """

    name: str
    algorithm: str
    digest: str
    path: str = ""

    @property
    def place(self) -> str:
        """Where it lies below the source's URL."""
        return self.path or self.name

    def found_in(self, path: Path) -> str:
        """The digest of what lies at ``path``, by this file's algorithm."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()


class Listing(Protocol):
    """A way to know a source's files."""

    def look_up(self, server: Server) -> tuple[RemoteFile, ...]:
        """The wanted files. Raises FetchError where their list is not to be trusted."""


@dataclass(frozen=True)
class KnownDigests:
    """Digests that are known in advance, by name: for a server that publishes no list."""

    algorithm: Algorithm
    digests: tuple[tuple[str, str], ...]

    def look_up(self, server: Server) -> tuple[RemoteFile, ...]:
        """The files; asks nothing."""
        return tuple(RemoteFile(name, self.algorithm, digest) for name, digest in self.digests)


@dataclass(frozen=True)
class ChecksumList:
    """A list of digests on the server, one ``DIGEST NAME`` per line as sha256sum and its kin write it.

    ``wanted`` are shell patterns of the whole name, ``least`` the number of files that they must find:
    a list that was cut short has fewer.
    """

    path: str
    algorithm: Algorithm
    wanted: tuple[str, ...]
    least: int

    def look_up(self, server: Server) -> tuple[RemoteFile, ...]:
        """The wanted files, the whole list read."""
        return self.files(server.text(self.path))

    def files(self, text: str) -> tuple[RemoteFile, ...]:
        """The wanted files of the list. Raises FetchError where the list is not to be trusted."""
        lines = enumerate(text.splitlines(), 1)
        listed = [_parsed(line, self.algorithm, f"{self.path} line {number}") for number, line in lines if line.strip()]
        found = tuple(file for file in listed if any(fnmatchcase(file.name, wish) for wish in self.wanted))
        if len(found) < self.least:
            raise FetchError(f"{self.path} lists {len(found)} of the wanted files; expected {self.least} or more.")
        return found


@dataclass(frozen=True)
class SortedChecksumList:
    """Such a list sorted by name, of a source with so many files that the list itself is not worth downloading.

    ``names`` are looked up by halving: every step asks the server for the line in the middle. Takes some 15 small
    requests for names that stand together, where the list of a million files is 100 MB.
    """

    path: str
    algorithm: Algorithm
    names: tuple[str, ...]

    def look_up(self, server: Server) -> tuple[RemoteFile, ...]:
        """The named files. Raises FetchError for one that the list does not have where it should."""
        size = server.piece(self.path, 0, 1).total
        seen: dict[str, RemoteFile] = {}
        for name in track(self.names, "digests"):
            if name not in seen:
                seen |= {file.name: file for file in self._around(name, server, size)}
            if name not in seen:
                raise FetchError(f"{self.path} has no digest of {name}; expected one line of it, sorted by name.")
        return tuple(seen[name] for name in self.names)

    def _around(self, name: str, server: Server, size: int) -> list[RemoteFile]:
        """The files that the list has about ``name``: the line of it begins in what is read, or is nowhere."""
        low, high = 0, size
        while high - low > WINDOW:
            start, file = self._line_after((low + high) // 2, server)
            low, high = (start, high) if file.name <= name else (low, start)
        lines = server.piece(self.path, low, min(high + _LONGEST_LINE, size)).content.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")] + ([lines[-1]] if high == size else [])
        return [self._file(line) for line in whole if line.strip()]

    def _line_after(self, middle: int, server: Server) -> tuple[int, RemoteFile]:
        """The first whole line that begins after ``middle``, and where."""
        before, *lines = server.piece(self.path, middle, middle + 2 * _LONGEST_LINE).content.split(b"\n", 2)
        if len(lines) < 2:
            raise FetchError(
                f"{self.path} has a line of more than {_LONGEST_LINE} bytes; expected a digest and a name."
            )
        return middle + len(before) + 1, self._file(lines[0])

    def _file(self, line: bytes) -> RemoteFile:
        return _parsed(line.decode("utf-8", errors="replace"), self.algorithm, f"a line of {self.path}")


@dataclass(frozen=True)
class ZenodoRecord:
    """The files of a record of Zenodo, as its REST API lists them below https://zenodo.org/.

    ``record``: its number. ``wanted`` are shell patterns of a file's name, at least one of which must be found.
    """

    record: str
    wanted: tuple[str, ...]

    def look_up(self, server: Server) -> tuple[RemoteFile, ...]:
        """The wanted files. Raises FetchError where the answer is no list of files with digests."""
        path = f"api/records/{self.record}"
        try:
            listed = [self._file(entry) for entry in json.loads(server.text(path))["files"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FetchError(f"{path} is no record of files with digests ({type(error).__name__}).") from error
        found = tuple(file for file in listed if any(fnmatchcase(file.name, wish) for wish in self.wanted))
        if not found:
            names = ", ".join(file.name for file in listed) or "nothing"
            raise FetchError(f"record {self.record} holds {names}; expected a file like {' or '.join(self.wanted)}.")
        return found

    def _file(self, entry: dict[str, Any]) -> RemoteFile:
        # The address is made from the record, never taken from the answer, which could lead anywhere.
        name = harmless(entry["key"], f"record {self.record}")
        algorithm, _, digest = entry["checksum"].partition(":")
        if algorithm not in get_args(Algorithm) or not _is_digest(digest, algorithm):
            raise FetchError(
                f"record {self.record} gives {name} the checksum {entry['checksum'][:80]!r}; expected md5:, sha1: or "
                f"sha256: and hexadecimal digits."
            )
        return RemoteFile(name, algorithm, digest.lower(), f"api/records/{self.record}/files/{name}/content")


def _is_digest(text: str, algorithm: str) -> bool:
    return re.fullmatch(rf"[0-9a-fA-F]{{{hashlib.new(algorithm).digest_size * 2}}}", text) is not None


def _parsed(line: str, algorithm: Algorithm, where: str) -> RemoteFile:
    digits = hashlib.new(algorithm).digest_size * 2
    parts = re.fullmatch(rf"([0-9a-fA-F]{{{digits}}}) [ *]?(\S.*)", line.rstrip())
    if parts is None:
        raise FetchError(f"{where} is {line[:80]!r}; expected {digits} hexadecimal digits and a name.")
    # Every name is looked at, wanted or not: one that climbs out makes the whole list suspect.
    return RemoteFile(harmless(parts[2], where), algorithm, parts[1].lower())


def harmless(name: str, where: str) -> str:
    """The name, if it is a plain relative one with forward slashes."""
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or {"", ".", ".."} & set(parts):
        raise FetchError(f"{where} names {name!r}; expected a name that stays inside the folder.")
    return name
