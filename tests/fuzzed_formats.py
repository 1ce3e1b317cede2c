"""The formats that are fuzzed: a tiny sound folder of each, and the reader that it is given to."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import wfdb
from nifti_writing import AFFINE, write_case, write_nifti

from tasks.cohorts.case_samples import read_case_samples
from tasks.cohorts.dreams_spindles import read_spindles
from tasks.cohorts.edf_stages import CHANNELS, RATE, read_stages
from tasks.cohorts.idx_images import read_idx_images
from tasks.cohorts.isles import MAPS, read_isles
from tasks.cohorts.open_ms import MAPS as MS_MAPS
from tasks.cohorts.open_ms import read_open_ms
from tasks.cohorts.phantoms import sleep_spindles, sleep_stages
from tasks.cohorts.recording import read_recording
from tasks.cohorts.wfdb_beats import read_beats
from tasks.cohorts.wfdb_rhythms import read_rhythms
from tasks.cohorts.wfdb_vitals import read_vitals

KEY = b"0123456789abcdef"
SUBJECTS = "recording,subject,age,sex,ward\n{0},one,61,F,3\n{1},two,47,M,4\n"
Read = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Format:
    """``write`` makes a sound folder, ``read(folder, out)`` is what must bear every mutation of one of its files."""

    write: Callable[[Path], None]
    read: Read


def _beats(folder: Path) -> None:
    for number, name in enumerate(("p1", "p2")):
        _record(folder, name, ("MLII", "V1"), 360, ["N", "V", "N", "/", "L", "R"], number)
    (folder / "RECORDS").write_text("p1\np2\n")
    (folder / "subjects.csv").write_text(SUBJECTS.format("p1", "p2"))


def _rhythms(folder: Path) -> None:
    for number, name in enumerate(("one/p1", "two/p2")):
        (folder / name).parent.mkdir(parents=True)
        _record(folder, name, ("MLII",), 360, ["+", "N", "V", "N", "A", "+", "N", "N"], number, ["(N", "(AFIB"])


def _record(
    folder: Path, name: str, leads: tuple[str, ...], rate: int, symbols: list[str], seed: int, notes: list[str] = ()
) -> None:
    rng = np.random.default_rng(seed)
    times = rate * (2 + np.arange(len(symbols)))
    signal = rng.normal(0, 0.02, (rate * (len(symbols) + 4), len(leads)))
    for time in times:
        signal[time - 4 : time + 5] += np.hanning(9)[:, None]
    home, stem = folder / Path(name).parent, Path(name).name
    units, layout = ["mV"] * len(leads), ["212"] * len(leads)
    comments = [f"{60 + seed} F {seed} phantom x1", "None"]
    wfdb.wrsamp(
        stem,
        fs=rate,
        units=units,
        sig_name=list(leads),
        p_signal=signal,
        fmt=layout,
        comments=comments,
        write_dir=str(home),
    )
    told = iter(notes)
    wfdb.wrann(
        stem,
        "atr",
        times,
        symbol=symbols,
        aux_note=[next(told, "") if s == "+" else "" for s in symbols],
        write_dir=str(home),
    )
    wfdb.wrann(stem, "evd", np.array([times[1] - 9, times[1] + 9]), symbol=["(", ")"], write_dir=str(home))


def _vitals(folder: Path) -> None:
    """Two patients; the first record lies in two segments with a gap, under a layout."""
    rng = np.random.default_rng(0)
    for number in range(2):
        time = np.arange(125 * 10) / 125
        pulse = 90 + 20 * np.sin(2 * np.pi * 1.3 * time) + rng.normal(0, 0.1, len(time))
        ecg = np.sin(2 * np.pi * 1.3 * time) ** 9 + rng.normal(0, 0.01, len(time))
        tracks = np.column_stack([ecg, pulse])
        kinds = {"fs": 125, "units": ["mV", "mmHg"], "sig_name": ["II", "ABP"], "fmt": ["16", "16"]}
        if number:
            wfdb.wrsamp("bed2", p_signal=tracks, write_dir=str(folder), **kinds)
            continue
        for part, rows in enumerate(np.split(tracks, 2)):
            wfdb.wrsamp(f"bed1_{part}", p_signal=rows, write_dir=str(folder), **kinds)
        layout = "bed1_layout 2 125 0\n~ 0 1(0)/mV 0 0 0 0 0 II\n~ 0 1(0)/mmHg 0 0 0 0 0 ABP\n"
        (folder / "bed1_layout.hea").write_text(layout)
        listed = "bed1_layout 0\nbed1_0 625\n~ 100\nbed1_1 625\n"
        (folder / "bed1.hea").write_text(f"bed1/4 2 125 1350\n{listed}# 61 F\n")


def _nights(folder: Path) -> None:
    whole = folder.with_name(f"{folder.name}-whole")
    sleep_stages.write_phantom(whole, subjects=1, minutes=10)
    for file in sorted(whole.glob("*01J*")) or sorted(whole.iterdir())[:3]:
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "subjects.csv").write_text((whole / "subjects.csv").read_text())


def _spindles(folder: Path, as_text: bool) -> None:
    whole = folder.with_name(f"{folder.name}-whole")
    sleep_spindles.write_phantom(whole, subjects=1, minutes=1)
    for file in whole.iterdir():
        if not (as_text and file.suffix == ".edf"):
            (folder / file.name).write_bytes(file.read_bytes())
    if as_text:
        marks = next(whole.glob("Visual_scoring1*")).read_text()
        derivation = marks.splitlines()[0].partition("/")[2].rstrip("]")
        stages = len((whole / "Hypnogram_excerpt1.txt").read_text().split("\n")[1:]) or 12
        values = np.random.default_rng(0).normal(0, 10, 50 * 5 * 12)
        (folder / "Hypnogram_excerpt1.txt").write_text("[hypnogram]\n" + "2\n" * 12)
        (folder / "excerpt1.txt").write_text(f"[{derivation}]\n" + "\n".join(f"{v:.3f}" for v in values) + "\n")
        assert stages


def _cases(folder: Path, suffix: str) -> None:
    write_case(folder, 1, suffix=suffix)
    (folder / "ISLES2017_Training.csv").write_text("Case,mRS,TICI,TSS,TTT\ntraining_1,2,2b,120,200\n")
    (folder / "subjects.csv").write_text(SUBJECTS.format("training_1", "training_2"))


def _patients(folder: Path) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((14, 12, 10), dtype=np.uint8)
    mask[3:5, 4:6, 4:6] = 1
    for token in (*MS_MAPS, "GOLD_STANDARD"):
        values = mask if token.startswith("GOLD") else rng.uniform(10, 20, mask.shape).astype(np.float32)
        write_nifti(folder / "patient01" / f"{token}_N4.nii.gz", values, AFFINE)
    (folder / "subjects.csv").write_text("recording,age,sex\npatient01,47,F\n")


def _digits(folder: Path, packed: bool) -> None:
    rng = np.random.default_rng(0)
    for prefix, axes in itertools.product(("train", "t10k"), (3, 1)):
        values = rng.integers(0, 256, (12, 6, 6)) if axes == 3 else np.arange(12) % 10
        content = bytes([0, 0, 8, axes]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()
        kind = "images" if axes == 3 else "labels"
        path = folder / f"{prefix}-{kind}-idx{axes}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)


def _explained(name: str, channels: tuple[str, ...], rate: float, window: int) -> Read:
    return lambda folder, out: read_recording(folder / name, channels, rate, window)


def _vitals_read(folder: Path, out: Path) -> object:
    return read_vitals(folder, role_sets=(("ECG", "PULSE"),), window=50, rate=50.0, block_seconds=2.0, key=KEY, out=out)


def _kept(read: Callable[..., object], **given: object) -> Read:
    return lambda folder, out: read(folder, key=KEY, out=out, **given)


FORMATS = {
    "wfdb beats": Format(_beats, _kept(read_beats)),
    "wfdb rhythms": Format(_rhythms, _kept(read_rhythms, absent="leave_out")),
    "wfdb vitals": Format(_vitals, _vitals_read),
    "edf stages": Format(_nights, _kept(read_stages)),
    "edf spindles": Format(partial(_spindles, as_text=False), _kept(read_spindles)),
    "text spindles": Format(partial(_spindles, as_text=True), _kept(read_spindles)),
    "nifti stroke": Format(partial(_cases, suffix=".nii"), _kept(read_isles, size=(3, 6, 6))),
    "nifti.gz stroke": Format(partial(_cases, suffix=".nii.gz"), _kept(read_isles, size=(3, 6, 6))),
    "nifti.gz ms": Format(_patients, _kept(read_open_ms, patch=(3, 4, 4), per_patient=4)),
    "idx": Format(partial(_digits, packed=False), _kept(read_idx_images)),
    "idx.gz": Format(partial(_digits, packed=True), _kept(read_idx_images)),
    "explain wfdb": Format(_beats, _explained("p1.hea", ("MLII",), 360.0, 216)),
    "explain vitals": Format(_vitals, _explained("bed1.hea", ("ECG", "PULSE"), 50.0, 50)),
    "explain edf": Format(
        _nights, lambda f, o: read_recording(next(f.glob("*-PSG.edf"), f / "gone.edf"), CHANNELS, RATE, 3000)
    ),
    "explain case": Format(
        partial(_cases, suffix=".nii.gz"), lambda f, o: read_case_samples(f / "training_1", MAPS, (3, 6, 6))
    ),
}
"""By name."""
