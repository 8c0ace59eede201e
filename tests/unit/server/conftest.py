"""Databases that tests of the server's state share."""

import pytest
from state_databases import KINDS, empty_database, maybe_postgres

from isthmus_server.state import open_state


@pytest.fixture(scope="session")
def postgres():
    with maybe_postgres() as server:
        yield server


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return empty_database(request.param, server, tmp_path)


@pytest.fixture
def state(url):
    with open_state(url) as opened:
        yield opened
