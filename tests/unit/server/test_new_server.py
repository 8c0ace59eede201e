import stat
from datetime import timedelta

import pytest
from cryptography import x509

from isthmus.errors import IdentityError, ScenarioError, StateError
from isthmus.identity import Authority, load_signing_key
from isthmus_server.new_server import SIGNING_KEY, create_server, with_free_ports
from isthmus_server.server_certificate import CERTIFICATE, renew_certificate, renewal_due
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings

HOSTS = ("localhost", "127.0.0.1", "shop.example.org")


@pytest.fixture
def made(tmp_path):
    return create_server(ServerHome(tmp_path / "server"), Settings(hosts=HOSTS))


def test_a_new_server_has_all_that_it_needs(made):
    home = made.home
    assert load_settings(home) == made.settings
    assert Authority.open(home.authority).fingerprint == made.fingerprint
    load_signing_key(home.identity / SIGNING_KEY)
    assert home.database_path.exists()


def test_nothing_in_the_folder_is_for_others(made):
    for path in [made.home.folder, *made.home.folder.iterdir()]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    for key in made.home.folder.rglob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_folder_with_anything_in_it_is_left_as_it_is(tmp_path):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ScenarioError, match="not empty"):
        create_server(ServerHome(tmp_path), Settings())
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_database_that_cannot_be_reached_is_told_and_no_settings_are_written(tmp_path):
    unreachable = Settings(database="postgresql+psycopg://u:secret@127.0.0.1:1/none")
    with pytest.raises(StateError) as caught:
        create_server(ServerHome(tmp_path / "server"), unreachable)
    assert "secret" not in str(caught.value) + caught.value.hint
    assert not (tmp_path / "server" / "server.toml").exists()


def test_free_ports_are_five_different_ones():
    settings = with_free_ports(Settings())
    ports = {value for name, value in settings.model_dump().items() if name.endswith("_port")}
    assert len(ports) == 5
    assert min(ports) > 0


def test_the_certificate_is_for_every_host_and_renewed_after_half_its_life(made):
    home, settings = made.home, made.settings
    found = x509.load_pem_x509_certificate((home.tls / CERTIFICATE).read_bytes())
    assert not renewal_due(home, settings)
    late = found.not_valid_before_utc + timedelta(hours=0.6 * settings.server_certificate_hours)
    assert renewal_due(home, settings, late)
    renew_certificate(home, settings, Authority.open(home.authority))
    again = x509.load_pem_x509_certificate((home.tls / CERTIFICATE).read_bytes())
    assert again.serial_number != found.serial_number


def test_another_host_needs_another_certificate(made):
    changed = made.settings.model_copy(update={"hosts": (*HOSTS, "new.example.org")})
    assert renewal_due(made.home, changed)


def test_a_damaged_certificate_is_named(made):
    (made.home.tls / CERTIFICATE).write_text("no certificate")
    with pytest.raises(IdentityError, match=CERTIFICATE):
        renewal_due(made.home, made.settings)


def test_a_folder_that_was_open_to_others_is_closed(tmp_path):
    home = ServerHome(tmp_path / "open")
    home.folder.mkdir()
    home.folder.chmod(0o755)
    create_server(home, Settings())
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert home.config.stat().st_mode & 0o777 == 0o600
