"""What `docker compose up` and `exec` do with docker/compose.yaml, on this machine without Docker.

    python compose_here.py FOLDER up -d SERVICE...
    python compose_here.py FOLDER exec -T SERVICE COMMAND...

The real scripts run with the environment that the file gives each service; the folders that a
container would have lie in FOLDER/SERVICE/. `FOLDER/overrides.json` may give a service other
variables. Of `database` nothing is started.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = DOCKER / "compose.yaml"


def environment(folder: Path, service: str) -> dict[str, str]:
    """The variables of a service, with paths of this machine in place of the container's."""
    overrides = json.loads((folder / "overrides.json").read_text()).get(service, {})
    given = yaml.safe_load(COMPOSE.read_text())["services"][service]["environment"]
    volume, run = folder / service / "volume", folder / service / "run"
    image = {
        "HOME": volume,
        "ISTHMUS_HOME": volume / "isthmus-server",
        "ISTHMUS_PLATFORM": volume,
        "ISTHMUS_RUN": run,
        "PGPASSFILE": run / "pgpass",
        "PATH": f"{DOCKER}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    return {key: here(folder, str(value)) for key, value in {**image, **given, **overrides}.items()}


def here(folder: Path, value: str) -> str:
    """A container's path as it is on this machine; any other text as it is."""
    moved = value.replace("/run/secrets", str(folder / "secrets"))
    return moved.replace("/etc/isthmus/policy.toml", str(DOCKER / "policy.toml"))


def up(folder: Path, services: Sequence[str]) -> None:
    """Start the services that do not run, each by its image's script."""
    for service in services:
        if service == "database" or runs(folder, service):
            continue
        volume, run = folder / service / "volume", folder / service / "run"
        volume.mkdir(mode=0o700, parents=True, exist_ok=True)
        run.mkdir(mode=0o700, exist_ok=True)
        script = DOCKER / ("server.sh" if service == "server" else "platform.sh")
        with (folder / service / "log").open("ab") as log:
            process = subprocess.Popen(
                [script],
                cwd=volume,
                env=environment(folder, service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (folder / service / "pid").write_text(str(process.pid))


def runs(folder: Path, service: str) -> bool:
    """Whether a service that was started still runs."""
    try:
        pid = (folder / service / "pid").read_text()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def execute(folder: Path, service: str, command: Sequence[str]) -> int:
    """Run a command as in the service's container; its exit code.

    As in a container, it has the service's variables and none that the script exported.
    """
    found: Mapping[str, str] = environment(folder, service)
    return subprocess.run(
        command, cwd=folder / service / "volume", env=found, check=False
    ).returncode


def main(folder: Path, verb: str, flag: str, *words: str) -> int:
    if (verb, flag) == ("up", "-d"):
        up(folder, words)
        return 0
    assert (verb, flag) == ("exec", "-T"), f"{verb} {flag} is not known here"
    return execute(folder, words[0], words[1:])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
