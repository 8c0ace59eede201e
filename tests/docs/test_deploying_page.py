"""The page on deployment states settings, ports, processes, scripts and units as they are."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from markdown_pages import ROOT, tokens

from isthmus.cli import LazyCommand, command
from isthmus_server.settings import Settings
from isthmus_server.up import PROCESSES

PAGE = ROOT / "docs" / "deploying.md"
TEXT = PAGE.read_text()
UNITS = [token.content for token in tokens(PAGE) if token.info == "ini"]


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_setting_is_documented_and_no_other():
    ports = re.findall(
        r"^\| `(\w+_port)` \| (\d+) \|", section("Ports of the server"), re.MULTILINE
    )
    others = re.findall(r"^\| `(\w+)` \|", section("server.toml"), re.MULTILINE)
    fields = Settings.model_fields
    assert {name: int(port) for name, port in ports} == {
        name: field.default for name, field in fields.items() if name.endswith("_port")
    }
    assert set(others) | {name for name, _ in ports} == set(fields)


def test_every_process_is_there():
    assert len(PROCESSES) == 3
    for word in ("SuperLink", "control service", "coordinator", "node", "worker"):
        assert f"| {word} |" in section("Processes")


def test_every_script_of_docker_is_documented_and_no_other():
    named = {
        name
        for row in section("Containers").splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([\w-]+\.sh)`", row.split("|")[1])
    }
    assert named == {path.name for path in (ROOT / "docker").glob("*.sh")}


def programs(unit: str) -> list[str]:
    return re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)


def parse(group: click.Group, arguments: list[str]) -> None:
    name, *rest = arguments
    found = group.get_command(click.Context(group), name)
    real = found.load() if isinstance(found, LazyCommand) else found
    assert real is not None, f"no command {name}"
    if isinstance(real, click.Group):
        parse(real, rest)
    else:
        real.make_context(name, rest)


def test_units_start_commands_that_there_are():
    assert len(UNITS) == 2
    for unit in UNITS:
        (program,) = programs(unit)
        path, *arguments = shlex.split(program)
        assert path == "/opt/isthmus/bin/isthmus"
        parse(command(), arguments)


def test_units_give_no_more_rights_than_each_other():
    hardening = [set(unit.partition("UMask")[2].splitlines()) for unit in UNITS]
    assert hardening[0] == hardening[1]
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="} < hardening[0]
    assert all("\nUser=isthmus\n" in unit for unit in UNITS)


@pytest.mark.parametrize("number", [0, 1])
def test_systemd_takes_the_units(number, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    here = str(Path(sys.executable).parent / "isthmus")
    file = tmp_path / f"isthmus-{number}.service"
    file.write_text(UNITS[number].replace("/opt/isthmus/bin/isthmus", here))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
