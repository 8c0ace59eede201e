import pytest

from isthmus.errors import DataMissingError, ScenarioError
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings, parse_settings, settings_text


def test_the_text_of_settings_gives_the_same_settings():
    settings = Settings(name='a "quoted" \\ name', hosts=("a.example", "10.0.0.1"), idle_s=7.5)
    assert parse_settings(settings_text(settings), "x") == settings


def test_a_folder_without_a_server_is_named(tmp_path):
    with pytest.raises(DataMissingError, match="there is no server"):
        load_settings(ServerHome(tmp_path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ports = 3", "ports is no setting"),
        ("fleet_port = 70000", "fleet_port.*70000"),
        ("idle_s = 0", "idle_s"),
        ("idle_s = inf", "idle_s"),
        ("hosts = []", "hosts"),
        ("name =", "no TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(text, told):
    with pytest.raises(ScenarioError, match=told):
        parse_settings(text, "server.toml")


def test_a_database_password_is_not_shown():
    with pytest.raises(ScenarioError) as caught:
        parse_settings('database = ["postgresql://u:secret@h/d"]', "server.toml")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Settings(database="postgresql://u:secret@h/d"))


def test_without_a_url_the_state_is_sqlite_in_the_folder(tmp_path):
    home = ServerHome(tmp_path)
    assert Settings().database_url(home) == f"sqlite:///{tmp_path}/state.sqlite"
    assert Settings(database="postgresql://h/d").database_url(home) == "postgresql://h/d"
