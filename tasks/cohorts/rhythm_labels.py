"""Which annotations of an ECG are samples of eight rhythm classes, and of which: from marks alone, without the signal.

After Vijayarangan et al. (2020), Table I. A sample is the two seconds about an annotation. Two builds:

``table1`` follows the rules that give the table's numbers when the annotation files are counted again. In LTAFDB and
LTDB every annotation within a second of a beat bears the beat's symbol, so that the samples of PVC and PAC are runs;
elsewhere nothing but the beat's own symbol counts. AFIB, SVTA and SBR are the marks where such a rhythm begins: the
sample's first second shows the rhythm before. What comes out exactly: LTAFDB PAC 14,914, PVC 1,318, SBR 11,323, LTDB
PVC 5,137, MITDB AFIB 102. Nearly: LTDB N 517,409 (printed: 517,402), LTAFDB SVTA 3,268 (3,265) and AFIB 7,216 (7,241),
MITDB PVC 7,126 (7,121), PAC 2,545 (2,542), SVTA 26 (22). Not: LTAFDB N 11,960 (10,756), MITDB LBBB 8,066 (6,580), RBBB
7,251 (5,400). MITDB N is 75,013, as printed, if a window may cross the record's end; here it may not.

``clinical`` takes what a class is meant to be:

N           beat N, every annotation within a second is N, the window inside a rhythm marked (N
PVC, PAC    beat V or A, the only one in its window and among its neighbours that is not normal-like
LBBB, RBBB  beat L or R
AFIB, SVTA, SBR  beats that find both bundle branches open, the window inside such an episode

Beats of the first three lines whose window touches an episode of AFIB, SVTA or SBR are of two classes, and dropped. A
record without rhythm marks, as all of LTDB, has no N.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .beat_symbols import BEAT_SYMBOLS, NORMAL_LIKE, UNBLOCKED
from .ecg_windows import ENDS
from .errors import UnusableRecording

Build = Literal["clinical", "table1"]
CLASSES = ("N", "PVC", "PAC", "AFIB", "SVTA", "SBR", "LBBB", "RBBB")
ECTOPIC = {"PVC": "V", "PAC": "A"}
"""Classes that are one beat, and its symbol."""
BEAT_CLASSES = {"N": "N", **ECTOPIC, "LBBB": "L", "RBBB": "R"}
RHYTHM_CLASSES = {"AFIB": "(AFIB", "SVTA": "(SVTA", "SBR": "(SBR"}
NORMAL_RHYTHM = "(N"
RHYTHM_MARK = "+"
PURE = frozenset({"ltafdb", "ltdb"})
"""Recorders whose samples the build ``table1`` takes from pure windows."""
NORMAL_BY_MARK = frozenset({"ltafdb"})
"""Those where its N are the marks at which normal rhythm begins, with nothing but N beats around."""
HALF_WINDOW_SECONDS = 1.0
UNLABELLED = -1
MIXED, SHORT, CHANGE = "another annotation in the window", "episode shorter than a window", "crosses a change of rhythm"
NOT_NORMAL, NOT_ALONE, TWO_CLASSES = "outside normal rhythm", "ectopic beat not alone", "two classes at once"


@dataclass(frozen=True)
class Annotations:
    """A record's marks in order of time: ``samples``, ``symbols``, ``notes`` (mark,).

    ``rate``: hertz, ``length``: samples of the record. Raises UnusableRecording where the order is another.
    """

    samples: NDArray[np.int64]
    symbols: NDArray[np.str_]
    notes: NDArray[np.str_]
    rate: float
    length: int

    def __post_init__(self) -> None:
        back = np.flatnonzero(np.diff(self.samples) < 0)
        if len(back):
            before, after = self.samples[back[0]], self.samples[back[0] + 1]
            raise UnusableRecording(
                f"the annotations are out of order: a mark at sample {after} follows one at sample {before}, "
                "so that a rhythm would end before it begins."
            )


@dataclass(frozen=True)
class Labelled:
    """``marks`` (window,): places of the annotations that are samples; ``labels`` (window,); ``dropped`` by reason."""

    marks: NDArray[np.int64]
    labels: NDArray[np.int64]
    dropped: Mapping[str, int]


def label_marks(marks: Annotations, build: Build, recorder: str) -> Labelled:
    """The samples of one record, as a build takes them.

    ``recorder``: the database or device, on which the rules of ``table1`` depend.
    """
    return _table1(marks, recorder) if build == "table1" else _clinical(marks)


def _table1(marks: Annotations, recorder: str) -> Labelled:
    labels = _by_beat(marks)
    rhythm_marks = marks.symbols == RHYTHM_MARK
    for name, note in RHYTHM_CLASSES.items():
        labels[rhythm_marks & (marks.notes == note)] = CLASSES.index(name)
    mixed = np.zeros(len(labels), dtype=bool)
    if recorder in PURE:
        mixed = ~_alone_with(marks, marks.symbols)
        # A window about a mark that others share is left out for AFIB and SBR; that SVTA is not, the numbers tell.
        mixed[rhythm_marks] = _count_near(marks, rhythm_marks)[rhythm_marks] > 1
        mixed[labels == CLASSES.index("SVTA")] = False
    if recorder in NORMAL_BY_MARK:
        normal = rhythm_marks & (marks.notes == NORMAL_RHYTHM)
        labels[marks.symbols == "N"] = UNLABELLED
        labels[normal] = CLASSES.index("N")
        beats = _count_near(marks, marks.symbols == "N")
        mixed[normal] = (beats < _count_near(marks, np.ones_like(normal)) - 1)[normal]
    return _kept(labels, {ENDS: _crosses_end(marks), MIXED: mixed})


def _clinical(marks: Annotations) -> Labelled:
    half = HALF_WINDOW_SECONDS * marks.rate
    first, last = marks.samples - half, marks.samples + half
    rhythm, start, stop = _rhythms(marks)
    arrhythmia = _touches(marks, tuple(RHYTHM_CLASSES.values()))
    labels = _by_beat(marks)
    unblocked = np.isin(marks.symbols, list(UNBLOCKED))
    for name, note in RHYTHM_CLASSES.items():
        labels[unblocked & (rhythm == note)] = CLASSES.index(name)
    is_rhythm = np.isin(labels, [CLASSES.index(name) for name in RHYTHM_CLASSES])
    is_normal = labels == CLASSES.index("N")
    is_ectopic = np.isin(labels, [CLASSES.index(name) for name in ECTOPIC])
    bound = is_rhythm | (is_normal & (rhythm == NORMAL_RHYTHM))
    return _kept(
        labels,
        {
            ENDS: _crosses_end(marks),
            SHORT: bound & (stop - start < 2 * half),
            CHANGE: bound & ((first < start) | (last > stop)),
            NOT_NORMAL: is_normal & ~bound,
            TWO_CLASSES: ~is_rhythm & arrhythmia,
            MIXED: is_normal & ~_alone_with(marks, marks.symbols),
            NOT_ALONE: is_ectopic & ~_alone_among_normal(marks),
        },
    )


def _by_beat(marks: Annotations) -> NDArray[np.int64]:
    """The class of each mark's symbol, (mark,), UNLABELLED where it has none."""
    labels = np.full(len(marks.samples), UNLABELLED)
    for name, symbol in BEAT_CLASSES.items():
        labels[marks.symbols == symbol] = CLASSES.index(name)
    return labels


