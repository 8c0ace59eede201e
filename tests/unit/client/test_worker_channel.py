"""The Unix-socket channel: bytes there and back, one at a time; what it costs when an end dies."""

import os
import stat
import threading
from multiprocessing.connection import Client

import pytest

from isthmus.errors import ServiceError
from isthmus_client.worker.channel import KEY, SOCKET, ChannelServer, WorkerChannel, WorkerGoneError


@pytest.fixture(params=["run", "r" * 130], ids=["short", "long"])
def folder(tmp_path, request):
    return tmp_path / request.param


@pytest.fixture
def server(folder):
    made = ChannelServer(folder)
    yield made
    made.close()


def test_bytes_come_back_on_one_connection_and_on_a_new_one(server, folder):
    server.start(lambda asked: asked[::-1])
    channel = WorkerChannel(folder)
    large = bytes(range(256)) * 20_000
    assert [channel.ask(each) for each in (b"abc", b"", large)] == [b"cba", b"", large[::-1]]
    assert WorkerChannel(folder).ask(b"xy") == b"yx"


def test_only_the_owner_can_reach_it(server, folder):
    server.start(lambda asked: asked)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (SOCKET, KEY)}
    assert modes == {SOCKET: 0o600, KEY: 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_who_has_not_the_key_gets_nothing_and_harms_nobody(tmp_path):
    server = ChannelServer(tmp_path)
    try:
        server.start(lambda asked: asked)
        with pytest.raises(Exception, match=r"digest|rejected"):
            Client(str(tmp_path / SOCKET), "AF_UNIX", authkey=b"another")
        assert WorkerChannel(tmp_path).ask(b"still there") == b"still there"
    finally:
        server.close()


def test_a_key_is_of_one_worker(folder):
    keys = []
    for _ in range(2):
        ChannelServer(folder).close()
        keys.append((folder / KEY).read_bytes())
    assert keys[0] != keys[1]


def test_messages_are_worked_on_one_at_a_time(server, folder):
    at_work, most, lock = [0], [0], threading.Lock()

    def work(asked):
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.02)
        with lock:
            at_work[0] -= 1
        return asked

    server.start(work)
    asking = [threading.Thread(target=WorkerChannel(folder).ask, args=(b"m",)) for _ in range(5)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert most == [1]


def test_a_worker_that_ends_within_a_message_is_told_at_once(folder):
    child = os.fork()
    if not child:  # a process that dies as by kill -9
        server = ChannelServer(folder)
        server.start(lambda asked: os._exit(9) if asked == b"die" else asked)
        threading.Event().wait(60)
    try:
        channel = WorkerChannel(folder)
        assert channel.ask(b"live") == b"live"
        with pytest.raises(WorkerGoneError, match="ended while it worked"):
            channel.ask(b"die")
    finally:
        os.waitpid(child, 0)
    again = ChannelServer(folder)  # the socket and key of the dead one are replaced
    try:
        again.start(lambda asked: asked + b"!")
        assert channel.ask(b"live") == b"live!"
    finally:
        again.close()


def test_a_caller_waits_for_a_worker_that_is_not_there_yet(folder):
    answered = []
    asking = threading.Thread(target=lambda: answered.append(WorkerChannel(folder).ask(b"early")))
    asking.start()
    server = ChannelServer(folder)
    try:
        server.start(lambda asked: asked)
        asking.join(20)
        assert answered == [b"early"]
    finally:
        server.close()


def test_a_caller_stops_waiting_when_told(tmp_path):
    with pytest.raises(ServiceError, match="no worker answers"):
        WorkerChannel(tmp_path / "none").ask(b"m", give_up=lambda: True)
    with pytest.raises(ServiceError, match="no worker answers"):
        WorkerChannel(tmp_path / "none").ask(b"m", patience=0.05)


def test_a_caller_stops_waiting_for_an_answer_when_told(server, folder):
    free = threading.Event()
    server.start(lambda asked: asked if free.wait(20) else b"")
    with pytest.raises(ServiceError, match="nobody waits"):
        WorkerChannel(folder).ask(b"slow", give_up=lambda: True)
    free.set()


def test_what_nobody_waits_for_is_not_worked_on(server, folder):
    begun, go_on, worked = threading.Event(), threading.Event(), []

    def work(asked):
        worked.append(asked)
        begun.set()
        assert go_on.wait(20)
        return asked

    server.start(work)
    first = threading.Thread(target=WorkerChannel(folder).ask, args=(b"first",))
    first.start()
    assert begun.wait(20)
    looks = iter((False, True))  # it is sent, then given up
    with pytest.raises(ServiceError, match="nobody waits"):
        WorkerChannel(folder).ask(b"stale", give_up=lambda: next(looks))
    with pytest.raises(ServiceError, match="nobody waits"):
        WorkerChannel(folder).ask(b"never sent", give_up=lambda: True)
    go_on.set()
    first.join(20)
    assert WorkerChannel(folder).ask(b"last") == b"last"
    assert worked == [b"first", b"last"]


def test_closing_waits_for_the_message_that_is_worked_on(folder):
    server, begun, free = ChannelServer(folder), threading.Event(), threading.Event()

    def work(asked):
        begun.set()
        free.wait(20)
        return asked

    server.start(work)
    asking = threading.Thread(target=WorkerChannel(folder).ask, args=(b"m",))
    asking.start()
    assert begun.wait(20)
    assert not server.close(0.01)
    free.set()
    assert server.close(20)
    asking.join(20)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot be made"):
        ChannelServer(tmp_path / "file" / "run")
