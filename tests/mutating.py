"""Damages one file of a folder, as a broken disk, a broken program or an enemy would; the same seed does the same."""

from __future__ import annotations

import gzip
import os
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

HEADER = 8192
"""Bytes in which numbers and words are changed."""
NUMBERS = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "7",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "99999999999999999999",
    "-99999999",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-308",
    "0.1",
    "0.0000001",
    "1e9",
    "100000000",
    "134217728",
    "٣",
    "0x10",
    "1_000",
]
WORDS = (
    "../outside/secret", "../outside/secret.dat", "/etc/passwd", "/dev/zero", "~/secret", "..", ".", "~", "%s%n",
    "\x00", "\u202etad.", "<script>alert(1)</script>", "'; DROP TABLE runs; --", "a" * 5000, "\r\n", "=cmd()", "NaN",
    "[](", "é",
)  # fmt: skip
BOMB = 1 << 28
"""Bytes that a small packed file unpacks to."""
Change = Callable[[random.Random, bytes], bytes]


def mutate(folder: Path, seed: int) -> str:
    """Changes one file below ``folder``; returns what was done, to be printed beside the seed."""
    rng = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choice(files)
    kind = rng.choice(["content"] * 8 + ["inner"] * (4 if path.suffix == ".gz" else 0) + ["file"])
    if kind == "file":
        name, change = rng.choice(sorted(_FILE_CHANGES.items()))
        change(rng, path, files)
        return f"{name} {path.name}"
    done = []
    content = path.read_bytes()
    inner = kind == "inner"
    if inner:
        content = gzip.decompress(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        name, alter = rng.choice(sorted(_CHANGES.items()))
        content = alter(rng, content)
        done.append(name)
    path.write_bytes(gzip.compress(content, 1, mtime=0) if inner else content)
    return f"{'inner ' if inner else ''}{'+'.join(done)} {path.name}"


def _flip(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64)) if content else 0):
        # Headers decide what is done with the rest.
        place = rng.randrange(min(len(changed), rng.choice((64, 512, HEADER, len(changed)))))
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(rng.choice((8, 300, len(content) + 1)))]


def _extend(rng: random.Random, content: bytes) -> bytes:
    return content + rng.randbytes(rng.choice((1, 100, 5000)))


def _splice(rng: random.Random, content: bytes) -> bytes:
    start, stop = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    place = rng.randrange(len(content) + 1)
    return content[:place] + content[start : min(stop, start + 4096)] + content[place + rng.choice((0, 64)) :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + content[place + rng.choice((1, 8, 80, 4096)) :]


def _blank(rng: random.Random, content: bytes) -> bytes:
    place, length = rng.randrange(len(content) + 1), rng.choice((1, 8, 80, 512))
    return content[:place] + rng.choice((b"\0", b" ", b"\xff", b"9")) * length + content[place + length :]


def _number(rng: random.Random, content: bytes) -> bytes:
    """Another number in the place of one written in digits; half of the time of the same width, as EDF needs it."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[:HEADER]))
    return _replaced(rng, content, found, rng.choice(NUMBERS).encode())


def _word(rng: random.Random, content: bytes) -> bytes:
    found = list(re.finditer(rb"[\w./-]+", content[:HEADER]))
    return _replaced(rng, content, found, rng.choice(WORDS).encode())


def _replaced(rng: random.Random, content: bytes, found: list[re.Match[bytes]], by: bytes) -> bytes:
    if not found:
        return by + content
    place = rng.choice(found)
    start, stop = place.span()
    if rng.random() < 0.5:
        by = by.ljust(stop - start)
        stop = start + len(by)
    return content[:start] + by + content[stop:]


def _field(rng: random.Random, content: bytes) -> bytes:
    """An extreme number in a binary field of the header, as of NIfTI and idx."""
    order, (form, values) = rng.choice("<>"), rng.choice(list(_FIELDS.items()))
    packed = struct.pack(order + form, rng.choice(values))
    # Where the axes, the type, the offset and the scaling of NIfTI stand; idx keeps its axes at 4.
    place = rng.choice((*range(0, 16, 4), *range(40, 56, 2), 70, 72, 108, 112, 116, 123, 252, 254, *range(280, 328, 4)))
    return content[:place] + packed + content[place + len(packed) :] if len(content) > place else content


_FIELDS: dict[str, tuple[float, ...]] = {
    "h": (-32768, -1, 0, 1, 3, 8, 100, 32767, 64, 128, 1024, 2304),
    "i": (-(2**31), -1, 0, 348, 540, 2**31 - 1, 2**27, 65536),
    "f": (float("nan"), float("inf"), -1.0, 0.0, 1e38, 352.0, 1e-38),
    "q": (-1, 2**62, 2**40),
    "d": (float("nan"), 1e308),
}
_CHANGES: dict[str, Change] = {
    "flip": _flip, "truncate": _truncate, "extend": _extend, "splice": _splice, "cut": _cut, "blank": _blank,
    "number": _number, "number again": _number, "word": _word, "field": _field,
}  # fmt: skip


def _swapped(rng: random.Random, path: Path, files: list[Path]) -> None:
    path.write_bytes(rng.choice(files).read_bytes())


def _removed(rng: random.Random, path: Path, files: list[Path]) -> None:
    path.unlink()


def _linked(rng: random.Random, path: Path, files: list[Path]) -> None:
    """A link out of the folder: to what would be read well, to nothing, to a device, to itself."""
    outside = path.parent / "../outside" / path.name
    path.unlink()
    path.symlink_to(
        rng.choice([outside.absolute(), Path("/etc/passwd"), Path("/dev/zero"), path, Path("/proc/self/mem")])
    )


def _folder(rng: random.Random, path: Path, files: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def _pipe(rng: random.Random, path: Path, files: list[Path]) -> None:
    path.unlink()
    os.mkfifo(path)


def _bomb(rng: random.Random, path: Path, files: list[Path]) -> None:
    """Much from little: zeros behind the file's own beginning, packed once more or for the first time."""
    content = path.read_bytes()
    inner = gzip.decompress(content) if path.suffix == ".gz" else content
    head = inner[: rng.choice((16, 352))]
    if rng.random() < 0.5 and len(head) > 50:  # the header says that it is right so
        head = head[:40] + struct.pack("<4h", 3, 512, 512, rng.choice((512, 32767))) + head[48:]
    path.write_bytes(_zeros_behind(head))


def _zeros_behind(head: bytes) -> bytes:
    """A gzip stream of ``head`` and BOMB zeros; the zeros are packed once for all."""
    return gzip.compress(head, mtime=0) + _packed_zeros()


def _packed_zeros() -> bytes:
    if not _PACKED:
        _PACKED.append(gzip.compress(bytes(1 << 24), 9, mtime=0) * (BOMB >> 24))
    return _PACKED[0]


_PACKED: list[bytes] = []
_FILE_CHANGES: dict[str, Callable[[random.Random, Path, list[Path]], None]] = {
    "swapped": _swapped, "removed": _removed, "linked": _linked, "folder for": _folder, "pipe for": _pipe,
    "bomb in": _bomb,
}  # fmt: skip
