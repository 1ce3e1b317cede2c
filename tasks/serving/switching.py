"""The version that answers, and how the next one takes its place: a request is answered by the version that it met."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import mlflow
from fastapi import FastAPI
from mlflow.pyfunc import scoring_server

from ..errors import PlumblineError
from ..publishing.registry import VersionRef, resolve
from .describing import describe, example_of

VERSION_HEADER = b"plumbline-version"


class Switch:
    """An ASGI application that hands each request to MLflow's scoring application of the present version.

    Versions live in one process beside each other, each with its own code. Every answer says in the header
    ``Plumbline-Version`` which one gave it (``name/number``).
    """

    def __init__(self, reference: str) -> None:
        """Loads what ``reference`` (``name@alias`` or ``name/number``) means now; PlumblineError if it cannot serve."""
        self._reference = reference
        self._version = resolve(reference)
        self._application = _stamped(load(self._version), self._version)
        self._refused: VersionRef | None = None

    @property
    def version(self) -> VersionRef:
        """The version that answers now."""
        return self._version

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request by the version that is present when it comes."""
        await self._application(scope, receive, send)

    def reload(self, *, again: bool = False) -> str | None:
        """Lets the version that the reference means now answer, once it has answered a question itself.

        Returns one sentence about what has changed, or about why nothing could; None where nothing was to be done.
        Whatever goes wrong, the present version goes on answering. A version that could not be served is not tried
        twice unless ``again``.
        """
        try:
            wanted = resolve(self._reference)
            if wanted == self._version or (wanted == self._refused and not again):
                return None
            self._refused = wanted
            application = _stamped(load(wanted), wanted)
        except Exception as error:  # those who are being answered must not suffer from it, whatever it is
            return f"{_sentence(error)} Version {self._version.version} goes on answering."
        former, self._version, self._application, self._refused = self._version, wanted, application, None
        return f"{wanted.name} version {wanted.version} answers now, in place of version {former.version}."


def load(version: VersionRef) -> FastAPI:
    """MLflow's scoring application of a version that has answered once, described by its own sizes.

    PlumblineError naming the version and what is wrong.
    """
    try:
        model = mlflow.pyfunc.load_model(version.uri)
        model.predict(example_of(model.metadata.metadata))
        application: FastAPI = scoring_server.init(model)
        contract = describe(f"{version.name} version {version.version}", model.metadata.metadata)
        application.openapi = lambda: contract  # type: ignore[method-assign]
    except Exception as error:  # a version brings its own code: it may raise anything
        raise PlumblineError(
            f"{version.name} version {version.version} cannot be served: {_sentence(error)}"
        ) from error
    return application


def _stamped(application: FastAPI, version: VersionRef) -> Any:
    stamp = (VERSION_HEADER, quote(f"{version.name}/{version.version}").encode())

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], stamp]}
            await send(message)

        await application(scope, receive, send_stamped)

    return answer


def _sentence(error: Exception) -> str:
    """The error as one line that ends in a full stop."""
    return f"{' '.join(str(error).split()) or type(error).__name__}".rstrip(".") + "."
