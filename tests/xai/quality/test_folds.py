from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr

from xai.quality.folds import fold_agreement


def test_agreement_is_the_mean_over_pairs_of_scipys_spearman() -> None:
    maps = list(torch.randn(3, 4, 2, 9, generator=torch.Generator().manual_seed(0)))
    found = fold_agreement(maps)
    for sample in range(4):
        flat = [values[sample].flatten().numpy() for values in maps]
        pairs = [spearmanr(flat[a], flat[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
        assert found[sample] == pytest.approx(sum(pairs) / 3)


def test_equal_maps_agree_whatever_their_scale_and_a_constant_one_is_undefined() -> None:
    values = torch.randn(2, 1, 9, generator=torch.Generator().manual_seed(1))
    assert fold_agreement([values, 7 * values + 1]).tolist() == pytest.approx([1, 1])
    broken = values.clone()
    broken[1] = 0
    assert torch.isnan(fold_agreement([values, broken])).tolist() == [False, True]
    with pytest.raises(ValueError, match="maps are of 1 member; expected 2 or more"):
        fold_agreement([values])