def _kept(labels: NDArray[np.int64], refusals: Mapping[str, NDArray[np.bool_]]) -> Labelled:
    """What no refusal (mark,) takes away; each window is counted under the first that does."""
    left, dropped = labels != UNLABELLED, {}
    for reason, refused in refusals.items():
        dropped[reason] = int((left & refused).sum())
        left &= ~refused
    return Labelled(np.flatnonzero(left), labels[left], dropped)


def _crosses_end(marks: Annotations) -> NDArray[np.bool_]:
    half = HALF_WINDOW_SECONDS * marks.rate
    return (marks.samples < half) | (marks.samples + half > marks.length)


def _near(marks: Annotations) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First place and the one after the last of the marks within a second of each, both edges included."""
    half = HALF_WINDOW_SECONDS * marks.rate
    low = np.searchsorted(marks.samples, marks.samples - half, side="left")
    return low, np.searchsorted(marks.samples, marks.samples + half, side="right")


def _count_near(marks: Annotations, which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of the marks ``which`` (mark,) lie within a second of each mark, itself included."""
    low, high = _near(marks)
    before = np.concatenate(([0], np.cumsum(which)))
    return before[high] - before[low]


def _alone_with(marks: Annotations, kinds: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether all marks within a second of each are of its kind."""
    low, high = _near(marks)
    changes = np.concatenate(([0], np.cumsum(kinds[1:] != kinds[:-1])))
    return changes[low] == changes[high - 1]


def _rhythms(marks: Annotations) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
    """The rhythm at each mark, where it begins and where it ends (samples); before the first mark there is none."""
    changes = np.flatnonzero(marks.symbols == RHYTHM_MARK)
    names = np.concatenate(([""], marks.notes[changes]))
    edges = np.concatenate(([0], marks.samples[changes], [marks.length]))
    place = np.searchsorted(marks.samples[changes], marks.samples, side="right")
    return names[place], edges[place], edges[place + 1]


def _touches(marks: Annotations, rhythms: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether the window of each mark shares any point with an episode of one of the rhythms."""
    half = HALF_WINDOW_SECONDS * marks.rate
    changes = np.flatnonzero(marks.symbols == RHYTHM_MARK)
    begins = marks.samples[changes]
    such = np.concatenate(([0], np.cumsum(np.isin(marks.notes[changes], rhythms))))
    at_first = np.searchsorted(begins, marks.samples - half, side="right")
    beyond_last = np.searchsorted(begins, marks.samples + half, side="left")
    # The rhythm that holds at the window's first point counts, and every one that begins inside the window.
    return such[np.maximum(beyond_last, at_first)] > such[np.maximum(at_first - 1, 0)]


def _alone_among_normal(marks: Annotations) -> NDArray[np.bool_]:
    """Whether each beat has a normal-like one before and after it, and no other than such in its window."""
    is_beat = np.isin(marks.symbols, list(BEAT_SYMBOLS))
    is_normal = np.isin(marks.symbols, list(NORMAL_LIKE))
    alone = _count_near(marks, is_beat & ~is_normal) == 1
    beats = np.flatnonzero(is_beat)
    padded = np.concatenate(([False], is_normal[beats], [False]))
    alone[beats] &= padded[:-2] & padded[2:]
    return alone
