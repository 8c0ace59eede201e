"""docker/: its files hold what they promise, and its scripts do what a container would do.

No Docker engine is needed: `compose_here` runs the same scripts with the same variables.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from compose_here import COMPOSE, DOCKER, environment, runs
from markdown_pages import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from postgres_server import postgres_folder, postgres_server
from waiting import until

from isthmus import __version__
from isthmus.policy import load_policy
from isthmus_server.settings import Settings

BIN = Path(sys.executable).parent
SCRIPTS = sorted(DOCKER.glob("*.sh"))
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
PUBLIC = {Settings().enrolment_port, Settings().control_port, Settings().fleet_port}
PASSWORD = r"a:b\c d%e@f"  # noqa: S105 - of a database that lives for seconds


def test_the_scripts_are_sound():
    done = subprocess.run([BIN / "shellcheck", *SCRIPTS], capture_output=True, text=True)  # noqa: PLW1510 - looked at below
    assert (done.returncode, done.stdout) == (0, "")


def test_the_dockerfile_is_sound():
    done = subprocess.run(  # noqa: PLW1510 - looked at below
        [BIN / "hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_dockerfile_copies_what_is_there_and_ends_as_nobodys_root():
    text = (DOCKER / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    stages = text.split("\nFROM ")[1:]
    last = {stage.split()[2]: stage for stage in stages}
    for target in ("server", "client"):
        assert re.findall(r"^USER (.*)$", last[target], re.MULTILINE) == ["10001:10001"]
        assert "HEALTHCHECK" in last[target]
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-slim-bookworm$", text, re.MULTILINE)


def faults(name: str, service: dict) -> list[str]:
    """What a service of compose.yaml may not be."""
    user = str(service.get("user", "0")).split(":")[0]
    published = {int(str(each).rpartition(":")[2]) for each in service.get("ports", ())}
    variables = service.get("environment", {})
    image, _, tag = service.get("image", "").partition(":")
    checks = {
        "root": user == "0" or not user.isdigit(),
        "not pinned": not re.match(r"\d+\.\d+", tag) or not image,
        "no healthcheck": not service.get("healthcheck", {}).get("test"),
        "a port that is not for platforms": bool(
            published - (PUBLIC if name == "server" else set())
        ),
        "can write its file system": service.get("read_only") is not True,
        "capabilities": service.get("cap_drop") != ["ALL"] or "cap_add" in service,
        "new privileges": "no-new-privileges:true" not in service.get("security_opt", ()),
        "privileged": service.get("privileged", False),
        "the host's network": "network_mode" in service,
        "the host's files": any(
            str(each).startswith("/") or "docker.sock" in str(each)
            for each in service.get("volumes", ())
        ),
        "a secret in a variable": any(
            re.search("PASSWORD|PASSPHRASE|TOKEN|INVITATION|SECRET", key)
            and not str(value).startswith("/run/secrets/")
            for key, value in variables.items()
        ),
    }
    return [fault for fault, found in checks.items() if found]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_no_more_than_it_must(name):
    assert faults(name, SERVICES[name]) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"user": "0:0"}, "root"),
        ({"user": "isthmus"}, "root"),
        ({"image": "isthmus-server:latest"}, "not pinned"),
        ({"image": "isthmus-server"}, "not pinned"),
        ({"healthcheck": {}}, "no healthcheck"),
        ({"ports": ["9445:9445"]}, "a port that is not for platforms"),
        ({"ports": ["127.0.0.1:9446:9446"]}, "a port that is not for platforms"),
        ({"read_only": False}, "can write its file system"),
        ({"cap_add": ["NET_ADMIN"]}, "capabilities"),
        ({"security_opt": []}, "new privileges"),
        ({"privileged": True}, "privileged"),
        ({"network_mode": "host"}, "the host's network"),
        ({"volumes": ["/var/run/docker.sock:/docker.sock"]}, "the host's files"),
        ({"environment": {"PGPASSWORD": "x"}}, "a secret in a variable"),
    ],
)
def test_a_service_that_could_would_be_noticed(change, fault):
    assert faults("server", {**SERVICES["server"], **change}) == [fault]


def test_there_is_a_server_its_database_and_three_platforms():
    assert {*SERVICES} == {"database", "server", "alder", "birch", "cedar"}
    state = {name for name, service in SERVICES.items() if "state" in service["networks"]}
    assert state == {"database", "server"}
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["state"]["internal"] is True
    ours = {
        service["image"].partition(":")[2]
        for name, service in SERVICES.items()
        if name != "database"
    }
    assert ours == {__version__}


@pytest.mark.parametrize("more", [(), ("compose.cuda.yaml",)])
def test_compose_takes_the_files(more):
    command = compose_command()
    if command is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed")
    files = [option for name in ("compose.yaml", *more) for option in ("-f", str(DOCKER / name))]
    done = subprocess.run([*command, *files, "config"], capture_output=True, text=True)  # noqa: PLW1510 - looked at below
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)["services"]
    assert {*found} == {*SERVICES}
    assert found["alder"]["image"] == f"isthmus-client:{__version__}" + ("-cuda" if more else "")
    assert found["alder"]["read_only"] is True


def compose_command() -> list[str] | None:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        known = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        return ["docker", "compose"] if known.returncode == 0 else None
    return None


def pinned() -> dict[str, str]:
    lines = (DOCKER / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if not line.startswith("#")]
    assert all(len(each) == 2 for each in found), "a name, ==, a version, and nothing else"
    return dict(found)


def test_all_that_we_ask_for_is_pinned_within_its_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += [each for extra in ("server", "client", "sources") for each in extras[extra]]
    versions = pinned()
    for text in asked:
        requirement = Requirement(text)
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not pinned"
        assert requirement.specifier.contains(version), f"{version} is no {text}"


def test_no_pin_names_a_build_or_a_place():
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned().values())


def test_the_policy_of_the_example_is_one():
    policy = load_policy(DOCKER / "policy.toml")
    assert policy.require_secure
    assert "none" not in policy.trust


def test_a_wrong_kind_of_pytorch_is_refused_before_anything_is_made(tmp_path):
    done = subprocess.run(
        [DOCKER / "install.sh", tmp_path / "venv", "server", "rocm"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is cpu and cuda, not rocm" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_a_servers_image_would_hold_what_is_pinned_and_no_deep_learning(tmp_path):
    probe = ["download", "--quiet", "--no-deps", "--dest", str(tmp_path), "packaging==25.0"]
    if subprocess.run([sys.executable, "-m", "pip", *probe], capture_output=True).returncode:  # noqa: PLW1510 - looked at here
        pytest.skip("no package index can be reached")
    folder = tmp_path / "venv"
    install = [DOCKER / "install.sh", folder, "server"]
    done = subprocess.run(install, cwd=ROOT, capture_output=True, text=True)  # noqa: PLW1510 - looked at below
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert __version__ in done.stdout.splitlines()[-1]
    freeze = [folder / "bin" / "pip", "freeze", "--exclude", "isthmus"]
    lines = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout.split()
    installed = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    versions = pinned()
    assert installed == {name: versions.get(name) for name in installed}
    assert not {"torch", "duckdb", "pyarrow"} & {*installed}
    made = [folder / "bin" / "isthmus", "server", "init", tmp_path / "server", "--json"]
    assert "fingerprint" in subprocess.run(made, capture_output=True, text=True, check=True).stdout


class Site:
    """A folder in which compose.sh works, and what it started there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"

    def compose_sh(self, *platforms: str) -> subprocess.CompletedProcess[str]:
        program = Path(__file__).parents[1] / "support" / "compose_here.py"
        told = {
            "ISTHMUS_COMPOSE": f"{sys.executable} {program} {self.folder}",
            "ISTHMUS_SECRETS": str(self.secrets),
        }
        return subprocess.run(
            [DOCKER / "compose.sh", *platforms],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command as `docker compose exec` gives it."""
        return subprocess.run(
            command,
            cwd=self.folder / service / "volume",
            env=environment(self.folder, service),
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self, service: str) -> str:
        return (self.folder / service / "log").read_text()

    def stop(self, service: str) -> None:
        if runs(self.folder, service):
            pid = int((self.folder / service / "pid").read_text())
            os.kill(pid, signal.SIGTERM)
            until(lambda: not runs(self.folder, service), 30, f"{service} ends")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("docker"))
    made.secrets.mkdir(mode=0o700)
    (made.secrets / "database_password").write_text(PASSWORD)
    programs = postgres_folder()
    server = {"ISTHMUS_PORTS": "free", "ISTHMUS_HOSTS": "localhost 127.0.0.1"}
    with nullcontext() if programs is None else postgres_server(programs) as postgres:
        if postgres is None:
            server |= {"ISTHMUS_DATABASE": "", "ISTHMUS_DATABASE_PASSWORD_FILE": ""}
        else:
            postgres.run(f"CREATE ROLE isthmus LOGIN PASSWORD '{PASSWORD}'")
            postgres.run("CREATE DATABASE isthmus OWNER isthmus")
            url = f"postgresql+psycopg://isthmus@127.0.0.1:{postgres.port}/isthmus"
            server["ISTHMUS_DATABASE"] = url
        (made.folder / "overrides.json").write_text(json.dumps({"server": server}))
        try:
            done = made.compose_sh("alder")
            assert done.returncode == 0, done.stdout + done.stderr + made.log("server")
            yield made
        finally:
            made.stop("alder")
            made.stop("server")


@pytest.mark.slow
def test_a_platform_takes_part_after_one_command(site):
    listed = json.loads(site.inside("server", "isthmus", "server", "list", "--json").stdout)
    (alder,) = listed["platforms"]
    assert (alder["name"], alder["status"], alder["online"]) == ("alder", "approved", True)
    status = json.loads(site.inside("alder", "isthmus", "client", "status", "--json").stdout)
    assert status["fingerprint"] == alder["fingerprint"]
    assert {name: told["state"] for name, told in status["processes"].items()} == {
        "node": "ready",
        "worker": "ready",
    }


@pytest.mark.slow
def test_secrets_are_files_and_stand_nowhere_else(site):
    if postgres_folder() is None:
        pytest.skip("PostgreSQL is not installed")
    passphrase = (site.secrets / "alder_passphrase").read_text()
    invitation = (site.secrets / "alder_invitation").read_text()
    assert len(passphrase) > 40
    assert {path.stat().st_mode & 0o777 for path in site.secrets.glob("alder_*")} == {0o444}
    in_memory = [site.folder / "server/run/pgpass", site.folder / "alder/run/passphrase"]
    assert {path.stat().st_mode & 0o777 for path in in_memory} == {0o600}
    files = [
        file
        for service in ("server", "alder")
        for file in [site.folder / service / "log", *(site.folder / service).glob("volume/**/*")]
        if file.is_file() and not file.is_symlink()
    ]
    assert {"server.toml", "platform.toml", "node.log", "audit.jsonl"} <= {f.name for f in files}
    for file in files:
        for secret in (PASSWORD, passphrase, invitation.strip()):
            assert secret.encode() not in file.read_bytes(), f"{file} holds a secret"


@pytest.mark.slow
def test_a_container_that_is_started_again_goes_on(site):
    home = site.folder / "server" / "volume" / "isthmus-server"
    settings, invitation = (home / "server.toml").read_text(), site.secrets / "alder_invitation"
    before = invitation.read_text()
    site.stop("alder")
    assert "stopped" in site.log("alder").splitlines()[-1]
    found = site.inside("alder", "platform-ready.sh")
    assert (found.returncode, found.stderr) == (1, "node: does not run\n")
    site.stop("server")
    found = site.inside("server", "server-ready.sh")
    assert found.returncode == 1
    assert found.stderr.startswith("not up: ")
    done = site.compose_sh("alder")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "server.toml").read_text() == settings
    assert invitation.read_text() == before
    assert site.inside("alder", "platform-ready.sh").returncode == 0
