"""What a platform's worker makes of an approved contract, before anything is computed."""

import pytest
from contract_cases import key_of, member, pooled_contract
from private_platforms import CONFIG, workspaces

from isthmus.encoder_config import tensor_shapes
from isthmus.errors import NotApprovedError
from isthmus_client.home import Home
from isthmus_client.worker.published import PUBLISHED, published_users
from isthmus_client.worker.sides import LEDGER, Owner, Sides, build_app

NAME = "anvil"


class Data:
    """Stands for the platform's store."""

    def generation(self):
        return 1

    def require_encoder(self, fingerprint):
        assert fingerprint == ""

    def workspace(self, config):
        assert config == CONFIG
        return workspaces(NAME)[0]


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "platform.toml")
    made.federation.mkdir()
    return made


@pytest.fixture
def sides(home):
    made = Sides(Owner(home, NAME, key_of(NAME)), Data(), build_app)
    yield made
    made.close()


def contract():
    """The operator says that the platforms have 40 000 users each."""
    members = {name: member(name, 40_000) for name in (NAME, "bellows", "crucible")}
    return pooled_contract(encoder=CONFIG, tensors=tensor_shapes(CONFIG), members=members)


def test_a_private_side_registers_its_rounds_and_publishes_the_users(home, sides):
    side = sides.of(contract()).side
    assert side.trainer.published_users == 40_000
    assert (home.federation / LEDGER).exists()
    live = workspaces(NAME)[0].sequences.training_users.size
    assert published_users(home) == live // 10 * 10 > 0


def test_a_delta_for_fewer_users_than_the_platform_publishes_is_refused(home, sides):
    (home.federation / PUBLISHED).write_text('{"users": 90000}')
    with pytest.raises(NotApprovedError, match="too large for the 90,000 users that this platform"):
        sides.of(contract())
    assert not (home.federation / LEDGER).exists()
