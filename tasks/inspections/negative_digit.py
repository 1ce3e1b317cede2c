"""Does a grey block give the negative of the digit? The paper's remark on block occlusion, as a correlation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xai.methods import Occlusion
from xai.quality.faithfulness import pearson

from ..drawing.geometry import Geometry
from ..drawing.negative_digit import ShownDigit, negative_digit
from .affordable import affordable, by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

SAMPLES = 400
"""At 216 steps: 28 x 28 images get 30."""
VALUES = (0.0, 0.5)
MAPS = {
    "paper": "summed probability, as printed",
    "paper per block": "mean probability that is left",
    "corrected": "fall in logit, high = important",
}
"""The second is the first without its edge: pixels near the border are covered by fewer blocks and sum to less."""
BLOCK = 5 / 28
"""Side of the paper's block in widths of its images."""
MOST_PLACES = 15
"""Places of the block along a side, about: a stride of 2 on images of 28 x 28."""
STROKE = 0.5
"""Where no stroke is marked: pixels above this share of the image's range."""
SHOWN = 4
KEYS = ["value", "map"]

TEXT = """The paper occludes {side} x {side} pixels of an image at a time ({side} runs of {side} steps, one row of
{columns} steps apart) and finds that the value 0.5 "yields the negative of the actual digit". Per image: the
correlation over pixels of the map with the stroke (1 on it, 0 off it; {stroke}). Negative: the interval of its mean
over {kind}s lies under 0. As printed a map is the sum of the true class's probability over the blocks that cover a
pixel, so that a low value marks what matters and a negative says that the strokes matter; it is also low along the
border, which fewer blocks cover, and so high where digits are: divided by their number it is the mean probability
that is left. Corrected, a map is the mean fall in logit and a high value marks what matters, so that only a negative
there says that the network looks at what surrounds the digit. Values are in the network's units (normalisation
{normalisation}), blocks {stride} apart. {samples} images, each judged by a network that never saw its {kind}."""


def inspect(looked: Inspected) -> Finding:
    """Correlation of block occlusion maps with the stroke by value and kind of map; for scan-line images only.

    Raises ValueError where the cohort's samples are no images.
    """
    if looked.cohort.image is None:
        raise ValueError(f"the samples of {looked.cohort.study} are no images; expected scan lines of images.")
    rows = affordable(looked, SAMPLES)
    how = block_for(looked.cohort.image)
    maps = _maps(looked, rows, how)
    correlations = _correlations(looked, rows, maps)
    means = subject_means(correlations, KEYS, "correlation")
    return Finding(
        title="Does a grey block give the negative of the digit?",
        text=TEXT.format(
            side=how.width,
            columns=how.scan,
            stroke="as marked" if looked.cohort.has_evidence else f"pixels above {STROKE:.0%} of the image's range",
            kind=looked.cohort.subject_kind,
            normalisation=looked.bundle.config.normalisation,
            stride=how.stride,
            samples=len(rows),
        ),
        verdicts=tuple(_words(looked, means)),
        figures={"negative-digit": _drawn(looked, rows, maps, correlations)},
        tables={"negative_digit": means, "negative_digit_images": correlations},
    )


def block_for(image: tuple[int, int]) -> Occlusion:
    """The paper's block scaled to the image, at least 2 pixels wide; small images are covered at every place."""
    side = max(2, round(BLOCK * image[1]))
    stride = max(1, min(side, round((image[1] - side) / MOST_PLACES)))
    return Occlusion(side, stride, scan=image[1])


def _maps(looked: Inspected, rows: pd.DataFrame, how: Occlusion) -> dict[tuple[float, str], Tensor]:
    """Maps ``(sample, 1, time)`` in the order of ``rows``, by value and kind of map."""
    parts, order = [], []
    for network, part in by_judge(looked, rows):
        inputs, targets = looked.inputs(part), looked.targets(part)
        found = {}
        for value in VALUES:
            for name, values in _maps_of(network, inputs, targets, replace(how, value=value)).items():
                found[value, name] = values
        parts.append(found)
        order.append(rows.index.get_indexer(part.index))
    back = torch.from_numpy(np.concatenate(order).argsort())
    return {key: torch.cat([found[key] for found in parts])[back] for key in parts[0]}


