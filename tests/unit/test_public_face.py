"""What each package offers at its top is exact, and all four packages ship and keep the floors."""

import importlib
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Literal, get_origin

import pytest

import isthmus

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOTS = {
    file.parent.relative_to(ROOT).as_posix()
    for folder in ("shared", "client", "server", "simulations")
    for file in (ROOT / folder).glob("*/__init__.py")
}
PACKAGES = sorted(
    ".".join(file.parent.relative_to((ROOT / root).parent).parts)
    for root in ROOTS
    for file in (ROOT / root).rglob("__init__.py")
)


def test_the_packages_were_found():
    assert {"isthmus", "isthmus_client", "isthmus_server", "isthmus_simulations"} <= set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_declared_face_is_exact(name):
    package = importlib.import_module(name)
    declared = getattr(package, "__all__", None)
    if declared is None:
        return  # nothing is promised: its modules are imported by their own names
    assert len(set(declared)) == len(declared)
    offered = {key for key, value in vars(package).items() if is_ours(key, value)}
    assert offered == {key for key in declared if not key.startswith("_")}


def is_ours(name, value):
    of = str(getattr(value, "__module__", "isthmus"))
    ours = of.startswith("isthmus") or get_origin(value) is Literal
    return not name.startswith("_") and not isinstance(value, ModuleType) and ours


def test_the_ground_floor_offers_its_error_and_its_version():
    assert isthmus.__all__ == ["IsthmusError", "__version__"]
    assert isthmus.__version__ == PROJECT["project"]["version"] == metadata.version("isthmus")


def test_every_package_ships_is_typed_and_stands_on_a_floor():
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == ROOTS
    linter = PROJECT["tool"]["importlinter"]
    assert set(linter["root_packages"]) == {Path(root).name for root in ROOTS}
    floors = {
        name.strip() for layer in linter["contracts"][0]["layers"] for name in layer.split("|")
    }
    assert floors == set(linter["root_packages"])
    assert all((ROOT / root / "py.typed").is_file() for root in ROOTS)
