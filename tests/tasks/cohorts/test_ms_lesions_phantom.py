"""Generated MS cases: the file layout, what lesions show, and that loudness does not give them away."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import binary_dilation

from tasks.cohorts.phantoms.ms_lesions import MAP_FILE, TRUTH_FILE, write_phantom
from xai.quality.localisation import localisation_metrics

MAPS = ("FLAIR", "T1", "T1POST", "T2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cases"
    write_phantom(folder, subjects=5, seed=1)
    return folder


def cases(folder: Path) -> list[Path]:
    return sorted(folder.glob("patient*"))


def volumes(case: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The maps (x, y, z) by name, and the truth."""
    found = {name: np.asarray(nib.load(case / MAP_FILE.format(name=name)).dataobj) for name in MAPS}
    return found, np.asarray(nib.load(case / TRUTH_FILE).dataobj) > 0


def white(maps: dict[str, np.ndarray], lesions: np.ndarray) -> np.ndarray:
    """The brightest of the brain in T1, away from lesions."""
    brain = maps["T1"] > 0
    return (maps["T1"] > np.quantile(maps["T1"][brain], 0.6)) & ~binary_dilation(lesions)


def test_the_files_are_named_and_laid_out_as_the_open_data(folder, real_data):
    assert [case.name for case in cases(folder)] == [f"patient0{number}" for number in range(1, 6)]
    real = next(real_data("open-ms").glob("patient*"))
    for case in cases(folder):
        assert {path.name for path in case.iterdir()} == {path.name for path in real.iterdir()}
    for name in (TRUTH_FILE, *(MAP_FILE.format(name=name) for name in MAPS)):
        mine, theirs = nib.load(cases(folder)[0] / name), nib.load(real / name)
        assert mine.get_data_dtype() == theirs.get_data_dtype()
        assert nib.aff2axcodes(mine.affine) == nib.aff2axcodes(theirs.affine)
        np.testing.assert_array_equal(mine.affine[:3, 3], theirs.affine[:3, 3])
        assert np.array(mine.shape) * 3 == pytest.approx(theirs.shape, abs=1.5)


def test_all_volumes_of_a_case_share_a_grid_and_subjects_name_every_case(folder):
    for case in cases(folder):
        found = [nib.load(path) for path in sorted(case.iterdir())]
        assert {image.shape for image in found} == {(61, 73, 61)}
        for image in found:
            np.testing.assert_array_equal(image.affine, found[0].affine)
            assert np.isfinite(np.asarray(image.dataobj)).all()
    subjects = pd.read_csv(folder / "subjects.csv")
    assert list(subjects["recording"]) == [case.name for case in cases(folder)]
    assert subjects["age"].between(18, 70).all()


def test_lesions_are_bright_in_flair_and_t2_and_dark_in_t1(folder):
    for case in cases(folder):
        maps, lesions = volumes(case)
        around = white(maps, lesions)
        ratio = {name: maps[name][lesions].mean() / np.median(maps[name][around]) for name in MAPS}
        assert ratio["FLAIR"] > 1.3
        assert ratio["T2"] > 1.3
        assert ratio["T1"] < 0.9
        assert ratio["T1POST"] < 0.95


def test_most_lesions_lie_near_the_ventricles(folder):
    """Beside deep CSF, which is bright in T2 and far from the brain's surface."""
    near, share = [], []
    for case in cases(folder):
        maps, lesions = volumes(case)
        brain = maps["T1"] > 0
        deep = np.zeros_like(brain)
        deep[22:40, 22:52, 22:38] = True
        ventricles = deep & (maps["T2"] > 0.6 * maps["T2"].max())
        beside = binary_dilation(ventricles, iterations=4)
        near.append((beside & lesions).sum() / lesions.sum())
        share.append((beside & brain).sum() / brain.sum())
    assert np.mean(near) > 3 * np.mean(share)


def test_loudness_does_not_find_the_lesions(folder):
    scores = []
    for case in cases(folder):
        maps, lesions = volumes(case)
        scaled = np.stack([(values - values.min()) / np.ptp(values) for values in maps.values()])
        amplitude = torch.from_numpy(scaled)[None]
        found = localisation_metrics(amplitude, torch.from_numpy(lesions)[None, None].expand_as(amplitude))
        scores.append({name: float(value) for name, value in found.items()})
        for name in MAPS:
            assert not lesions.ravel()[maps[name].argmax()]
    table = pd.DataFrame(scores)
    assert table["relevance_mass_area_corrected"].max() < 0.03
    assert table["precision_area_corrected"].mean() < 0.03
    assert table["auprc_area_corrected"].mean() < 0.05


def test_the_same_seed_writes_the_same_case_whatever_the_number(folder, tmp_path):
    write_phantom(tmp_path / "two", subjects=2, seed=1)
    write_phantom(tmp_path / "other", subjects=1, seed=2)
    for case in cases(tmp_path / "two"):
        maps, lesions = volumes(case)
        again, truth = volumes(folder / case.name)
        np.testing.assert_array_equal(lesions, truth)
        for name in MAPS:
            np.testing.assert_array_equal(maps[name], again[name])
    assert not np.array_equal(volumes(folder / "patient01")[1], volumes(tmp_path / "other" / "patient01")[1])


def test_distractors_change_the_maps_and_not_the_truth(folder, tmp_path):
    write_phantom(tmp_path / "plain", subjects=1, seed=1, distractors=0)
    plain, truth = volumes(tmp_path / "plain" / "patient01")
    loud, again = volumes(folder / "patient01")
    np.testing.assert_array_equal(truth, again)
    assert loud["T1POST"].max() > 2 * plain["T1POST"].max()
    assert truth.ravel()[plain["FLAIR"].argmax()]


def test_age_changes_the_number_of_lesions_by_the_set_part(tmp_path):
    """Volumes of many young and old: the slope of log volume on age appears with the effect and not without."""
    slopes = {}
    for effect in (0.0, 0.3):
        place = tmp_path / str(effect)
        write_phantom(place, subjects=30, seed=5, spacing=4, lesions=40, distractors=0, age_effect=effect)
        ages = pd.read_csv(place / "subjects.csv")["age"]
        volume = [np.asarray(nib.load(case / TRUTH_FILE).dataobj).sum() for case in cases(place)]
        slopes[effect] = np.polyfit(ages / 10, np.log(volume), 1)[0]
    assert abs(slopes[0.0]) < 0.15
    assert slopes[0.3] - slopes[0.0] == pytest.approx(0.3, abs=0.1)


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"spacing is 0\.5; expected a number from 1 to 4"):
        write_phantom(tmp_path / "a", spacing=0.5)
    with pytest.raises(ValueError, match="The phantom has no setting 'masks'; expected one of spacing, lesions"):
        write_phantom(tmp_path / "a", masks="x")
    with pytest.raises(ValueError, match=r"subjects is 0; expected 1 to 99\."):
        write_phantom(tmp_path / "a", subjects=0)
    assert not (tmp_path / "a").exists()
