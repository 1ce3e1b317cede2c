"""Recordings that bear a patient's name, birth date and hospital number wherever a file, its name or a table can."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import zarr

CANARIES = ("Zwiebelfisch", "19310407", "07.04.1931", "07-APR-1931", "H7734201")
"""A name, a birth date in three spellings, a hospital number."""
MARK = "Zwiebelfisch_19310407_H7734201"
SENTENCE = "Zwiebelfisch, Anna, *07.04.1931, H7734201"
HOSTILE = "<img src=x onerror=owned()>\u202e'; DROP TABLE scores;-- ../../x"
"""A drug: markup, a mark that turns the direction of text, SQL and a path."""
_EXPRESSION = re.compile("|".join(map(re.escape, CANARIES)).encode(), re.IGNORECASE)


def planted_ecg(phantom: Path, folder: Path) -> int:
    """The phantom's records under names of patients in a folder with another's; returns how many canaries there are.

    One record is cut short, one lacks its lead, one has a header of words; ``subjects.csv`` names subjects, of whom
    five take the drug `HOSTILE`.
    """
    folder.mkdir(parents=True)
    headers = sorted(phantom.glob("*.hea"))
    names, rows = [], ["recording,subject,age,sex,medication"]
    for number, header in enumerate(headers):
        name = f"{MARK}{number}"
        names.append(name)
        drug = HOSTILE if number < 5 else "none"
        rows.append(f"{name},{SENTENCE.replace(',', '')} {number},{88 + number},{'FM'[number % 2]},{drug}")
        for ending in (".dat", ".atr", ".evd"):
            shutil.copy(header.with_suffix(ending), folder / f"{name}{ending}")
        text = header.read_text().replace(header.stem, name).replace("# None", f"# {SENTENCE}")
        (folder / f"{name}.hea").write_text(f"{text}# {SENTENCE}\n")
    cut, other, words = names[-3:]
    (folder / f"{cut}.dat").write_bytes(b"xx")
    path = folder / f"{other}.hea"
    path.write_text(path.read_text().replace("MLII", SENTENCE.split(",")[0]))
    (folder / f"{words}.hea").write_text(f"{words} {SENTENCE}\n")
    (folder / "RECORDS").write_text("\n".join([*names, f"{MARK}-absent"]) + "\n")
    (folder / "subjects.csv").write_text("\n".join(rows) + "\n")
    return sum(len(_EXPRESSION.findall(path.read_bytes() + path.name.encode())) for path in folder.iterdir())


def planted_edf(folder: Path) -> None:
    """Patient, recording, transducer and prefilter of every EDF header in the folder; the files get other names."""
    for path in sorted(folder.glob("*.edf")):
        content = bytearray(path.read_bytes())
        signals = int(content[252:256])
        content[8:88] = f"H7734201 F 07-APR-1931 {MARK}"[:80].ljust(80).encode()
        content[88:168] = b"Startdate 07-APR-1931 H7734201 Zwiebelfisch X"[:80].ljust(80)
        transducer = 256 + 16 * signals
        prefilter = transducer + (80 + 8 * 5) * signals
        for place in (transducer, prefilter):
            content[place : place + 80 * signals] = SENTENCE.ljust(80).encode() * signals
        path.write_bytes(bytes(content))
        path.rename(path.with_name(f"{MARK}{path.name}"))
    table = folder / "subjects.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(MARK + line for line in lines[1:])]) + "\n")


def planted_nifti(folder: Path) -> None:
    """The texts of every NIfTI header in the folder, and an extension behind it."""
    for path in [*folder.rglob("*.nii"), *folder.rglob("*.nii.gz")]:
        image = nibabel.load(path)
        values = np.array(image.dataobj)  # no map of the file that is written below
        header = image.header.copy()
        header["descrip"], header["aux_file"] = SENTENCE.encode(), MARK[:23].encode()
        header["intent_name"], header["db_name"] = b"H7734201", b"Zwiebelfisch"
        header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", SENTENCE.encode()))
        nibabel.save(nibabel.Nifti1Image(values, image.affine, header), path)


def found_in(home: Path, also: tuple[bytes, ...] = ()) -> list[str]:
    """Files below ``home`` whose name, bytes or unpacked content hold a canary, or any of ``also``."""
    expression = re.compile(b"|".join([_EXPRESSION.pattern, *map(re.escape, also)]), re.IGNORECASE)
    leaks = []
    for path in sorted(home.rglob("*")):
        if expression.search(path.relative_to(home).as_posix().encode()):
            leaks.append(f"name of {path.relative_to(home)}")
        if path.is_file() and any(expression.search(content) for content in _contents(path)):
            leaks.append(str(path.relative_to(home)))
    return leaks


def _contents(path: Path):
    """The file's bytes; of a compressed one also what is in it."""
    content = path.read_bytes()
    yield content
    yield content.replace(b"\0", b"")  # text in two bytes a character
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if path.suffix == ".parquet":
        import pandas as pd

        table = pd.read_parquet(path)
        yield table.to_json().encode()
        yield str(table.attrs).encode()
    if path.name == "zarr.json" and b'"array"' in content:
        array = zarr.open_array(path.parent, mode="r")
        if array.dtype.kind not in "fiub":
            yield str(array[:].tolist()).encode()
