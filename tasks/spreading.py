"""Units of work of one reference: one after another in this process, or spread over the workers of a Dask cluster.

Only names and numbers travel: where the reference lies, which task, which number. A worker reads and writes the same
folders as this process, so `home` must be mounted at the same path everywhere; nothing else is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prefect import Task
from pydantic import BaseModel

from .allocator import keep_freed_memory
from .digests import SHIPPED_PACKAGES, code_digest
from .errors import PlumblineError, UsageError
from .publishing.prefect_artifacts import shown_progress
from .settings import Settings

if TYPE_CHECKING:
    from distributed import Client

Step = Task[[Any, int], None]
WORKING_CODE = (*SHIPPED_PACKAGES, "tasks")
CONNECT_SECONDS = 30.0
RETRIES = 2
"""So often is a unit that failed done again; one whose worker was lost is done again besides."""


def each_unit(steps: Sequence[Step], reference: BaseModel, units: Sequence[int], what: str) -> None:
    """Takes ``steps`` one after another for every unit of a reference, such as the shards of an evaluation.

    Every step finds and keeps what was done before, so that a unit may be begun twice. With the setting `dask` the
    units go to that cluster. Raises UsageError where it cannot be reached or its workers run other code, PlumblineError
    where a worker does not see the reference's folder.
    """
    address = Settings().dask
    if address is None or not units:
        for unit in shown_progress(units, what, len(units)):
            for step in steps:
                step(reference, unit)
        return
    with _cluster(address) as client:
        for _ in shown_progress(_as_done(client, steps, reference, units), what, len(units)):
            pass


@contextmanager
def _cluster(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(
            f"PLUMBLINE_DASK is {address!r}, where no Dask scheduler answers; expected one such as tcp://host:8786."
        ) from error
    with client:
        _require_same_code(client, address)
        yield client


def _require_same_code(client: Client, address: str) -> None:
    """Another checkout on a worker would give other results under the same key."""
    found = client.run(code_digest, WORKING_CODE)
    if not found:
        raise UsageError(f"PLUMBLINE_DASK is {address!r}, whose scheduler has no workers; expected one at least.")
    expected = code_digest(WORKING_CODE)
    for worker, digest in found.items():
        if digest != expected:
            raise UsageError(
                f"the Dask worker {worker} runs code {digest}; expected {expected}, the checkout of this process."
            )


def _as_done(client: Client, steps: Sequence[Step], reference: BaseModel, units: Sequence[int]) -> Iterator[None]:
    """Hands the units out and yields as they are done; the first failure takes back what is not done yet."""
    from distributed import as_completed

    futures = client.map(
        take_steps,
        units,
        steps=[_name(step.fn) for step in steps],
        kind=_name(type(reference)),
        reference=reference.model_dump_json(),
        pure=False,
        retries=RETRIES,
    )
    try:
        for future in as_completed(futures):
            future.result()
            yield
    finally:
        client.cancel(futures)


def take_steps(unit: int, steps: Sequence[str], kind: str, reference: str) -> None:
    """What a worker does for one unit: each step, by its name, on the reference, read from its JSON."""
    keep_freed_memory()
    opened = _named(kind).model_validate_json(reference)
    if not opened.folder.is_dir():
        raise PlumblineError(
            f"{opened.folder} cannot be seen from a Dask worker; expected PLUMBLINE_HOME at the same path there."
        )
    for step in steps:
        _named(step).fn(opened, unit)


def _name(item: Callable[..., Any]) -> str:
    return f"{item.__module__}:{item.__qualname__}"


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
