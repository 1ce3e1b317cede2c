"""The studies by name. A new one is a reader, a network and one file in `studies/`; nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.errors import UsageError
from tasks.evaluating.evaluation import Job

from .studies.ecg_beats import ECG_BEATS
from .studies.ecg_rhythms import CAM, CRNN, ECG_RHYTHMS, HANNUN, LSTM
from .studies.mnist_scanline import MNIST_SCANLINE
from .studies.ms_lesions import MS_LESIONS
from .studies.sleep_spindles import SLEEP_SPINDLES
from .studies.sleep_stages import SLEEP_STAGES
from .studies.stroke_lesions import STROKE_LESIONS
from .studies.vitals import ICU_VITALS, NICU_VITALS
from .study import Study

STUDIES: Mapping[str, Study] = {
    study.name: study
    for study in (
        ECG_BEATS,
        MNIST_SCANLINE,
        ICU_VITALS,
        NICU_VITALS,
        ECG_RHYTHMS,
        HANNUN,
        CRNN,
        CAM,
        LSTM,
        SLEEP_STAGES,
        SLEEP_SPINDLES,
        STROKE_LESIONS,
        MS_LESIONS,
    )
}


def leading_studies() -> tuple[str, ...]:
    """The studies of which none is another's companion, by name: those that `run --study all` runs."""
    companions = {name for study in STUDIES.values() for name in study.companions.values()}
    return tuple(name for name in STUDIES if name not in companions)


def study_named(name: str) -> Study:
    """The study of that name; raises UsageError naming the known ones."""
    if name not in STUDIES:
        raise UsageError(f"study is {name!r}; expected one of {', '.join(STUDIES)}.")
    return STUDIES[name]


def require_job(study: Study, job: str) -> Job:
    """The job of that name; raises UsageError where it is not defined for the study."""
    for known in study.jobs:
        if known == job:
            return known
    raise UsageError(f"job {job!r} is not defined for {study.name}; defined are {', '.join(study.jobs)}.")
