"""Downloads the files of a public source: every digest verified, nothing outside the folder, resumable."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import quote

import httpx

from .alone import alone
from .digests import digest_of
from .errors import UsageError
from .listings import FetchError, Listing, Piece, RemoteFile
from .progress import track

Done = TypeVar("Done")

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each further attempt; they begin anew whenever more of a file has arrived."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# The digests are of the files as they are stored, so nothing may be compressed on the way.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "plumbline"}
KEPT = "run the same command again, what has arrived is kept"


@dataclass(frozen=True)
class Fetched:
    """How many files were downloaded, and how many were there already."""

    downloaded: int
    present: int


def fetch_files(url: str, listing: Listing, folder: Path) -> Fetched:
    """Downloads the listed files from below ``url`` (it ends in a slash) into ``folder``, made when missing.

    A file that is there with the right digest is not fetched again, one with another digest is replaced.
    What is under way lies in ``NAME.part`` and is resumed; it gets its name only when its digest is right.
    Raises UsageError where ``folder`` is a file, FetchError for anything else that goes wrong.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--to is the file {folder}; expected a folder.")
    root = folder.resolve()
    client = httpx.Client(timeout=TIMEOUT, follow_redirects=True, headers=HEADERS)
    with alone(f"fetch-{digest_of(str(root))}", f"a download into {root}"), client:
        files = listing.look_up(_Server(client, url))
        # The work is inside what is tracked, so that the bar ends before an error is told.
        work = (_fetch(client, url, file, root) for file in files)
        downloaded = sum(track(work, "files", len(files)))
    return Fetched(downloaded=downloaded, present=len(files) - downloaded)


@dataclass(frozen=True)
class _Server:
    """The server below ``url``, asked patiently."""

    client: httpx.Client
    url: str

    def text(self, path: str) -> str:
        url = self.url + quote(path)
        return _patiently(lambda: self.client.get(url).raise_for_status().text, url, lambda: 0)

    def piece(self, path: str, start: int, end: int) -> Piece:
        url = self.url + quote(path)
        return _patiently(lambda: _piece(self.client, url, start, end), url, lambda: 0)


def _piece(client: httpx.Client, url: str, start: int, end: int) -> Piece:
    """Part of a file; a server that would send all of it is not listened to."""
    with client.stream("GET", url, headers={"Range": f"bytes={start}-{end - 1}"}) as response:
        response.raise_for_status()
        total = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if total is None:
            raise FetchError(f"{url} is sent whole only; expected a server that sends the part that was asked for.")
        return Piece(response.read(), int(total[1]))


def _fetch(client: httpx.Client, url: str, file: RemoteFile, root: Path) -> bool:
    """Brings one file into place; False where it was there already."""
    target = place_in(root, file.name)
    part = target.with_name(f"{target.name}.part")
    with on_disk(target):
        if target.exists():
            if file.found_in(target) == file.digest:
                return False
            target.replace(part)  # another tool's interrupted download, perhaps: it is resumed as ours is
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(client, url + quote(file.place), file, part)
        part.replace(target)
    return True


def _download(client: httpx.Client, url: str, file: RemoteFile, part: Path) -> None:
    """Completes ``part``. A first wrong digest may come from what lay there before: only the second tells."""
    found = ""
    for _ in range(2):
        _patiently(lambda: _receive(client, url, part), url, lambda: _size(part))
        found = file.found_in(part)
        if found == file.digest:
            return
        part.unlink()
    raise FetchError(f"{file.name} has the {file.algorithm} {found}; expected {file.digest}, so it was not kept.")


def _receive(client: httpx.Client, url: str, part: Path) -> None:
    """Appends to ``part`` what is missing; writes it from the start where the server sends all of it."""
    start = _size(part)
    with client.stream("GET", url, headers={"Range": f"bytes={start}-"} if start else {}) as response:
        if start and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing, or too much is there: the digest decides
        response.raise_for_status()
        with part.open("ab" if response.status_code == httpx.codes.PARTIAL_CONTENT else "wb") as out:
            for piece in response.iter_raw():
                out.write(piece)


def _patiently(attempt: Callable[[], Done], url: str, arrived: Callable[[], int]) -> Done:
    """The result of ``attempt``, repeated after a pause while the network or the server is at fault."""
    furthest, pauses = arrived(), iter(PAUSES)
    while True:
        try:
            return attempt()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if arrived() > furthest:
                furthest, pauses = arrived(), iter(PAUSES)
            pause = next(pauses, None) if _may_pass(error) else None
            if pause is None:
                raise FetchError(_sentence(url, error)) from error
            print(f"{url}: {_reason(error)}; trying again in {pause:.0f} s", flush=True)
            time.sleep(pause)


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: the connection failed, or the server is busy or broken."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (408, 429) or error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def _sentence(url: str, error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{url} was answered by {_reason(error)}; expected the file."
    return f"{url} did not arrive ({_reason(error)}); check the network and {KEPT}."


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}".rstrip()
    return str(error) or type(error).__name__


def place_in(root: Path, name: str) -> Path:
    """Where a file belongs; a link in the folder must not lead its content elsewhere."""
    target = root.joinpath(*PurePosixPath(name).parts)
    for path in (target, target.with_name(f"{target.name}.part")):
        if path.resolve() != path:
            raise FetchError(f"{path} leads to {path.resolve()}; expected no link on the way to {name}.")
    return target


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def on_disk(target: Path) -> Iterator[None]:
    """Says plainly what the disk refused."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FetchError(f"the disk of {target.parent} is full at {target.name}; free some and {KEPT}.") from error
        raise FetchError(f"{error.filename or target} cannot be written: {error.strerror or error}.") from error
