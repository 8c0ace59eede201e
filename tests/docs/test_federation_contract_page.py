"""The page on the contract names every field, every key of a policy, and examples that are good."""

import re
import tomllib
from pathlib import Path

from isthmus.federation_contract import FederationContract
from isthmus.policy import Policy, parse_policy
from isthmus_server.run_request import RunRequest, request_from

PAGE = (Path(__file__).parents[2] / "docs" / "federation-contract.md").read_text()
POLICY, REQUEST = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_field_is_named_and_no_other():
    cells = re.findall(r"^\| (`[a-z_`, ]+`) \|", section("What is in it"), re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([a-z_0-9]+)`", cell)}
    assert named == set(FederationContract.model_fields)


def test_the_policy_is_one_and_names_every_key():
    values = tomllib.loads(POLICY)
    assert set(values) == set(Policy.model_fields)
    parse_policy(values)


def test_the_request_is_one_and_what_has_no_option_is_listed():
    from isthmus_server.cli_run_start import start  # noqa: PLC0415

    found = request_from(tomllib.loads(REQUEST))
    assert found.encoder.dim == 32
    options = set(start.__kwdefaults__)
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", section("run.toml"), re.MULTILINE))
    assert listed == set(RunRequest.model_fields) - options