def _maps_of(network: nn.Module, inputs: Tensor, targets: Tensor, how: Occlusion) -> dict[str, Tensor]:
    """The three kinds of map from one run of the network."""
    logits = how.window_logits(network, inputs)
    paper = replace(how, direction="paper").attribution_of(logits, targets, inputs)
    return {
        "paper": paper,
        "paper per block": paper / how.windows_on(inputs).covering(paper).flatten(),
        "corrected": how.attribution_of(logits, targets, inputs),
    }


def _strokes(looked: Inspected, rows: pd.DataFrame) -> Tensor:
    """The stroke ``(sample, pixel)``, bool: as marked, else the pixels above half of the image's range."""
    if looked.cohort.has_evidence:
        return torch.from_numpy(looked.cohort.evidence(rows["sample"].to_numpy())).flatten(1)
    pixels = torch.from_numpy(looked.signals(rows)).flatten(1)
    low, high = pixels.amin(1, keepdim=True), pixels.amax(1, keepdim=True)
    return pixels > low + STROKE * (high - low)


def _correlations(looked: Inspected, rows: pd.DataFrame, maps: dict[tuple[float, str], Tensor]) -> pd.DataFrame:
    """One row per image, value and kind of map; NaN where a map or a stroke does not vary."""
    strokes = _strokes(looked, rows).double()
    tables = [
        rows[["sample", "subject", "label"]].assign(
            value=value, map=name, correlation=pearson(found.flatten(1).double(), strokes).numpy()
        )
        for (value, name), found in maps.items()
    ]
    return pd.concat(tables, ignore_index=True)


def judgement(mean: pd.Series) -> str:
    """Whether a mean correlation with its interval is that of a negative, a positive, or of neither."""
    if not np.isfinite(mean["ci_low"]):
        return "undecided"
    if mean["ci_high"] < 0:
        return "yes"
    return "no, a positive" if mean["ci_low"] > 0 else "no, neither negative nor positive"


def _words(looked: Inspected, means: pd.DataFrame) -> Iterator[str]:
    kind = looked.cohort.subject_kind
    for name, words in MAPS.items():
        for value in VALUES[::-1]:
            row = one_row(means, value=value, map=name)
            undefined = f", {row['undefined']} undefined" if row["undefined"] else ""
            yield (
                f"a block of {value:g} gives the negative of the digit ({words}): {judgement(row)}; correlation with "
                f"the stroke {interval_text(row)}, {row['subjects']} {kind}s{undefined}"
            )


def _drawn(
    looked: Inspected, rows: pd.DataFrame, maps: dict[tuple[float, str], Tensor], correlations: pd.DataFrame
) -> Drawn:
    first = rows.drop_duplicates("label").index[:SHOWN]
    shown = []
    strokes = _strokes(looked, rows).numpy()
    for place in rows.index.get_indexer(first).tolist():
        row = rows.iloc[[place]]
        found = correlations[correlations["sample"] == row["sample"].item()].set_index(KEYS)["correlation"]
        columns = {
            f"block {value:g}\n{name}": (maps[value, name][place].numpy(), float(found[value, name]))
            for name in MAPS
            for value in VALUES
        }
        shown.append(ShownDigit(looked.classes[row["label"].item()], looked.signals(row)[0], strokes[place], columns))
    caption = (
        "Block occlusion with values 0 and 0.5: as printed (summed probability, low = important), the same divided by "
        "the number of covering blocks, and corrected (fall in logit, high = important), each map scaled from its "
        "lowest (pale) to its highest value (dark); outlined: the stroke; r: correlation with it."
    )
    drawn = negative_digit(Geometry.of(looked.cohort), shown, title="Block occlusion: digit or its negative")
    return Drawn(caption, drawn)
