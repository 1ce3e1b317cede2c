"""Readers bear damaged files of every format: they read, quarantine or refuse in one sentence, within stated limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fuzzed_formats import FORMATS
from fuzzing import MOST_MEMORY, SLOWEST

FEW = 20
"""Damaged files of each format in `make test`; 300 in all."""
MANY = 1_350
"""In `make soak`; 20,250 in all."""
PROGRAM = Path(__file__).resolve().parents[1] / "fuzzing.py"


def lines_of(names: Sequence[str], first: int, count: int, folder: Path) -> list[dict[str, Any]]:
    """One line for each damaged file, without an outcome where the process died of it."""
    command = [sys.executable, str(PROGRAM), ",".join(names), str(first), str(count), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"seed"')]
    assert said, f"{names}: {done.stderr[-2000:]}"
    return list({(line["format"], line["seed"]): line for line in said}.values())


def fuzzed(name: str, first: int, count: int, folder: Path) -> list[dict[str, Any]]:
    """The lines of one format; where the reader's process dies, the next one goes on behind the deadly file."""
    lines: list[dict[str, Any]] = []
    while len(lines) < count:
        begun = len(lines)
        lines += lines_of([name], first + begun, count - begun, folder / str(begun))
    return lines


def wrong(lines: list[dict[str, Any]]) -> Iterator[str]:
    """What a person needs to make it again: format, seed, what was done, what came of it."""
    for line in lines:
        outcome = line.get("outcome", "the process died")
        if outcome not in ("read", "refused"):
            yield f"{line['format']}, seed {line['seed']}, {line['kind']}: {outcome}"
        elif line["cpu"] > SLOWEST:
            yield f"{line['format']}, seed {line['seed']}, {line['kind']}: {line['cpu']:.1f} s of CPU"


def test_damaged_files_of_every_format_are_read_or_refused(tmp_path: Path) -> None:
    lines = lines_of(list(FORMATS), 0, FEW, tmp_path)
    assert not list(wrong(lines))
    assert len(lines) == FEW * len(FORMATS)


@pytest.mark.soak
@pytest.mark.parametrize("name", FORMATS)
def test_very_many_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    lines = fuzzed(name, 100_000, MANY, tmp_path)
    failures = list(wrong(lines))
    seconds = sum(line.get("cpu", 0.0) for line in lines)
    refused = sum(line.get("outcome") == "refused" for line in lines)
    peak = max(line.get("peak_kb", 0) for line in lines) / 1024
    print(
        f"\n{name}: {len(lines)} files, {len(lines) / seconds:.0f} a second of CPU, slowest "
        f"{max(line.get('cpu', 0.0) for line in lines):.2f} s, {refused} refused whole, peak {peak:.0f} MiB, "
        f"bound {MOST_MEMORY >> 20} MiB more than to start"
    )
    assert not failures, "\n".join(failures)
    assert len(lines) == MANY
