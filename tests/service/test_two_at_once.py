"""Two identical evaluations at once, in two processes: one works, the other waits and finds the work done."""

from __future__ import annotations

from pathlib import Path

from background import EVALUATE, started
from copying import copy_before_judging
from installation import Installation
from looking import assert_judged_once


def test_two_identical_evaluations_at_once_leave_one(judged: Installation, tmp_path: Path) -> None:
    shared = copy_before_judging(judged, tmp_path / "home", shards=(0,))
    with started(shared, *EVALUATE) as one, started(shared, *EVALUATE) as other:
        assert (one.end(), other.end()) == (0, 0), one.output + other.output
        outputs = sorted((one.output, other.output), key=lambda text: "Unchanged" in text)
    assert "Completed" in outputs[0]
    assert "Unchanged" in outputs[1]
    assert "is under way in another process" in outputs[1]
    assert_judged_once(shared, judged)
