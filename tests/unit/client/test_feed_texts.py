"""CSV and JSON Lines: what is malformed is told on its line, what is odd is noted."""

import csv
import json

import pytest

from isthmus.errors import DataInvalidError
from isthmus_client.contract.model import EventsTable, Table
from isthmus_client.feeds import open_feeds


def read(folder, content, name="t.csv", **options):
    """Rows with their lines, what was malformed, and notes."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (feed,) = open_feeds(Table(source=name, **options), folder)
    malformed = []
    batches = list(feed.batches(feed.columns, malformed.append))
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    told = [(each.line, each.reason, each.detail) for each in malformed]
    return rows, told, dict(feed.notes)


def test_quoted_newlines_keep_physical_lines(tmp_path):
    content = 'a,b\r\n"1\r\n1",2\r\n\r\n3,"4"\r\n"5 ""x""\n\n",6'
    rows, told, notes = read(tmp_path, content)
    assert rows == [("1\r\n1", "2", 2), ("3", "4", 5), ('5 "x"\n\n', "6", 6)]
    assert told == []
    assert notes == {"blank_lines": "1 blank lines are no rows"}


def test_each_fault_is_told_on_its_line_and_the_rest_is_read(tmp_path):
    content = (
        b'a,b\n1,2\n1,2,3\n"1\n1"\n\xe9,2\n1,\0\n"open,2\n"1"1,2\nx\ry,2\n,\n9,9\n"end\nless,2\n'
    )
    rows, told, _ = read(tmp_path, content)
    assert rows == [("1", "2", 2), (None, None, 11), ("9", "9", 12), ("less", "2", 14)]
    assert told == [
        (3, "ragged", "3 fields instead of 2"),
        (4, "ragged", "1 fields instead of 2"),
        (6, "encoding", "bytes that are not utf-8"),
        (7, "nul", "a NUL byte"),
        (8, "ragged", "text behind a closing quotation mark"),
        (9, "ragged", "text behind a closing quotation mark"),
        (10, "ragged", "a carriage return outside quotation marks"),
        (13, "ragged", "a quotation mark that is never closed"),
    ]


def test_a_mark_that_is_never_closed_costs_its_line_alone(tmp_path):
    rest = "".join(f"u{n},i{n}\n" for n in range(60_000))
    rows, told, _ = read(tmp_path, 'a,b\n"open,1\n' + rest)
    assert told == [(2, "ragged", "a quotation mark that is never closed")]
    assert (len(rows), rows[0], rows[-1]) == (60_000, ("u0", "i0", 3), ("u59999", "i59999", 60_002))


@pytest.mark.parametrize("rows_before", [0, 300_000])  # within the first block, and long after it
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_row_is_judged_alike_wherever_it_stands(tmp_path, rows_before, newline):
    odd = ["p,q\rr,s", "", "x,y", f"long,{'t' * 200_000}", f'marked,"{"t" * 200_000}"']
    lines = ["a,b", *(f"u{n},i{n}" for n in range(rows_before)), *odd, f"far,{'t' * 1_048_577}"]
    rows, told, notes = read(tmp_path, newline.join([*lines, ""]))
    found = [(each[0], len(each[1]), each[2] - rows_before) for each in rows[rows_before:]]
    assert found == [("x", 1, 4), ("long", 200_000, 5), ("marked", 200_000, 6)]
    assert [(line - rows_before, reason) for line, reason, _ in told] == [
        (2, "ragged"),
        (7, "ragged"),
    ]
    assert told[0][2] == "a carriage return outside quotation marks"
    assert told[1][2] == "a field of over 1048576 characters: is a quotation mark never closed?"
    assert notes["blank_lines"] == "1 blank lines are no rows"
    assert csv.field_size_limit() == 131_072  # of the whole process: as it was


def test_the_delimiter_is_found_before_a_long_field(tmp_path):
    rows, told, _ = read(tmp_path, f'a;b\n1;{"t" * 200_000}\n2;"x"\n')
    assert ([len(row) for row in rows], told) == ([3, 3], [])


def test_a_header_with_a_carriage_return_is_refused_in_our_words(tmp_path):
    with pytest.raises(DataInvalidError, match=r"the header is not CSV$"):
        read(tmp_path, "a,b\r1,2\r3,4\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", "a,b\n1,2\n3,4\n"), ("t.csv", 'a,b\n1,"2""\n"\n3,4'), ("t.jsonl", '{"a":1}\n{}\n')],
)
def test_rows_are_counted_without_a_column(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    (feed,) = open_feeds(Table(source=name), tmp_path)
    (batch,) = feed.batches((), print)
    assert (batch.schema.names, batch.num_rows) == (["_line"], 2)


@pytest.mark.parametrize(("delimiter", "named"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_the_delimiter_is_found_by_looking_at_rows(tmp_path, delimiter, named):
    texts = ("text", "plain", "x, y; z | w", "p\tq, r, s", "a;b;c")
    content = "".join(f"id{delimiter}{text.replace(delimiter, '-')}\n" for text in texts)
    rows, told, notes = read(tmp_path, content)
    assert (len(rows), told) == (4, [])
    assert len(rows[0]) == 3
    assert notes == {"delimiter": f"{named}, found by looking"}


def test_a_wrong_delimiter_is_noted(tmp_path):
    _, _, notes = read(tmp_path, "a;b\n1;2\n", delimiter=",")
    assert notes["delimiter"] == "wrong? there is one column, and its name holds a semicolon"
    _, _, notes = read(tmp_path, "a:b\n1:2\n")
    assert "':'" in notes["delimiter"]
    _, _, notes = read(tmp_path, "only\n1\n")
    assert notes == {}


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r", "\0", "a"])
def test_what_cannot_divide_is_refused(tmp_path, delimiter):
    with pytest.raises(DataInvalidError, match="cannot be the delimiter"):
        read(tmp_path, "a,b\n", delimiter=delimiter)


def test_a_byte_order_mark_is_left_out_and_noted(tmp_path):
    rows, told, notes = read(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n")
    assert (rows, told) == ([("1", "2", 2)], [])
    assert list(notes) == ["bom"]
    rows, _, notes = read(tmp_path, b'\xef\xbb\xbf{"a": 1}\n', "t.jsonl")
    assert (rows, list(notes)) == ([("1", 1)], ["bom"])


def test_lines_end_with_carriage_returns_alone(tmp_path):
    rows, told, notes = read(tmp_path, b'a,b\r1,2\r"3",4\r')
    assert (rows, told, list(notes)) == ([("1", "2", 2), ("3", "4", 3)], [], ["newlines"])


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-be", "gb18030", "shift_jis", "cp1252", "cp037"]
)
@pytest.mark.parametrize("quoted", ["漢字", '"漢, 字"', '"漢 ""字"""'])
def test_other_encodings_are_read(tmp_path, encoding, quoted):
    western = encoding in {"cp1252", "cp037"}
    quoted = quoted.replace("漢", "é").replace("字", "ü") if western else quoted
    content = f"à,b\n{quoted},2\n" if western else f"名,b\n{quoted},2\n"
    rows, told, notes = read(tmp_path, content.encode(encoding), encoding=encoding)
    plain = quoted.removeprefix('"').removesuffix('"').replace('""', '"')
    assert (rows, told) == ([(plain, "2", 2)], [])
    assert notes == {}


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (
            "caf\xe9,1\n".encode("cp1252") * 3,
            'could be cp1252, as all of the file: set encoding = "',
        ),
        ("caf\xe9,1\n".encode("cp1252") * 3 + "é,1\n".encode(), "others are utf-8: they are mixed"),
        ("漢字,1\n".encode("gb18030") * 3, "could be gb18030"),
        (b"caf\xe9,1\n\x81,1\n\xe9,1\n", "nor all of one encoding that we know"),
    ],
)
def test_another_encoding_is_counted_and_guessed(tmp_path, foreign, said):
    rows, told, notes = read(tmp_path, b"a,b\nx,1\n" + foreign)
    assert len(rows) + len(told) == 1 + foreign.count(b"\n")
    assert {reason for _, reason, _ in told} == {"encoding"}
    assert notes["encoding"].startswith("3 lines are not utf-8")
    assert said in notes["encoding"]


