"""Blocks freed are used again: counted in page faults, which a quiet and a busy machine have alike."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library has no mallopt")

TAKE_AND_GIVE_BACK = """
import resource
if {keep}:
    from tasks.allocator import keep_freed_memory
    keep_freed_memory()
import {imported}
def take():
    torch.ones(16 * 2**20, dtype=torch.float32)  # 64 MiB: 16,384 pages
for _ in range(20):  # the heap grows to its size
    take()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    take()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 16 * 2**20 * 4 // 4096


def _faults(*, keep: bool, imported: str = "torch") -> int:
    program = TAKE_AND_GIVE_BACK.format(keep=keep, imported=imported)
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def test_a_block_is_zeroed_once_and_not_at_every_use() -> None:
    given_back, kept = _faults(keep=False), _faults(keep=True)
    if given_back < PAGES:
        pytest.skip(f"this system hands out large pages: {given_back} faults for ten times {PAGES} small ones")
    assert kept < given_back / 10


def test_every_flow_keeps_freed_memory() -> None:
    assert _faults(keep=False, imported="torch, flows") < PAGES
