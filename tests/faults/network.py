"""A network cable to be pulled: a relay between clients and one server on this machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

CHUNK = 65_536


class Cable:
    """Relays TCP connections of ``port`` to ``target`` on 127.0.0.1.

    ``refused``: connections break and new ones are closed at once, as when a machine is gone. ``silent``: they stay
    open and nothing gets through, as when a router drops packets; what was sent arrives afterwards.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._plugged, self._flowing = threading.Event(), threading.Event()
        self._plugged.set()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._unanswered: bytes | None = None
        self._doomed: set[socket.socket] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        self._plugged.clear()
        for each in list(self._open):
            _close(each)
        yield
        self._plugged.set()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        self._flowing.clear()
        yield
        self._flowing.set()

    def lose_answer_to(self, request: bytes) -> None:
        """The next request that holds these bytes reaches the server; the connection breaks before it is answered."""
        self._unanswered = request

    def close(self) -> None:
        """Ends the relay and every connection through it."""
        for each in [self._listener, *self._open]:
            _close(each)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            if not self._plugged.is_set():
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            _close(client)
            return
        self._open |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(CHUNK):
                self._flowing.wait()
                if self._unanswered is not None and self._unanswered in part:
                    self._unanswered = None
                    self._doomed.add(source)
                if sink in self._doomed:
                    break
                sink.sendall(part)
        for each in (source, sink):
            self._open.discard(each)
            _close(each)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