def test_utf_8_in_a_file_that_should_be_ascii_is_guessed(tmp_path):
    _, told, notes = read(tmp_path, "a,b\né,1\n", encoding="ascii")
    assert told == [(2, "encoding", "bytes that are not ascii")]
    assert "could be utf-8" in notes["encoding"]


@pytest.mark.parametrize("encoding", ["no-such", "hex", "rot13"])
def test_no_encoding_of_text_is_refused(tmp_path, encoding):
    (tmp_path / "t.csv").write_text("a,b\n")
    table = Table.model_construct(source="t.csv", format="auto", delimiter="", encoding=encoding)
    with pytest.raises(DataInvalidError, match="is no encoding of text"):
        open_feeds(table, tmp_path)


def test_json_scalars_are_as_written(tmp_path):
    content = (
        '{"a": 007.10}\n'
        '{"a": 1.10, "b": true}\n\n'
        '{"b": false, "c": "", "a": 12345678901234567890123}\r\n'
        '{"a": "\\u6f22", "b": null, "c": "x"}\n'
        '{"a": 1e400, "c": NaN}'
    )
    rows, told, notes = read(tmp_path, content, "t.jsonl")
    assert rows == [
        ("1.10", "true", None, 2),
        ("12345678901234567890123", "false", None, 4),
        ("漢", None, "x", 5),
        ("1e400", None, "NaN", 6),
    ]
    assert told == [(1, "json", "Expecting ',' delimiter at character 8")]
    assert notes == {"blank_lines": "1 blank lines are no rows"}


