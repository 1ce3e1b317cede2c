"""Random numbers that belong to a sample, not to a batch.

Every stochastic explainer and metric draws from here: the numbers of a sample depend on its seed and on
the name of the stream only, so batch size, order and device cannot change a result.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def generator(seed: int, stream: str) -> torch.Generator:
    """A CPU generator for one sample (``seed``) and one purpose (``stream``)."""
    mixed = (int(seed) * 0x9E3779B97F4A7C15 + zlib.crc32(stream.encode())) % (1 << 63)
    return torch.Generator().manual_seed(mixed)


def draw(
    seeds: Tensor,
    stream: str,
    sampler: Callable[[torch.Generator], Tensor],
) -> Tensor:
    """Stacks ``sampler(generator)`` over the samples: ``(sample, ...)`` on the device of ``seeds``."""
    rows = [sampler(generator(seed, stream)) for seed in seeds.tolist()]
    return torch.stack(rows).to(seeds.device)


def normal(seeds: Tensor, stream: str, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers ``(sample, *shape)``, float32."""
    return draw(seeds, stream, lambda g: torch.randn(tuple(shape), generator=g))


def uniform(seeds: Tensor, stream: str, shape: Sequence[int]) -> Tensor:
    """Uniform numbers in [0, 1) ``(sample, *shape)``, float32."""
    return draw(seeds, stream, lambda g: torch.rand(tuple(shape), generator=g))
