"""A sample is judged by a member that never saw its subject, on the version's own cohort and on any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from volumes import CONFIG, GRID

from models import build_network
from models.bundle import Bundle, BundleConfig, load_bundle, save_bundle
from models.lstm import LSTMClassifier
from models.sleep_cnn import SleepCNN
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.store import Cohort
from tasks.cohorts.wfdb_beats import read_beats
from tasks.errors import PlumblineError
from tasks.evaluating.judges import MEAN_OF_MEMBERS, judging_members, network_of
from tasks.training.splits import split_table, subject_folds
from xai.methods import explainer
from xai.protocols import IntervalClassifier, PrefixClassifier

KEY = b"a key of sixteen bytes or more"


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Cohort]:
    """Six phantom subjects, and the same six after two new ones have come."""
    root = tmp_path_factory.mktemp("cohorts")
    found = []
    for subjects in (6, 8):
        write_phantom(root / f"records{subjects}", subjects=subjects, beats_per_class=3)
        found.append(read_beats(root / f"records{subjects}", key=KEY, out=root / f"cohort{subjects}"))
    return found[0], found[1]


def bundle_of(folder: Path, cohort: Cohort, mode: str = "corrected") -> Path:
    config = BundleConfig(
        network="lstm",
        arguments={"channels": 1, "classes": 5, "hidden": (4,)},
        normalisation="zscore",
        classes=cohort.classes,
        channels=cohort.channels,
        units=("mV",),
        sampling_rate=360.0,
        window=cohort.manifest["window"],
        study="study",
        mode=mode,
        cohort_digest=cohort.digest,
    )
    torch.manual_seed(0)
    save_bundle(folder, config, [LSTMClassifier(1, 5, (4,)) for _ in range(2)])
    table = split_table(subject_folds(cohort.samples, 2, 0))
    subject = table["sample"].map(cohort.samples["subject"]).map(cohort.subjects["subject"])
    table.assign(subject=subject).to_parquet(folder / "splits.parquet")
    return folder


def seen_by(bundle: Path) -> dict[int, set[str]]:
    splits = pd.read_parquet(bundle / "splits.parquet")
    known = splits[splits["part"] != "test"]
    return {int(member): set(rows["subject"]) for member, rows in known.groupby("member")}


def test_no_subject_is_judged_by_a_member_that_saw_it(cohorts: tuple[Cohort, Cohort], tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", cohorts[0])
    seen = seen_by(bundle)
    for cohort in cohorts:
        members = judging_members(cohort, bundle)
        assert len(members) == len(cohort)
        pseudonyms = cohort.samples["subject"].map(cohort.subjects["subject"])
        for sample, member in members.items():
            assert member == MEAN_OF_MEMBERS or pseudonyms[sample] not in seen[member]


def test_new_subjects_and_only_they_are_judged_by_the_mean(cohorts: tuple[Cohort, Cohort], tmp_path: Path) -> None:
    first, grown = cohorts
    members = judging_members(grown, bundle_of(tmp_path / "bundle", first))
    by_mean = set(grown.samples.loc[members == MEAN_OF_MEMBERS, "subject"].map(grown.subjects["subject"]))
    assert by_mean == set(grown.subjects["subject"]) - set(first.subjects["subject"])
    assert len(by_mean) == 2


def test_a_paper_version_does_not_judge_another_cohort(cohorts: tuple[Cohort, Cohort], tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", cohorts[0], mode="paper")
    assert len(judging_members(cohorts[0], bundle)) > 0
    with pytest.raises(PlumblineError, match="paper mode"):
        judging_members(cohorts[1], bundle)


def test_the_mean_of_members_explains_as_the_mean_of_their_maps(cohorts: tuple[Cohort, Cohort], tmp_path: Path) -> None:
    bundle = load_bundle(bundle_of(tmp_path / "bundle", cohorts[0]))
    inputs = bundle.normalise(torch.from_numpy(cohorts[0].signals(np.arange(3))))
    targets, seeds = torch.tensor([0, 1, 2]), torch.arange(3)
    for name in ("occlusion_w10", "gradient", "lrp_epsilon"):
        maps = [
            explainer(name).attribute(network, inputs, targets, seeds=seeds)
            for network in (network_of(bundle, 0), network_of(bundle, 1), network_of(bundle, MEAN_OF_MEMBERS))
        ]
        torch.testing.assert_close(maps[2], (maps[0] + maps[1]) / 2, atol=1e-6, rtol=1e-4)


def test_the_mean_of_sleep_networks_keeps_the_short_way_through_an_interval() -> None:
    config = BundleConfig(
        "sleep-cnn", {}, "none", ("a", "b"), ("EEG",), ("uV",), 100.0, 300, "s", "corrected", "0" * 16
    )
    torch.manual_seed(0)
    mean = network_of(Bundle(config, (SleepCNN(1, 2, 2).eval(), SleepCNN(1, 2, 2).eval())), MEAN_OF_MEMBERS)
    assert isinstance(mean, IntervalClassifier)
    assert not isinstance(mean, PrefixClassifier)
    inputs, starts = torch.randn(2, 1, 300), torch.tensor([0, 100])
    found = mean.interval_logits(inputs, torch.zeros_like(inputs), starts, starts + 50)
    for row, start in zip(found, starts.tolist(), strict=True):
        changed = inputs.clone()
        changed[..., start : start + 50] = 0
        torch.testing.assert_close(row, mean(changed).detach(), rtol=0, atol=1e-5)


def test_the_mean_of_members_that_segment_has_a_logit_per_voxel(tmp_path: Path) -> None:
    bundle = load_bundle(save_bundle(tmp_path, CONFIG, [build_network("unet3d", **CONFIG.arguments) for _ in range(3)]))
    inputs = torch.randn(2, 2, *GRID)
    with torch.no_grad():
        found = network_of(bundle, MEAN_OF_MEMBERS)(inputs)
        assert torch.allclose(found, sum(member(inputs) for member in bundle.members) / 3, atol=1e-6)
    assert found.shape == (2, 2, *GRID)
    assert network_of(bundle, 1) is bundle.members[1]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"volume": [6, 24, 5]}, r"the data have the volume \[6, 24, 5\]; the version expects \[6, 12, 10\]"),
        ({"volume": None}, r"the data have the volume None; the version expects \[6, 12, 10\]"),
        ({"channels": ["ADC"]}, r"the data have the channels \['ADC'\]; the version expects \['ADC', 'Tmax'\]"),
    ],
)
def test_volumes_of_another_grid_are_refused(tmp_path: Path, changed: dict[str, object], sentence: str) -> None:
    save_bundle(tmp_path, CONFIG, [build_network("unet3d", **CONFIG.arguments)])
    pd.DataFrame({"sample": [0], "member": 0, "part": "test"}).to_parquet(tmp_path / "splits.parquet")
    manifest = {
        "digest": "another", "study": "boxes", "classes": list(CONFIG.classes), "channels": list(CONFIG.channels),
        "units": list(CONFIG.units), "sampling_rate": 1.0, "subject_kind": "case", "image": None,
        "volume": list(GRID), "window": CONFIG.window, "has_evidence": True,
    }  # fmt: skip
    with pytest.raises(PlumblineError, match=sentence):
        judging_members(Cohort(tmp_path, manifest | changed), tmp_path)
