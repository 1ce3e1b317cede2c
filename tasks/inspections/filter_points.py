"""The network and where its relevance is filtered, drawn from the code; what the filters do; and their calculus."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xai.methods.lrp import SWEEP, Clamp, Pass, filter_points
from xai.quality.filter_calculus import band_area, composition_gap, recovery, uniform_band

from ..drawing.filter_sketch import filter_sketch
from ..drawing.network_diagram import network_diagram, propagation_diagram
from ..drawing.network_layers import network_layers
from .finding import Drawn, Finding
from .inspected import Inspected

TEXT = """The network and the way of its relevance are drawn from the network itself. The claims that Tjoa et al. make
of their filters are computed from the filters that the propagation uses, on a band that holds every amplitude alike:
the area under a filtered band, whether two filters make one, and what a filter recovers of a band. The paper prints
alpha^2 / 2 >= alpha^2 for the area of a pass filter, which cannot be, and calls [0.1, 0.5] exactly recovered by pass
filters from 0 to any alpha from 0.1 up, which below 0.5 lose a part of it and from anywhere below add another."""

BAND = Pass(0.1, 0.5)
SKETCHED = (Pass(0, 0.4), Pass(0.1, 1), Clamp(0.2))


def inspect(looked: Inspected) -> Finding:
    """Figures 2 and 4 and annex 1 of Tjoa et al., and their calculus as a table of claims and what was found."""
    network = looked.network(0)
    layers = network_layers(network, looked.inputs(looked.samples.head(1)))
    points = filter_points(network)
    calculus = _calculus()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Finding(
        title="What is filtered, and where?",
        text=TEXT,
        verdicts=tuple(_words(calculus)),
        figures={
            "network": Drawn(f"The network, {parameters:,} parameters.", network_diagram(layers, title="The network")),
            "propagation": Drawn(
                f"Relevance on its way down, and the {len(points)} points where a filter acts.",
                propagation_diagram(layers, points, title="Filtered propagation"),
            ),
            "filters": Drawn(
                "What filters do to amplitudes, to spikes and to a broad signal.",
                filter_sketch({each.name: each for each in SKETCHED}, title="Relevance filters"),
            ),
        },
        tables={"filter_calculus": calculus},
    )


def _calculus() -> pd.DataFrame:
    """One row per filter: the area under a filtered band beside what is claimed, and what it recovers of `BAND`."""
    rows = []
    for each in SWEEP:
        against = recovery(each, BAND)
        squared = float(composition_gap(each, each, each, uniform_band())[0])
        rows.append(
            {
                "filter": each.name,
                "area": band_area(each),
                "claimed_area": _claimed(each.name),
                "lost_of_band": against.lost,
                "added_to_band": against.added,
                "applied_twice_differs_by": squared,
            }
        )
    return pd.DataFrame(rows)


def _claimed(name: str) -> float:
    """alpha^2 / 2 of a pass filter from 0; NaN where the paper claims nothing."""
    return float(name.removeprefix("pass0-")) ** 2 / 2 if name.startswith("pass0-") else float("nan")


def _words(calculus: pd.DataFrame) -> Iterator[str]:
    passes = calculus.dropna(subset="claimed_area")
    error = float((passes["area"] - passes["claimed_area"]).abs().max())
    yield f"area of a (0, alpha) pass filter is alpha^2 / 2: holds, to {error:.1g}"
    exact = calculus[(calculus["lost_of_band"] < 1e-3) & (calculus["added_to_band"] < 1e-3)]
    names = ", ".join(exact["filter"]) or "none of the sixteen"
    yield f"pass filters recover the band [0.1, 0.5] without error: {names} does"
    idle = calculus[calculus["applied_twice_differs_by"] < 1e-6]
    yield (
        f"a filter applied twice is that filter: {len(idle)} of {len(calculus)}; the others take their parts of the "
        "maximum that the first time has left"
    )
