"""How the cost of a job grows with its size: 1, 4 and 16 times as much, the fitted exponent, and the peak of memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.table import Table

from xai.methods import Occlusion
from xai.methods.lrp import AlphaBeta, Epsilon, relevances
from xai.methods.temporal_scores import prefix_scores
from xai.quality.demographics.permutation import freedman_lane_p
from xai.quality.measure import measure
from xai.quality.plan import QualityPlan

from .networks import EPOCH, STEPS, classes_of, network, random_inputs, seeds_of
from .row import Setting
from .timing import Array, bootstrapped, interleaved

FACTORS = (1, 4, 16)
MEGABYTE = 2**20
Build = Callable[[Setting, int], Callable[[], object]]


@dataclass(frozen=True)
class Growth:
    """A job whose size is multiplied by each of `FACTORS`; ``build(setting, factor)`` gives a run."""

    name: str
    axis: str
    build: Build


@dataclass(frozen=True)
class Grown:
    """Milliseconds and megabytes at 1, 4 and 16 times the size; the exponent of time with its 95 % interval."""

    job: str
    axis: str
    times: tuple[float, ...]
    exponent: float
    exponent_low: float
    exponent_high: float
    memory: tuple[float, ...]


def measured(growths: Sequence[Growth], setting: Setting, budget: float) -> list[Grown]:
    """Times of all three sizes, taking turns, and the peaks of a process of their own."""
    return [_measured(place, setting, budget / len(growths)) for place in map(GROWTHS.index, growths)]


def _measured(place: int, setting: Setting, budget: float) -> Grown:
    growth = GROWTHS[place]
    runs = {str(factor): growth.build(setting, factor) for factor in FACTORS}
    for run in runs.values():
        run()
    times = interleaved(runs, budget / 2, device=setting.device).work
    exponent, low, high = bootstrapped(times, slopes)
    return Grown(
        job=growth.name,
        axis=growth.axis,
        times=tuple(1e3 * np.median(times, axis=0)),
        exponent=exponent,
        exponent_low=low,
        exponent_high=high,
        memory=_peaks(place, setting),
    )


def slopes(times: Array) -> Array:
    """Exponents ``(resample,)`` of times ``(resample, round, factor)``: the slope through the medians' logarithms."""
    logs, sizes = np.log(np.median(times, axis=1)), np.log(FACTORS)
    centred = sizes - sizes.mean()
    return np.asarray(logs @ centred / (centred @ centred))


def _peaks(place: int, setting: Setting) -> tuple[float, ...]:
    """Megabytes that each size takes at most beyond what the process had before, in a process of its own."""
    if setting.device != "cpu":
        return _peaks_here(place, setting)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_peaks_here, place, setting).result()


def _peaks_here(place: int, setting: Setting) -> tuple[float, ...]:
    torch.set_num_threads(1)
    runs = [GROWTHS[place].build(setting, factor) for factor in FACTORS]
    peak(setting.device)
    found, before = [], peak(setting.device)
    for run in runs:
        run()
        found.append((peak(setting.device) - before) / MEGABYTE)
    return tuple(found)


def peak(device: str) -> float:
    """The most bytes that were in use since the last call."""
    if device != "cpu":
        most = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return float(most)
    status = Path("/proc/self/status")
    if not status.exists():  # the highest peak of the process's life: right as long as the jobs become larger
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most if sys.platform == "darwin" else 1024 * most)
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return 1024.0 * int(line.split()[1])


def frame(grown: Sequence[Grown]) -> pd.DataFrame:
    """One line per job and axis."""
    table = pd.DataFrame([asdict(one) for one in grown])
    for name, unit in (("times", "ms"), ("memory", "mb")):
        table[[f"{name}_{unit}_x{factor}" for factor in FACTORS]] = table.pop(name).tolist()
    return table


