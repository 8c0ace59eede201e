"""Processes that announce their ports at once lose none of them."""

import stat
from concurrent.futures import ThreadPoolExecutor

from isthmus_server.ports import announce, announced
from isthmus_server.server_home import ServerHome


def test_nothing_is_announced_at_first(tmp_path):
    assert announced(ServerHome(tmp_path)) == {}


def test_each_keeps_what_others_announced(tmp_path):
    home = ServerHome(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: announce(home, {f"listener-{n}": 7000 + n}), range(24)))
    assert announced(home) == {f"listener-{n}": 7000 + n for n in range(24)}
    announce(home, {"listener-3": 1})
    assert announced(home)["listener-3"] == 1
    assert stat.S_IMODE((home.runtime / "ports.json").stat().st_mode) == 0o600
