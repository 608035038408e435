"""The rows of a Parquet file: an Arrow table in, JSON objects out."""

import base64
import io
import json
import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import judge

from etl.ingest.formats import parquet
from etl.ingest.formats.parquet import ParquetError, encode_rows, rows_of
from etl.ingest.formats.strict_json import without_nan


def encoded(values: Sequence[Any], kind: Any) -> list[str]:
    """Return what stands behind ``"c":`` in the row of each value; "" where the row has no such member."""
    rows = encode_rows(pa.record_batch([pa.array(values, kind)], ["c"]))
    assert len(rows) == len(values)
    return [row.decode().removeprefix("{").removesuffix("}").removeprefix('"c":') for row in rows]


def written(table: Any, **options: Any) -> bytes:
    """Return the bytes of a Parquet file."""
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def rows(source: bytes | Path) -> list[bytes]:
    """Return all rows of a Parquet file."""
    return [row for some in rows_of(source) for row in some]


DAY = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)

TYPES: dict[str, tuple[Any, list[Any], list[str]]] = {
    "integers": (pa.int64(), [0, -1, 2**63 - 1, None], ["0", "-1", "9223372036854775807", ""]),
    "unsigned integers": (pa.uint64(), [2**64 - 1], ["18446744073709551615"]),
    "small integers": (pa.int8(), [-128], ["-128"]),
    "doubles": (
        pa.float64(),
        [1.0, 0.1, -0.0, 1e16, 5e-324, 1e300, None],
        ["1.0", "0.1", "-0.0", "1e+16", "5e-324", "1e+300", ""],
    ),
    "doubles that JSON lacks": (pa.float64(), [math.nan, math.inf, -math.inf, 1.0], ["NaN", "Infinity", "-Infinity", "1.0"]),
    "floats": (pa.float32(), [0.1, 1.0, None], ["0.1", "1.0", ""]),
    "half floats": (pa.float16(), [0.5, None], ["0.5", ""]),
    "decimals": (pa.decimal128(10, 2), [Decimal("1.20"), Decimal("-0.05"), None], ["1.20", "-0.05", ""]),
    "decimals of no fraction": (pa.decimal128(5, -2), [Decimal(12300)], ["12300"]),
    "long decimals": (pa.decimal256(60, 0), [Decimal(10) ** 50], ["1" + "0" * 50]),
    "truths": (pa.bool_(), [True, False, None], ["true", "false", ""]),
    "strings": (
        pa.string(),
        ['a"\\/\n\t\x00\x1f\x7f', "é\u2028\U0001f600", "", None],
        ['"a\\"\\\\/\\n\\t\\u0000\\u001f\x7f"', '"é\u2028\U0001f600"', '""', ""],
    ),
    "plain strings": (pa.large_string(), ["é", None], ['"é"', ""]),
    "string views": (
        pa.string_view(),
        ["é", None, 'a "string" of more than twelve'],
        ['"é"', "", r'"a \"string\" of more than twelve"'],
    ),
    "binary": (pa.binary(), [b"\xff\x00", b"", None], ['"/wA="', '""', ""]),
    "binary of one length": (pa.binary(2), [b"ab", None], ['"YWI="', ""]),
    "binary views": (pa.binary_view(), [b"ab", None], ['"YWI="', ""]),
    "dates": (pa.date32(), [date(2024, 2, 29), None], ['"2024-02-29"', ""]),
    "dates in milliseconds": (pa.date64(), [date(1969, 12, 31), None], ['"1969-12-31"', ""]),
    "times": (pa.time64("us"), [time_of_day(1, 2, 3, 4), None], ['"01:02:03.000004"', ""]),
    "times in seconds": (pa.time32("s"), [time_of_day(1, 2, 3)], ['"01:02:03.000000"']),
    "times in nanoseconds": (pa.time64("ns"), [1999], ['"00:00:00.000001"']),
    "timestamps": (pa.timestamp("us"), [DAY, None], ['"2024-02-29T12:30:15.123456Z"', ""]),
    "timestamps of a zone": (pa.timestamp("us", "Asia/Kolkata"), [DAY], ['"2024-02-29T12:30:15.123456Z"']),
    "timestamps in seconds": (pa.timestamp("s"), [0, -1], ['"1970-01-01T00:00:00.000000Z"', '"1969-12-31T23:59:59.000000Z"']),
    "timestamps in milliseconds": (pa.timestamp("ms", "UTC"), [1], ['"1970-01-01T00:00:00.001000Z"']),
    "timestamps in nanoseconds": (
        pa.timestamp("ns", "Europe/Berlin"),
        [1999, -1],
        ['"1970-01-01T00:00:00.000001Z"', '"1969-12-31T23:59:59.999999Z"'],
    ),
    "timestamps beyond the calendar": (pa.timestamp("us"), [2**63 - 1], ["9223372036854775807"]),
    "durations": (pa.duration("ms"), [timedelta(seconds=1.5), None], ["1.5", ""]),
    "lists": (pa.list_(pa.int8()), [[1, None, 2], [], None], ["[1,null,2]", "[]", ""]),
    "lists of one length": (pa.list_(pa.string(), 2), [["a", None], None], ['["a",null]', ""]),
    "list views": (pa.list_view(pa.int8()), [[1], [], None], ["[1]", "[]", ""]),
    "structs": (
        pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))]),
        [{"a": 1, "b": ["x"]}, {"a": None, "b": None}, {"a": None, "b": []}, None],
        ['{"a":1,"b":["x"]}', "{}", '{"b":[]}', ""],
    ),
    "structs of nothing": (pa.struct([]), [{}, None], ["{}", ""]),
    "maps": (pa.map_(pa.string(), pa.int8()), [[("a", 1), ('"', None)], [], None], [r'{"a":1,"\"":null}', "{}", ""]),
    "maps of numbers": (pa.map_(pa.int8(), pa.string()), [[(1, "a"), (2, None)], [], None], ['[[1,"a"],[2,null]]', "[]", ""]),
    "dictionaries": (pa.dictionary(pa.int8(), pa.string()), ["a", None, "a"], ['"a"', "", '"a"']),
    "nothing": (pa.null(), [None, None], ["", ""]),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_value_of_each_type(name: str) -> None:
    """A column of the type in, the member of the row out; a null is no member; so too as elements of lists and structs."""
    kind, values, wanted = TYPES[name]
    assert encoded(values, kind) == wanted
    assert encoded([values], pa.list_(kind)) == [f"[{','.join(text or 'null' for text in wanted)}]"]
    inside = [f'{{"x":{text}}}' if text else "{}" for text in wanted]
    assert encoded([{"x": value} for value in values], pa.struct([("x", kind)])) == inside
    sliced = pa.array([values[-1], *values, values[0]], kind).slice(1, len(values))
    assert encode_rows(pa.record_batch([sliced], ["c"])) == encode_rows(pa.record_batch([pa.array(values, kind)], ["c"]))


