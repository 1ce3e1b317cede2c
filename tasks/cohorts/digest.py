"""A cohort's identity: a hash of what a model can see of it.

It is made of subject ordinals, never of names or pseudonyms, so that two installations with different
keys agree; and of values only, so that file system order, paths and chunking do not matter.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = 32
"""MLflow refuses a dataset digest of more than 36 characters."""


class CohortDigest:
    """Fed block by block in sample order; `hexdigest` gives 32 hexadecimal digits."""

    def __init__(self) -> None:
        self._streams: defaultdict[str, Any] = defaultdict(sha256)

    def update(self, stream: str, values: NDArray[Any], dtype: str) -> None:
        """Adds values as little-endian ``dtype``, whatever the machine's own order."""
        self._streams[stream].update(np.ascontiguousarray(values, dtype=dtype).tobytes())

    def hexdigest(self, parameters: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]]) -> str:
        """The digest of all blocks, the reader's parameters, and the demographics in order of ordinal."""
        parts = {
            "streams": {name: stream.hexdigest() for name, stream in sorted(self._streams.items())},
            "parameters": parameters,
            "subjects": [{name: _plain(value) for name, value in row.items()} for row in subjects],
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
        return sha256(text.encode()).hexdigest()[:_DIGITS]


def _plain(value: Any) -> Any:
    """A number, text or None: NaN has no JSON form."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value
