"""How messages reach the warm worker: bytes over a Unix socket in the platform's home.

Each message and each answer is one frame of bytes, whose meaning is not the channel's: nothing is
pickled. Who connects proves that it can read `worker.key`, which the worker makes anew whenever it
starts, mode 0600, as the socket is.

The worker answers one message at a time. A caller whose worker dies before it answers is told so at
once; one whose worker is not there yet waits for it.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Final

from isthmus.errors import ServiceError
from isthmus.files import write_bytes

SOCKET: Final = "worker.sock"
KEY: Final = "worker.key"

Handler = Callable[[bytes], bytes]

_KEY_BYTES: Final = 32
_LONGEST: Final = 100  # bytes of a Unix socket's path; Linux allows 107
_POLL_S: Final = 0.05  # seconds between two looks for a worker that is not there yet
_LOOK_S: Final = 0.25  # seconds between two looks whether the caller has given up


class WorkerGoneError(ServiceError):
    """The worker ended before it answered; what it did with the message is not known."""


class ChannelServer:
    """The worker's end.

    Args:
        folder: of the socket and its key; made where it is not there, mode 0700.

    Raises:
        ServiceError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy = threading.Lock()
        self._closed = threading.Event()
        key = secrets.token_bytes(_KEY_BYTES)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_bytes(folder / KEY, key, mode=0o600)
            (folder / SOCKET).unlink(missing_ok=True)
            folder.chmod(stat.S_IRWXU)
            with _address(folder) as address:
                self._listener = Listener(address, "AF_UNIX", authkey=key)
            (folder / SOCKET).chmod(stat.S_IRUSR | stat.S_IWUSR)
        except OSError as error:
            raise ServiceError(
                f"the worker's socket {folder / SOCKET} cannot be made: {error.strerror or error}"
            ) from error

    def start(self, handler: Handler) -> None:
        """Answer in threads of its own, one message at a time, until `close`.

        Args:
            handler: its exceptions end the caller's connection; it should raise none.
        """
        threading.Thread(target=self._accept, args=(handler,), name="channel", daemon=True).start()

    def close(self, grace: float = 0.0) -> bool:
        """Answer nothing more.

        Args:
            grace: seconds to wait for the message that is being answered.

        Returns:
            Whether none was left unanswered.
        """
        self._closed.set()
        done = self._busy.acquire(timeout=grace)
        if done:
            self._busy.release()
        with suppress(OSError):
            self._listener.close()
        with suppress(OSError):
            (self._folder / SOCKET).unlink(missing_ok=True)
        return done

    def _accept(self, handler: Handler) -> None:
        while not self._closed.is_set():
            try:
                caller = self._listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):
                continue  # somebody who has not the key, or left
            except OSError:
                return  # closed
            arguments = (caller, handler)
            threading.Thread(
                target=self._answer, args=arguments, name="caller", daemon=True
            ).start()

    def _answer(self, caller: Connection, handler: Handler) -> None:
        with caller, suppress(EOFError, OSError):
            while True:
                asked = caller.recv_bytes()
                with self._busy:
                    if self._closed.is_set() or not _is_open(caller):
                        return  # nobody waits: what is asked may be stale, and cost privacy
                    caller.send_bytes(handler(asked))


class WorkerChannel:
    """A caller's end; connects when it is first needed, and again after the worker was replaced.

    Args:
        folder: of the socket and its key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: Connection | None = None

    def ask(
        self, message: bytes, *, give_up: Callable[[], bool] = lambda: False, patience: float = 60.0
    ) -> bytes:
        """The worker's answer to a message.

        Args:
            message: any bytes.
            give_up: asked a few times a second whether nobody waits for the answer any longer.
            patience: seconds to wait for a worker that is not there.

        Raises:
            WorkerGoneError: the worker ended before it answered.
            ServiceError: there is no worker, or nobody waits any longer.
        """
        try:
            connection = self._sent(message, give_up, patience)
            while not connection.poll(_LOOK_S):
                if give_up():
                    self.close()
                    raise ServiceError("nobody waits for the worker's answer any longer")
            return connection.recv_bytes()
        except (EOFError, OSError) as error:
            self.close()
            raise WorkerGoneError(
                "the worker ended while it worked on a message",
                hint="its log, worker.log, says why; it is started again by itself",
            ) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(self, message: bytes, give_up: Callable[[], bool], patience: float) -> Connection:
        """Send on the open connection, or on a new one where the worker was replaced meanwhile."""
        if self._connection is not None and _is_open(self._connection):
            with suppress(OSError):
                self._connection.send_bytes(message)
                return self._connection
        self.close()
        self._connection = self._connect(give_up, patience)
        if give_up():  # a worker that hung may have let us wait for longer than anybody does
            self.close()
            raise ServiceError("nobody waits for the worker's answer any longer")
        self._connection.send_bytes(message)
        return self._connection

    def _connect(self, give_up: Callable[[], bool], patience: float) -> Connection:
        until = time.monotonic() + patience
        waiting = threading.Event()
        while True:
            try:
                key = (self._folder / KEY).read_bytes()
                with _address(self._folder) as address:
                    return Client(address, "AF_UNIX", authkey=key)
            except (OSError, EOFError, AuthenticationError) as error:
                if give_up() or time.monotonic() >= until:
                    raise ServiceError(
                        f"no worker answers on {self._folder / SOCKET}",
                        hint="isthmus client up starts it; its log, worker.log, says more",
                    ) from error
            waiting.wait(_POLL_S)


def _is_open(connection: Connection) -> bool:
    """Whether the other end is there, which has nothing to say now: what can come is its end."""
    try:
        return not connection.poll(0)
    except OSError:
        return False


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path of the socket that is short enough for the system."""
    direct = str(folder / SOCKET)
    if len(os.fsencode(direct)) <= _LONGEST:
        yield direct
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
