"""A federation as real processes: from an empty folder to a released encoder."""

import pytest
from deployment import NAMES, federation

PLAIN = ("--privacy", "none", "--no-secure-aggregation", "--max-steps", "2")


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    with federation(tmp_path_factory.mktemp("fed")) as made:
        yield made


@pytest.mark.slow
def test_a_run_reaches_its_end_with_every_platform_in_every_round(fed):
    run = fed.propose("--rounds", "3", *PLAIN)
    status = fed.wait_status(run, "finished")
    assert status["round"] == 3
    assert fed.committed(run) == 3
    listed = {row["name"]: row for row in fed.on_server("list")["platforms"]}
    assert {*listed} == {*NAMES}