@pytest.mark.parametrize(
    "name",
    [name for name in TYPES if name not in {"half floats", "decimals of no fraction", "structs of nothing", "list views"}],
)
def test_a_column_of_each_type_in_a_file(name: str) -> None:
    """A Parquet file of the column gives the same rows, as far as the format keeps the type."""
    kind, values, wanted = TYPES[name]
    try:
        file = written(pa.table({"c": pa.array(values, kind)}))
    except pa.ArrowException:
        pytest.skip("Parquet has no such type")
    assert [row.decode() for row in rows(file)] == [f'{{"c":{text}}}' if text else "{}" for text in wanted]


def test_columns_stay_in_order_and_nulls_are_left_out() -> None:
    """Members come in the order of the columns; a row of nulls is an empty object, and a row still."""
    table = pa.table({"b": [1, None, None], 'a"é': ["x", None, "y"]})
    assert rows(written(table)) == ['{"b":1,"a\\"é":"x"}'.encode(), b"{}", '{"a\\"é":"y"}'.encode()]
    assert rows(written(pa.table({"a": pa.array([], pa.int8())}))) == []


def test_a_column_twice_is_refused_by_the_judge() -> None:
    """Two columns of one name are a key twice."""
    (row,) = encode_rows(pa.record_batch([pa.array([1]), pa.array([2])], ["a", "a"]))
    refusal = judge(row, 64, 1000)
    assert refusal
    assert refusal.reason == "duplicate_key"


def test_bytes_that_are_not_utf8_are_refused_by_the_judge() -> None:
    """A string column may hold any bytes: the row with bad ones is refused alone."""
    values = pa.array([b'a"\n', b'\xff"', None]).view(pa.string())
    good, bad, empty = encode_rows(pa.record_batch([values], ["a"]))
    assert (good, bad, empty) == (b'{"a":"a\\"\\n"}', b'{"a":"\xff\\""}', b"{}")
    refusal = judge(bad, 64, 1000)
    assert refusal
    assert refusal.reason == "invalid_utf8"


def test_json_is_a_value() -> None:
    """A column of JSON texts gives values, compact, digits kept; a text that is no JSON is a string: nothing breaks out."""
    texts = ['{"a": 1.50, "b": [ ]}', "1e5", None, '1,"b":2', "[", "NaN"]
    values = pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts))
    wanted = [rb'{"a":1.50,"b":[]}', b"1e5", None, rb'"1,\"b\":2"', b'"["', b'"NaN"']
    made = [b'{"c":' + text + b"}" if text else b"{}" for text in wanted]
    assert encode_rows(pa.record_batch([values], ["c"])) == made
    assert rows(written(pa.table({"c": values}))) == made


