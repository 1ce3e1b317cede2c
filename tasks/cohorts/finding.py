"""What there is to explain in a folder: records and EDF files, or cases of NIfTI files; folders below included."""

from __future__ import annotations

from pathlib import Path

from . import isles, open_ms
from .errors import CohortError, UnusableRecording
from .recording import EDF_SUFFIX
from .sleep_table import HYPNOGRAM_ENDING
from .wfdb_files import folder_of_records, record_names
from .wfdb_segments import segment_names

_CASE_LEVELS = 3


def find_recordings(folder: Path) -> list[Path]:
    """Every WFDB header (of those in ``RECORDS`` where there is one, segments of others left out) and EDF file, sorted.

    Paths are relative to ``folder``; hidden files and hypnograms are left out. Raises CohortError if there are none.
    """
    root = folder_of_records(folder, "recordings")
    found = [path for path in _visible(root) if path.suffix.lower() == EDF_SUFFIX]
    found = [path for path in found if not path.name.casefold().endswith(HYPNOGRAM_ENDING.casefold())]
    if (root / "RECORDS").exists() or any(path.suffix == ".hea" for path in _visible(root)):
        records = record_names(root)
        found += [Path(f"{name}.hea") for name in sorted(set(records) - segment_names(root, records))]
    if not found:
        raise CohortError(f"{folder} holds no recording; expected WFDB headers (*.hea) or EDF files (*.edf).")
    return sorted(found)


def find_cases(folder: Path, channels: tuple[str, ...]) -> list[Path]:
    """Every folder that holds a map of ISLES 2017 or an image of the MS data, whichever the version's channels are.

    Paths are relative to ``folder``, sorted. Raises CohortError if there are none.
    """
    root = folder_of_records(folder, "cases")
    files_of = isles.case_files if channels == isles.MAPS else open_ms.patient_files
    found = []
    for level in range(1, _CASE_LEVELS + 1):
        for path in root.glob("/".join("*" * level)):
            relative = path.relative_to(root)
            if not path.is_dir() or any(part.startswith(".") for part in relative.parts):
                continue
            try:
                is_case = bool(files_of(path.parent, path.name))
            except UnusableRecording:  # reading it will tell why
                is_case = True
            if is_case:
                found.append(relative)
    if not found:
        raise CohortError(
            f"{folder} holds no case of the version's maps; expected a folder per case, or --out NAME.nii.gz for one."
        )
    return sorted(found)


def _visible(root: Path) -> list[Path]:
    relative = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return [path for path in relative if not any(part.startswith(".") for part in path.parts)]
