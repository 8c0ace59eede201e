"""A server that tells what cannot be true is not believed."""

import math

import pytest

from isthmus.audit_log import ROOT, Anchor
from isthmus.errors import MessageRefusedError
from isthmus_client.link.session_told import (
    told_head,
    told_key,
    told_pause,
    told_ports,
    told_time,
)

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    "told",
    [
        lambda: told_time(math.nan, NOW),
        lambda: told_time(math.inf, NOW),
        lambda: told_time(1e300, NOW),
        lambda: told_time(NOW - 3600, NOW),
        lambda: told_pause(math.nan),
        lambda: told_pause(math.inf),
        lambda: told_pause(0.0),
        lambda: told_pause(-1.0),
        lambda: told_head(3, "x" * 2**20),
        lambda: told_head(3, ROOT.upper().replace("0", "A")),
        lambda: told_head(2**63, ROOT),
        lambda: told_key(b""),
        lambda: told_key(bytes(33)),
        lambda: told_ports({"fleet": 0}),
        lambda: told_ports({"fleet": 2**16}),
    ],
)
def test_it_is_refused(told):
    with pytest.raises(MessageRefusedError, match="the server tells"):
        told()


def test_what_can_be_true_is_taken():
    assert told_time(NOW + 200, NOW) == NOW + 200
    assert told_pause(5.0) == 5.0
    assert told_head(0, ROOT) == Anchor(0, ROOT)
    assert told_key(bytes(32)) == bytes(32)
    assert told_ports({"fleet": 9444, "private": 22}) == {"fleet": 9444}