def test_an_extension_is_its_storage() -> None:
    """A UUID is sixteen bytes."""
    values = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef", None], pa.binary(16)))
    assert encode_rows(pa.record_batch([values], ["c"])) == [b'{"c":"MDEyMzQ1Njc4OWFiY2RlZg=="}', b"{}"]


def test_a_file_that_cannot_be_read() -> None:
    """No Parquet, a file cut off, one with bytes changed, and an encrypted one: one refusal, which says that it is the file."""
    good = written(pa.table({"a": ["some text"] * 1000, "b": list(range(1000))}))
    encrypted = good[:-4] + b"PARE"
    for bad in (b"", b"PAR1", b"no Parquet at all", good[:-9], good[4:], good[:-200] + b"\xff" * 190 + good[-10:], encrypted):
        with pytest.raises(ParquetError) as error:
            rows(bad)
        assert error.value.refusal.reason == "unreadable_file"
        assert error.value.refusal.detail.startswith("it cannot be read as Parquet: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Where the disk fails, it is the disk's error."""
    with pytest.raises(FileNotFoundError):
        rows(tmp_path / "none.parquet")


def test_damage_in_the_middle_ends_the_file() -> None:
    """Row groups before the damage are given; then comes the refusal, and never a shorter file."""
    table = pa.table({"a": [f"{number:050d}" for number in range(4000)]})
    good = written(table, row_group_size=1000, use_dictionary=False, compression="zstd")
    at = len(good) // 2
    damaged = good[:at] + b"\xff" * 200 + good[at + 200 :]
    seen: list[bytes] = []
    with pytest.raises(ParquetError):
        seen.extend(row for some in rows_of(damaged) for row in some)
    assert 1000 <= len(seen) < 4000
    assert seen == encode_rows(table.to_batches()[0])[: len(seen)]


def test_a_row_group_that_says_it_has_more_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fewer rows come than the file says, as in a damaged one, it is refused, and reading ends."""
    file = written(pa.table({"a": range(10)}))
    every_batch = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *given, **named: (b[:7] for b in every_batch(*given, **named)))
    with pytest.raises(ParquetError, match="a row group has 7 rows, and says that it has 10"):
        rows(file)


def test_a_type_without_a_json_form() -> None:
    """The refusal names the type."""
    values = pa.array([pa.MonthDayNano([1, 2, 3])])
    with pytest.raises(ParquetError, match="type month_day_nano_interval, which has no JSON form"):
        encode_rows(pa.record_batch([values], ["a"]))


def sizes(file: bytes) -> Iterator[tuple[int, int]]:
    """Yield the number of rows and of bytes of what is read at once."""
    for some in rows_of(file):
        yield len(some), sum(map(len, some))


@pytest.mark.parametrize("dictionary", [True, False])
def test_batches_are_bounded_by_bytes(dictionary: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are small and then large, all in one row group: in order, all of them, and about as many bytes at once."""
    monkeypatch.setattr(parquet, "BATCH_BYTES", 100_000)
    texts = ["a"] * 5000 + ["b" * 1000] * 2000 + ["c" * 50_000] * 30 + ["d"] * 3000
    table = pa.table({"n": range(len(texts)), "t": texts})
    file = written(table, row_group_size=len(texts), use_dictionary=dictionary)
    assert [json.loads(row)["n"] for row in rows(file)] == list(range(len(texts)))
    assert sum(count for count, _ in sizes(file)) == len(texts)
    assert max(size for _, size in sizes(file)) < 300_000
    assert max(count for count, _ in sizes(file)) > 500


SCALARS = st.sampled_from(
    [
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.uint8(), st.integers(0, 255)),
        (pa.float64(), st.floats()),
        (pa.float32(), st.floats(width=32)),
        (pa.bool_(), st.booleans()),
        (pa.string(), st.text(max_size=5)),
        (pa.large_string(), st.text('"\\\n\x00aé', max_size=5)),
        (pa.binary(), st.binary(max_size=5)),
        (pa.decimal128(20, 3), st.decimals(-(10**16), 10**16, places=3)),
        (pa.date32(), st.dates()),
        (pa.time64("us"), st.times()),
        (pa.timestamp("us"), st.datetimes()),
        # Python can hold the local times of these
        (
            pa.timestamp("us", "America/New_York"),
            st.datetimes(datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30"), timezones=st.just(UTC)),
        ),
        (pa.null(), st.none()),
    ]
)

Column = tuple[Any, st.SearchStrategy[Any]]


def nested(inside: st.SearchStrategy[Column]) -> st.SearchStrategy[Column]:
    """Return columns of lists, structs and maps of these."""
    lists = inside.map(lambda of: (pa.list_(of[0]), st.lists(st.none() | of[1], max_size=3)))
    pairs = st.tuples(inside, inside)
    structs = pairs.map(
        lambda of: (
            pa.struct([("a", of[0][0]), ("b", of[1][0])]),
            st.fixed_dictionaries({"a": st.none() | of[0][1], "b": st.none() | of[1][1]}),
        )
    )
    maps = inside.map(
        lambda of: (
            pa.map_(pa.string(), of[0]),
            st.dictionaries(st.text(max_size=2), st.none() | of[1], max_size=2).map(lambda pairs: list(pairs.items())),
        )
    )
    return lists | structs | maps


COLUMNS = st.recursive(SCALARS, nested, max_leaves=4)


def plain(value: Any, kind: Any) -> Any:
    """Return a value of Arrow as JSON has it, written from the table of types."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if pa.types.is_floating(kind):
        return ("float", str(pa.scalar(value, kind).as_py()))
    if pa.types.is_map(kind):
        return {key: plain(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind):
        return [plain(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind if value[field.name] is not None}
    return _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return ("float", str(float(value)))
    if isinstance(value, datetime):
        return (
            value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
            if value.tzinfo
            else value.isoformat(timespec="microseconds") + "Z"
        )
    return value.isoformat(timespec="microseconds") if isinstance(value, time_of_day) else value.isoformat()


def parsed(row: bytes, kinds: dict[str, Any]) -> Any:
    """Return a row as JSON reads it, floats marked as such."""

    def floats(text: str) -> tuple[str, str]:
        return ("float", str(float(text)))

    value = json.loads(row, parse_float=floats, parse_constant=floats)
    return {name: _narrowed(item, kinds[name]) for name, item in value.items()}


def _narrowed(value: Any, kind: Any) -> Any:
    """Return floats of 32 bits as those that they are read as."""
    if isinstance(value, tuple) and kind == pa.float32():
        return ("float", str(pa.scalar(float(value[1]), kind).as_py()))
    if pa.types.is_map(kind) and isinstance(value, dict):
        return {key: _narrowed(item, kind.item_type) for key, item in value.items()}
    if pa.types.is_list(kind) and isinstance(value, list):
        return [_narrowed(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind) and isinstance(value, dict):
        return {key: _narrowed(item, kind.field(key).type) for key, item in value.items()}
    return value


@settings(deadline=None)
@given(st.lists(COLUMNS, min_size=1, max_size=3), st.data())
def test_any_table_reads_back(columns: list[Column], data: st.DataObject) -> None:
    """Any table: each row parses, is what the strict judge takes but for NaN, and is the values of the table."""
    length = data.draw(st.integers(0, 4))
    arrays = [
        pa.array(data.draw(st.lists(st.none() | values, min_size=length, max_size=length)), kind) for kind, values in columns
    ]
    kinds = {str(number): array.type for number, array in enumerate(arrays)}
    batch = pa.record_batch(arrays, list(kinds))
    made = encode_rows(batch)
    assert [parsed(row, kinds) for row in made] == [
        {name: plain(value, kinds[name]) for name, value in row.items() if value is not None} for row in batch.to_pylist()
    ]
    assert [judge(without_nan(row)[0], 64, 1_000_000) for row in made] == [None] * length
    assert rows(written(pa.Table.from_batches([batch]))) == made


@pytest.mark.slow
def test_rows_are_encoded_fast(tmp_path: Path) -> None:
    """200,000 rows of about a kilobyte in 15 columns take about a second of CPU time."""
    count, words = 200_000, ["alpha ", 'be"ta ', "γάμμα\n", "delta "]
    texts = [words[number % 4] * 55 for number in range(1000)]
    table = pa.table(
        {f"t{column}": [texts[(number * 7 + column) % 1000] for number in range(count)] for column in range(2)}
        | {f"s{column}": [f"{column}-{number}" for number in range(count)] for column in range(5)}
        | {f"f{column}": [number / 7 for number in range(count)] for column in range(4)}
        | {"n": range(count), "ok": [True] * count, "at": pa.array(range(count), pa.timestamp("us")), "l": [["a", "b"]] * count}
    )
    file = tmp_path / "large.parquet"
    pq.write_table(table, file)
    started = time.process_time()
    size = sum(len(row) for row in rows(file))
    seconds = time.process_time() - started
    print(f"{size / count:.0f} bytes a row: {seconds:.2f} s")
    assert seconds < 4
