"""Readers bear damaged files of every format: they read, quarantine or refuse in one sentence, within stated limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
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


def fuzzed(name: str, first: int, count: int, folder: Path) -> list[dict[str, Any]]:
    """One line for each damaged file; where the reader's process dies, the next one goes on behind the deadly file."""
    lines: dict[int, dict[str, Any]] = {}
    last, attempt = first + count, 0
    while first < last:
        command = [
            sys.executable,
            str(PROGRAM),
            name,
            str(first),
            str(last - first),
            str(folder / str(attempt)),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"seed"')]
        assert said, f"{name}: {done.stderr[-2000:]}"
        for line in said:
            lines[line["seed"]] = line
        first, attempt = said[-1]["seed"] + 1, attempt + 1
    return list(lines.values())


def wrong(lines: list[dict[str, Any]], name: str) -> Iterator[str]:
    """What a person needs to make it again: format, seed, what was done, what came of it."""
    for line in lines:
        outcome = line.get("outcome", "the process died")
        if outcome not in ("read", "refused"):
            yield f"{name}, seed {line['seed']}, {line['kind']}: {outcome}"
        elif line["cpu"] > SLOWEST:
            yield f"{name}, seed {line['seed']}, {line['kind']}: {line['cpu']:.1f} s of CPU"


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    lines = fuzzed(name, 0, FEW, tmp_path)
    assert not list(wrong(lines, name))
    assert len(lines) == FEW


@pytest.mark.soak
@pytest.mark.parametrize("name", FORMATS)
def test_very_many_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    lines = fuzzed(name, 100_000, MANY, tmp_path)
    failures = list(wrong(lines, name))
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