def test_each_fault_of_json_is_told_without_the_line(tmp_path):
    lines = [
        '{"a": "1", "b": {"c": 1}}', '{"a": [1], "b": 1}', "[]", "secret", '{"a": 1, "a": 2}',
        "[" * 100_000, '{"a": "\\ud800"}', '{"a": "\\u0000"}', '{"a": "\\\\u0000"}',
    ]  # fmt: skip
    rows, told, _ = read(tmp_path, "\n".join(lines), "t.ndjson")
    assert rows == [("\\u0000", None, 9)]
    assert told == [
        (1, "json", "column 'b' holds an object"),
        (2, "json", "column 'a' holds a list"),
        (3, "json", "no object"),
        (4, "json", "Expecting value at character 1"),
        (5, "json", "the same key twice"),
        (6, "json", "nested too deeply"),
        (7, "json", "half of a surrogate pair"),
        (8, "nul", "a NUL character"),
    ]
    (feed,) = open_feeds(Table(source="t.ndjson"), tmp_path)
    (batch,) = feed.batches(("a",), print)
    assert batch.num_rows == 2  # what is nested in a column that nobody wants does not matter


def test_later_keys_are_columns_where_they_are_wanted_and_noted_elsewhere(tmp_path):
    first = '{"user": "u"}\n' * 10_000
    content = first + '{"user": "u", "note": "x", "stars": 5}\n'
    rows, _, notes = read(tmp_path, content, "t.jsonl")
    assert rows[-1] == ("u", 10_001)
    assert notes["new_columns"].endswith("'note' (line 10001), 'stars' (line 10001)")
    mapped = EventsTable(source="t.jsonl", columns={"rating": "stars"})
    (feed,) = open_feeds(mapped, tmp_path, ours=("rating", "price"))
    batches = list(feed.batches(feed.columns, print))
    assert batches[-1].to_pylist()[-1] == {"user": "u", "stars": "5", "_line": 10_001}
    assert dict(feed.notes)["new_columns"].endswith("not read: 'note' (line 10001)")


@pytest.mark.parametrize("escaped", [True, False])
def test_a_later_key_is_found_however_it_is_written(tmp_path, escaped):
    lines = ['{"user": "u"}'] * 10_001
    last = json.dumps({"user": "u", "時間": "7"}, ensure_ascii=escaped)
    (tmp_path / "t.jsonl").write_text("\n".join([*lines, last]))
    table = EventsTable(source="t.jsonl", columns={"timestamp": "時間"})
    (feed,) = open_feeds(table, tmp_path, ("timestamp",))
    *_, batch = feed.batches(feed.columns, print)
    assert batch.to_pylist()[-1]["時間"] == "7"


def test_what_is_no_json_lines_is_refused_at_once(tmp_path):
    for content in ("[1,\n2]\n", "user,item\n1,2\n"):
        with pytest.raises(DataInvalidError, match="is not JSON Lines"):
            read(tmp_path, content, "t.jsonl")
