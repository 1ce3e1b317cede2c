"""Generated strokes: the file layout, what core and penumbra show, and that loudness does not give the core away."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import binary_dilation

from tasks.cohorts.phantoms.stroke_lesions import MISSING, NUMBERS, write_phantom
from xai.quality.localisation import localisation_metrics

MAPS = ("ADC", "MTT", "rCBF", "rCBV", "Tmax", "TTP")
DARK, LATE = ("ADC", "rCBF", "rCBV"), {"MTT": 3.0, "Tmax": 4.0, "TTP": 5.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cases"
    write_phantom(folder, subjects=8, seed=1)
    return folder


def images(case: Path) -> dict[str, nib.Nifti1Image]:
    """The case's files by map, and by OT."""
    return {path.name.split(".")[4].removeprefix("MR_"): nib.load(path) for path in case.glob("*/*.nii")}


def volumes(case: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The maps (x, y, z) by name, and the truth."""
    found = {name: np.asarray(image.dataobj) for name, image in images(case).items()}
    return found, found.pop("OT") > 0


def cases(folder: Path) -> list[Path]:
    return sorted(folder.glob("training_*"), key=lambda path: int(path.name.split("_")[1]))


def tissue(maps: dict[str, np.ndarray]) -> np.ndarray:
    """Grey and white matter with usual water: neither CSF nor skull, which have other ADC, nor air."""
    return (maps["ADC"] > 600) & (maps["ADC"] < 1200) & (maps["rCBF"] > 10)


def millilitres(case: Path) -> float:
    truth = images(case)["OT"]
    return float(np.asarray(truth.dataobj).sum() * abs(np.linalg.det(truth.affine[:3, :3])) / 1000)


def assert_equal_cases(one: Path, other: Path) -> None:
    names = sorted(path.relative_to(one) for path in one.glob("*/*.nii"))
    assert names == sorted(path.relative_to(other) for path in other.glob("*/*.nii"))
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_the_files_are_named_and_laid_out_as_those_of_isles(folder):
    assert [case.name for case in cases(folder)] == [f"training_{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9)]
    assert len(NUMBERS) == 43
    assert not set(MISSING) & set(NUMBERS)
    for case in cases(folder):
        prefix = "SMIR" if case.name == "training_7" else "VSD"
        kinds = sorted(path.name.rpartition(".")[0] for path in case.iterdir())
        assert kinds == sorted(f"{prefix}.Brain.XX.O.{name}" for name in ["OT", *(f"MR_{name}" for name in MAPS)])
        assert [path.name for path in sorted(case.glob("*/*"))] == [f"{d.name}.nii" for d in sorted(case.iterdir())]
    ids = [path.name.rpartition(".")[2] for path in folder.glob("training_*/*")]
    assert len(set(ids)) == len(ids) == 8 * 7


def test_maps_of_a_case_share_a_grid_and_cases_differ(folder):
    grids = []
    for case in cases(folder):
        found = images(case)
        assert found["OT"].get_data_dtype() == np.uint8
        assert {found[name].get_data_dtype() for name in MAPS} == {np.dtype(np.float32)}
        for name in MAPS:
            assert found[name].shape == found["OT"].shape
            np.testing.assert_array_equal(found[name].affine, found["OT"].affine)
            assert np.isfinite(np.asarray(found[name].dataobj)).all()
        assert nib.aff2axcodes(found["OT"].affine) == ("L", "P", "S")
        assert found["OT"].header.get_xyzt_units()[0] == "mm"
        grids.append((found["OT"].shape, tuple(np.round(found["OT"].header.get_zooms(), 2))))
    usual, fine, coarse = (
        ((64, 64, 19), (3.75, 3.75, 6.5)),
        ((85, 85, 24), (2.82, 2.82, 5)),
        ((43, 43, 25), (5.58, 5.58, 5)),
    )
    assert [grids.count(kind) for kind in (usual, fine, coarse)] == [4, 2, 2]


def test_the_clinical_table_and_the_subjects_name_every_case_once(folder):
    clinical, subjects = pd.read_csv(folder / "ISLES2017_Training.csv"), pd.read_csv(folder / "subjects.csv")
    names = [case.name for case in cases(folder)]
    assert list(clinical["Case"]) == list(subjects["recording"]) == names
    assert clinical["mRS"].between(0, 6).all()
    assert (clinical["Time to treatment"] > clinical["Time since stroke"]).all()
    assert subjects["age"].between(30, 92).all()
    assert set(subjects["sex"]) == {"F", "M"}


def test_the_core_lies_in_the_brain_and_in_one_hemisphere(folder):
    for case in cases(folder):
        maps, core = volumes(case)
        assert core.sum() >= 12
        assert (maps["ADC"][core] > 150).mean() > 0.99
        middle = np.argwhere(maps["TTP"] > 5)[:, 0].mean()
        side = np.argwhere(core)[:, 0] > middle
        assert side.mean() in (0, 1)


def test_the_core_is_dark_and_late_against_the_other_hemisphere(folder):
    for case in cases(folder):
        maps, core = volumes(case)
        middle = round(float(np.argwhere(maps["TTP"] > 5)[:, 0].mean()))
        other = tissue(maps)
        if np.argwhere(core)[:, 0].mean() > middle:
            other[middle:] = False
        else:
            other[: middle + 1] = False
        usual = {name: np.median(values[other]) for name, values in maps.items()}
        for name in DARK:
            assert maps[name][core].mean() < 0.75 * usual[name], (case.name, name)
        for name, seconds in LATE.items():
            assert maps[name][core].mean() > usual[name] + seconds, (case.name, name)


def test_the_penumbra_is_as_late_as_the_core_but_its_water_is_usual(folder):
    for case in cases(folder):
        maps, core = volumes(case)
        around = binary_dilation(core, iterations=3) & ~binary_dilation(core) & tissue(maps)
        late = around & (maps["Tmax"] > 5)
        assert late.sum() > 0.5 * core.sum(), case.name
        assert np.median(maps["ADC"][late]) > 700


def test_loudness_does_not_find_the_core(folder):
    scores = []
    for case in cases(folder):
        maps, core = volumes(case)
        scaled = np.stack([(values - values.min()) / np.ptp(values) for values in maps.values()])
        amplitude = torch.from_numpy(scaled)[None]
        evidence = torch.from_numpy(core)[None, None].expand_as(amplitude)
        found = localisation_metrics(amplitude, evidence)
        scores.append({name: float(value) for name, value in found.items()})
    table = pd.DataFrame(scores)
    assert table["relevance_mass_area_corrected"].max() < 0.05
    assert table["precision_area_corrected"].mean() < 0.05
    assert table["auprc_area_corrected"].mean() < 0.05
    assert table["pointing_game"].mean() <= 0.25


def test_the_loudest_voxel_of_the_dark_maps_is_never_in_the_core(folder):
    for case in cases(folder):
        maps, core = volumes(case)
        for name in DARK:
            assert not core.ravel()[maps[name].argmax()]


def test_who_knows_what_a_core_is_finds_it(folder):
    """The contrasts are where the truth is: little water motion, in tissue with hardly any blood that comes late."""
    overlaps = []
    for case in cases(folder):
        maps, core = volumes(case)
        found = (maps["ADC"] > 200) & (maps["ADC"] < 600) & (maps["rCBV"] < 2.5) & (maps["MTT"] > 7)
        overlaps.append(2 * (found & core).sum() / (found.sum() + core.sum()))
    assert np.mean(overlaps) > 0.75


def test_the_same_seed_writes_the_same_case_whatever_the_number(folder, tmp_path):
    write_phantom(tmp_path / "two", subjects=2, seed=1)
    for case in cases(tmp_path / "two"):
        assert_equal_cases(case, folder / case.name)
    write_phantom(tmp_path / "other", subjects=1, seed=2)
    one, other = (volumes(place / "training_1")[0]["ADC"] for place in (folder, tmp_path / "other"))
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_contrast_changes_the_maps_and_not_the_truth(tmp_path):
    for contrast in (0, 1):
        write_phantom(tmp_path / str(contrast), subjects=2, seed=3, contrast=contrast, distractors=0)
    for case in cases(tmp_path / "0"):
        maps, core = volumes(case)
        shown, again = volumes(tmp_path / "1" / case.name)
        np.testing.assert_array_equal(core, again)
        assert maps["ADC"][core].mean() == pytest.approx(np.median(maps["ADC"][tissue(maps)]), rel=0.15)
        assert shown["ADC"][core].mean() < 0.7 * maps["ADC"][core].mean()


def test_shift_is_a_factor_of_the_whole_map(tmp_path):
    for shift in ("0", "0.3"):
        write_phantom(tmp_path / shift, subjects=1, seed=3, shift=shift)
    plain, shifted = (volumes(tmp_path / shift / "training_1")[0] for shift in ("0", "0.3"))
    shown = {name: np.abs(values) > 1 for name, values in plain.items()}
    factors = {name: shifted[name][shown[name]] / plain[name][shown[name]] for name in MAPS}
    for factor in factors.values():
        np.testing.assert_allclose(factor, factor.mean(), rtol=1e-5)
    assert len({round(float(factor.mean()), 3) for factor in factors.values()} - {1.0}) == len(MAPS)


def test_noise_and_distractors_can_be_left_out(tmp_path):
    write_phantom(tmp_path / "loud", subjects=1, seed=3, shift=0)
    write_phantom(tmp_path / "clean", subjects=1, seed=3, shift=0, noise=0, distractors=0)
    loud, core = volumes(tmp_path / "loud" / "training_1")
    clean, _ = volumes(tmp_path / "clean" / "training_1")
    assert loud["Tmax"].min() < -0.5
    assert clean["Tmax"].min() == 0
    assert loud["rCBF"].max() > 100
    assert clean["rCBF"].max() < 60
    assert core.ravel()[clean["Tmax"].argmax()]


@pytest.mark.parametrize(("setting", "size"), [("age_effect", 0.2), ("sex_effect", -0.9)])
def test_planted_effects_change_the_cores_volume_by_the_set_part(tmp_path, setting, size):
    common = {"subjects": 5, "seed": 4, "side": 96, "distractors": 0}
    write_phantom(tmp_path / "null", **common)
    write_phantom(tmp_path / "planted", **common, **{setting: size})
    facts = pd.read_csv(tmp_path / "null" / "subjects.csv").set_index("recording")
    pd.testing.assert_frame_equal(facts, pd.read_csv(tmp_path / "planted" / "subjects.csv").set_index("recording"))
    for name, row in facts.iterrows():
        step = (row["age"] - 65) / 10 if setting == "age_effect" else 0.5 if row["sex"] == "M" else -0.5
        ratio = millilitres(tmp_path / "planted" / name) / millilitres(tmp_path / "null" / name)
        # The brain's edge takes a part of what a core gains.
        assert np.log(ratio) == pytest.approx(np.log(1 + size * step), abs=0.2), name


def template_mask(path: Path, centre: tuple[float, float, float], radius: float) -> None:
    """A ball in the template's space, millimetres."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-90, -126, -72)
    points = np.indices((91, 109, 91)) * 2.0 + np.array([-90, -126, -72]).reshape(3, 1, 1, 1)
    ball = ((points - np.array(centre).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) < radius**2
    nib.save(nib.Nifti1Image(ball.astype(np.float32), affine), path)


def test_real_masks_are_used_once_each_where_they_lie(tmp_path):
    centres = {(-40.0, -10.0, 25.0), (38.0, 5.0, 30.0), (25.0, -70.0, 20.0)}
    (tmp_path / "masks").mkdir()
    for number, centre in enumerate(sorted(centres)):
        template_mask(tmp_path / "masks" / f"lesion{number}.nii.gz", centre, 15)
    template_mask(tmp_path / "masks" / "speck.nii.gz", (40, 0, 20), 2)
    write_phantom(tmp_path / "cases", subjects=3, masks=str(tmp_path / "masks"))
    met = set()
    for case in cases(tmp_path / "cases"):
        truth = images(case)["OT"]
        middle = np.argwhere(np.asarray(truth.dataobj)).mean(axis=0)
        place = truth.affine[:3, :3] @ middle + truth.affine[:3, 3]
        nearest = min(centres, key=lambda centre: np.linalg.norm(np.array(centre) - place))
        assert np.linalg.norm(np.array(nearest) - place) < 8
        met.add(nearest)
    assert met == centres
    with pytest.raises(ValueError, match="masks holds too few usable lesion masks"):
        write_phantom(tmp_path / "four", subjects=4, masks=tmp_path / "masks")
    assert not (tmp_path / "four").exists()


def test_real_lesions_of_lesymap_become_cores(real_data, tmp_path):
    write_phantom(tmp_path / "cases", subjects=3, masks=real_data("lesymap-masks") / "lesions")
    for case in cases(tmp_path / "cases"):
        maps, core = volumes(case)
        assert core.sum() >= 12
        assert np.median(maps["ADC"][core]) < 600


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="noise is 6; expected a number from 0 to 5"):
        write_phantom(tmp_path / "a", noise=6)
    with pytest.raises(ValueError, match=r"side is '64.5'; expected a whole number from 32 to 256"):
        write_phantom(tmp_path / "a", side="64.5")
    with pytest.raises(ValueError, match=r"subjects is 44; expected 1 to 43\."):
        write_phantom(tmp_path / "a", subjects=44)
    with pytest.raises(ValueError, match=r"masks is '.*nowhere', which is no folder"):
        write_phantom(tmp_path / "a", masks=str(tmp_path / "nowhere"))
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match=r"masks is '.*masks', which holds no \.nii"):
        write_phantom(tmp_path / "a", masks=tmp_path / "masks")
    (tmp_path / "masks" / "broken.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match=r"broken\.nii\.gz is no readable NIfTI file"):
        write_phantom(tmp_path / "a", masks=tmp_path / "masks")
    assert not (tmp_path / "a").exists()