def shown(grown: Sequence[Grown]) -> Table:
    """What a reader wants to know of it."""
    table = Table(title="How cost grows", title_justify="left")
    times, peaks = ([f"x{factor}, {unit}" for factor in FACTORS] for unit in ("ms", "MB"))
    for name in ("job", "grows with", *times, "exponent", *peaks):
        table.add_column(name, justify="left" if name in ("job", "grows with") else "right")
    for one in grown:
        table.add_row(
            one.job,
            one.axis,
            *(f"{value:.1f}" for value in one.times),
            f"{one.exponent:.2f} \\[{one.exponent_low:.2f}, {one.exponent_high:.2f}]",
            *(f"{value:.1f}" for value in one.memory),
        )
    return table


def _occlusion(setting: Setting, samples: int = 1, stride: int = 64, channels: int = 3) -> Callable[[], object]:
    model, inputs = network("S", setting, channels), random_inputs(setting, samples, channels, EPOCH)
    how, targets, seeds = Occlusion(64, stride), classes_of(inputs), seeds_of(inputs)
    return lambda: how.attribute(model, inputs, targets, seeds=seeds)


def _rules(setting: Setting, samples: int = 1, channels: int = 3) -> Callable[[], object]:
    model = network("S, plain modules", setting, channels)
    inputs = random_inputs(setting, samples, channels, EPOCH)
    return lambda: relevances(model, inputs, classes_of(inputs), [Epsilon(0.01), Epsilon(100), AlphaBeta(1, 0)])


def _beats(setting: Setting, steps: int) -> tuple[torch.nn.Module, torch.Tensor]:
    return network("L", setting), random_inputs(setting, 4, 1, steps)


def _recurrent_rule(setting: Setting, steps: int) -> Callable[[], object]:
    model, inputs = _beats(setting, steps)
    return lambda: relevances(model, inputs, classes_of(inputs), [Epsilon()])


def _prefixes(setting: Setting, steps: int) -> Callable[[], object]:
    model, inputs = _beats(setting, steps)
    return lambda: prefix_scores(model, inputs)


def _metrics(setting: Setting, samples: int = 2, explainers: int = 1) -> Callable[[], object]:
    model, inputs = network("L", setting), random_inputs(setting, samples, 1, STEPS)
    maps = {str(number): random_inputs(setting, samples, 1, STEPS) for number in range(explainers)}
    plan = QualityPlan(groups=("faithfulness", "sensitivity", "infidelity"), baselines=("zero",), subsets=20)
    return lambda: measure(model, inputs, classes_of(inputs), maps, plan, seeds=seeds_of(inputs))


def _permutations(setting: Setting, columns: int = 16, permutations: int = 1_000) -> Callable[[], object]:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(40, columns))
    regressors = np.column_stack([np.ones(40), generator.normal(size=(40, 2))])
    return lambda: freedman_lane_p(values, regressors, permutations, 0)


def _grows(build: Callable[..., Callable[[], object]], argument: str, smallest: int, setting: Setting, factor: int):
    return build(setting, **{argument: smallest * factor})


GROWTHS = (
    Growth("occlusion-S", "samples", partial(_grows, _occlusion, "samples", 1)),
    Growth("occlusion-S", "windows", lambda setting, factor: _occlusion(setting, stride=64 // factor)),
    Growth("occlusion-S", "channels", partial(_grows, _occlusion, "channels", 1)),
    Growth("lrp-S, 3 rules", "samples", partial(_grows, _rules, "samples", 1)),
    Growth("lrp-S, 3 rules", "channels", partial(_grows, _rules, "channels", 1)),
    Growth("lrp-LSTM", "steps", partial(_grows, _recurrent_rule, "steps", 54)),
    Growth("prefix-scores", "steps", partial(_grows, _prefixes, "steps", 54)),
    Growth("metric-set", "samples", partial(_grows, _metrics, "samples", 2)),
    Growth("metric-set", "explainers", partial(_grows, _metrics, "explainers", 1)),
    Growth("demographics", "parts", partial(_grows, _permutations, "columns", 16)),
    Growth("demographics", "permutations", partial(_grows, _permutations, "permutations", 1_000)),
)
