"""Whatever stands in a `platform.toml`, it is read or refused with words: never a traceback."""

import json
import re

from hypothesis import example, given
from hypothesis import strategies as st

from isthmus.errors import ContractError
from isthmus_client.contract import load_contract
from isthmus_client.contract.model import Contract
from isthmus_client.contract.template import contract_text

LINES = contract_text("shop", example=True).splitlines()
TABLES = list(Contract.model_fields)
KEYS = re.findall(r"^#? ?(\w+) = ", "\n".join(LINES), re.MULTILINE)
VALUES = (
    st.text("a%Y:/@?= \u00fc\u5feb\x00'\"\\.-", max_size=6).map(json.dumps)
    | st.integers(-(2**70), 2**70).map(str)
    | st.sampled_from(["nan", "-inf", "true", "2024-01-01", "10:00:00", "[]", "{}", "[[1]]"])
    | st.sampled_from(['"purchase"', '"mysql://a@b/c"', '"%"', '"Europe"', "{ a = { b = 1 } }"])
)


def refused_well(folder, text):
    """Read, or refused with a line that is in the file for each mistake that has one."""
    path = folder / "platform.toml"
    path.write_text(text)
    found = refusal(path)
    if found is not None:
        lines = [int(line) for line in re.findall(r"^  line (\d+)", str(found), re.MULTILINE)]
        assert all(1 <= line <= text.count("\n") + 1 for line in lines)
        assert found.hint


def refusal(path):
    try:
        load_contract(path)
    except ContractError as error:
        return error
    return None


@given(table=st.sampled_from(TABLES), key=st.sampled_from(KEYS), value=VALUES)
@example(table="events", key="query", value='"\\u0000"')
@example(table="platform", key="time_zone", value='"a\\u0000b"')
@example(table="items", key="credentials", value='"a\\u0000b"')
def test_any_value_of_any_key(tmp_path_factory, table, key, value):
    minimal = {"events": '[events]\nsource = "e"\n', "items": '[items]\nsource = "i"\n'}
    own = minimal.pop(table, f"[{table}]\n")
    own = own.split("\n")[0] if f"\n{key} =" in own else own.rstrip("\n")
    text = "\n".join([*minimal.values(), own, f"{key} = {value}", ""])
    refused_well(tmp_path_factory.mktemp("any"), text)


@given(st.data())
def test_any_line_lost_doubled_or_moved(tmp_path_factory, data):
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        to = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["lose", "double", "move", "uncomment", "cut"])):
            case "lose":
                del lines[at]
            case "double":
                lines.insert(to, lines[at])
            case "move":
                lines.insert(to, lines.pop(at))
            case "uncomment":
                lines[at] = lines[at].lstrip("# ")
            case "cut":
                lines[at] = lines[at][: len(lines[at]) // 2]
    refused_well(tmp_path_factory.mktemp("any"), "\n".join(lines))
