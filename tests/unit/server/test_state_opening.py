"""Opening the state: migrations, foreign and newer databases, faults told without a trace."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from state_databases import join, postgres_url, propose

from isthmus.errors import StateError
from isthmus_server.state import open_state
from isthmus_server.state.address import parse_address, place_of
from isthmus_server.state.database import connect
from isthmus_server.state.schema import (
    SCHEMA,
    VERSION_TABLE,
    alembic_config,
    known_revisions,
    version,
)
from isthmus_server.state.tables import metadata

SECRET = "s3cr3t"  # noqa: S105 - looked for in messages


def refusal(url):
    """What opening says; neither a password nor a driver's own words."""
    with pytest.raises(StateError) as caught:
        open_state(url).close()
    error = caught.value
    assert error.hint
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert SECRET not in f"{error} {error.hint}"
    return str(error)


def test_migrations_make_the_very_tables(state):
    with state.database.read() as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert version(connection) == SCHEMA
        found = {
            (name, each["name"])
            for name in metadata.tables
            for each in inspect(connection).get_check_constraints(name)
        }
    ours = {
        (table.name, each.name)
        for table in metadata.tables.values()
        for each in table.constraints
        if type(each).__name__ == "CheckConstraint"
    }
    assert found == ours


def test_alembic_check_finds_nothing_to_do(state):
    with state.database.write() as connection:
        command.check(alembic_config(connection))


def test_known_revisions_are_those_on_disk(state):
    with state.database.read() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
    steps = [each.revision for each in script.walk_revisions()]
    assert tuple(reversed(steps)) == known_revisions()
    assert script.get_current_head() == SCHEMA


def test_opened_again_it_is_as_it_was(url):
    with open_state(url) as state:
        row = join(state, "shop")
    with open_state(url) as state:
        assert state.platforms.list() == (row,)


def test_newer_schema_is_refused_and_left_alone(url):
    with open_state(url) as state, state.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0099'")  # noqa: S608
    assert "has the schema 0099; this version of Isthmus knows" in refusal(url)
    database = connect(url)
    with database.read() as connection:
        assert version(connection) == "0099"
    database.close()


def test_tables_of_another_program_are_left_alone(url):
    database = connect(url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (id TEXT)")
    database.close()
    assert "holds tables of another program: runs" in refusal(url)


def test_interrupted_migration_leaves_nothing(url, monkeypatch):
    def dies(config, revision):
        real(config, revision)
        raise KeyboardInterrupt

    real = command.upgrade
    monkeypatch.setattr(command, "upgrade", dies)
    with pytest.raises(KeyboardInterrupt):
        open_state(url)
    monkeypatch.undo()
    database = connect(url)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()
    open_state(url).close()


def test_importing_the_state_needs_no_learning_and_no_transport():
    heavy = "{'torch', 'flwr', 'alembic', 'grpc', 'numpy'}"
    code = f"import sys, isthmus_server.state; sys.exit(repr({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        f"postgresql://u:{SECRET}@h",
        f"postgresql://u:a@{SECRET}@h/d",
        f"postgresql://u:{SECRET}@h:port/d",
        f"postgresql://u:a/{SECRET}@h/d",
        f"://{SECRET}",
        f"postgresql://u:p@h/d@{SECRET}",
    ],
)
def test_odd_url_is_refused_without_repeating_it(url):
    refusal(url)


def test_places_name_no_user_and_no_password():
    url = parse_address(f"postgresql://ann:{SECRET}@db.example:6543/isthmus?password={SECRET}")
    assert place_of(url) == "postgresql://db.example:6543/isthmus"
    assert place_of(parse_address("postgres://u@h/d")) == "postgresql://h/d"


def test_any_sign_may_be_in_a_path(tmp_path):
    folder = tmp_path / "50% of a?b#c d"
    folder.mkdir()
    for form in (folder / "x", str(folder / "x"), f"sqlite:///{folder / 'x'}"):
        with open_state(form) as state:
            assert state.place == str(folder / "x")
    assert sorted(path.name for path in folder.iterdir()) == ["x"]


def test_file_is_its_owners_alone(tmp_path):
    with open_state(tmp_path / "state.sqlite") as state:
        propose(state)
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_folder_that_is_not_there(tmp_path):
    assert "No such file or directory" in refusal(tmp_path / "none" / "state.sqlite")
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"x" * 4096])
def test_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "state.sqlite"
    path.write_bytes(content)
    assert "it is damaged, or no database" in refusal(path)


def test_full_disk_is_told_and_loses_nothing(tmp_path):
    with open_state(tmp_path / "state.sqlite") as state:
        row = propose(state)
        with state.database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StateError, match="its disk is full") as caught:
            fill(state)
        assert "make room" in caught.value.hint
        assert state.runs.get("run-1") == row


def fill(state):
    for number in range(1_000):
        propose(state, f"run-{number:05d}-{'x' * 2_000}")


def test_locked_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus_server.state.database.WAIT_S", 0.05)
    path = tmp_path / "state.sqlite"
    with open_state(path) as first, open_state(path) as second, first.database.write():
        with pytest.raises(StateError, match="another process holds it"):
            propose(second)
        assert second.runs.list() == ()  # a reader need not wait


def test_postgres_that_is_not_there(postgres):
    assert "cannot be reached" in refusal(f"postgresql://owner:{SECRET}@127.0.0.1:9/state")
    assert "cannot be reached" in refusal(f"postgresql://owner:{SECRET}@no.such.host.invalid/state")
    if postgres is not None:
        assert "there is no such database" in refusal(postgres_url(postgres, "nowhere"))
        assert "refuses this user" in refusal(postgres_url(postgres, "postgres", SECRET))


def test_postgres_that_may_only_be_read(postgres, url):
    if not url.startswith("postgresql"):
        pytest.skip("of PostgreSQL")
    open_state(url).close()
    name = url.rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with open_state(url) as state, pytest.raises(StateError, match="it is read-only"):
        propose(state)


def test_postgres_connection_that_was_cut_is_made_anew(postgres, url):
    if not url.startswith("postgresql"):
        pytest.skip("of PostgreSQL")
    with open_state(url) as state:
        row = propose(state)
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'isthmus'"
        )
        assert state.runs.list() == (row,)


def test_steps_lie_inside_the_package_that_is_installed():
    folder = Path(sys.modules["isthmus_server.state"].__file__ or "").parent / "migrations"
    assert (folder / "env.py").is_file()
    assert len(list((folder / "versions").glob("v*.py"))) == int(SCHEMA)
