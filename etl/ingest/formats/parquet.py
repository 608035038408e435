"""The rows of a Parquet file as JSON objects: columns in order, nulls left out, compact UTF-8.

| type | as JSON |
|---|---|
| integers, decimals | a number with its digits |
| floats | the shortest number that reads back as the same float; NaN, Infinity and -Infinity as these words, which JSON lacks |
| strings, dictionaries of them | a string; bytes that are not UTF-8 stay, so that the row is refused |
| binary | a string, base64 |
| timestamps | ``YYYY-MM-DDTHH:MM:SS.ffffffZ`` in UTC; without a zone it is UTC; digits beyond the sixth are cut |
| dates, times | ``YYYY-MM-DD``, ``HH:MM:SS.ffffff`` (digits beyond the sixth are cut) |
| durations | a number of seconds |
| structs | an object, without its nulls |
| lists | an array, in which nulls stay |
| maps | an object where the keys are strings, else an array of arrays of key and value |
| JSON (arrow.json) | the value; a string where it does not parse |
| other extension types | as what stores them |

Rows are encoded by column, a batch at a time, in steps over whole arrays: several times as fast as row by row.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import DecodeError
from msgspec.json import format as format_json

from etl.ingest.formats.strict_json import Refusal

#: Batches hold about so many bytes of values,
BATCH_BYTES = 16 << 20
#: or so many rows, if that is less.
BATCH_ROWS = 65_536
#: So many rows of a row group are read to learn how large its rows are,
PROBE_ROWS = 64
#: and again where a row takes so many times what was thought.
_GREW = 4

_TEXT = pa.large_binary()

#: What JSON must escape in a string, as bytes.
_ESCAPED = re.compile(rb'["\\\x00-\x1f]')

Array = Any  # pyarrow ships no types


class ParquetError(Exception):
    """A Parquet file, or the rest of one, cannot be read; ``refusal`` says why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal("unreadable_file", detail)


def rows_of(source: Path | bytes) -> Iterator[list[bytes]]:
    """Yield the rows of a Parquet file, given as its path or its bytes, as JSON objects in order, some at a time.

    Raises ParquetError where it is no Parquet file, is damaged or encrypted, or has a column of a type without a JSON form;
    OSError with a number where the disk fails.
    """
    try:
        # buffered: a column of a row group is read bit by bit, not as a whole
        given = pa.BufferReader(source) if isinstance(source, bytes) else source
        with pq.ParquetFile(given, buffer_size=1 << 20, page_checksum_verification=True) as file:
            _require_types(file.schema_arrow)
            _require_all_groups(file.metadata)
            for group in range(file.num_row_groups):
                for batch in _batches(file, group):
                    yield encode_rows(batch)
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ParquetError(f"it cannot be read as Parquet: {_sentence(error)}") from None


def _require_all_groups(metadata: Array) -> None:
    """Require that the row groups have the rows that the file says: a damaged list of them can be shorter, and read well."""
    rows = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        detail = f"its row groups have {rows} rows, and it says that it has {metadata.num_rows}"
        raise ParquetError(f"it cannot be read as Parquet: {detail}")


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _batches(file: pq.ParquetFile, group: int) -> Iterator[Array]:
    """Yield the rows of a row group in batches of about BATCH_BYTES, whatever the size of a row."""
    total, done = file.metadata.row_group(group).num_rows, 0
    size = PROBE_ROWS
    while done < total:
        at = 0
        for batch in file.iter_batches(size, [group], use_threads=False):
            at += batch.num_rows
            if at <= done:
                continue  # it was read before, in batches of another size
            new = batch.slice(max(batch.num_rows - (at - done), 0))
            yield from _pieces(new)
            done, is_probe = at, done == 0
            fitting = max(1, min(BATCH_ROWS, BATCH_BYTES * new.num_rows // max(new.nbytes, 1)))
            if size > fitting * _GREW or (is_probe and size < fitting):
                size = fitting
                break
        else:
            if done != total:
                raise ParquetError(f"it cannot be read as Parquet: a row group has {done} rows, and says that it has {total}")


def _pieces(batch: Array) -> Iterator[Array]:
    """Cut a batch that turned out too large."""
    if batch.nbytes <= 2 * BATCH_BYTES or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


def encode_rows(batch: Array) -> list[bytes]:
    """Return each row of a record batch as a JSON object. Raises ParquetError where a type has no JSON form."""
    if not batch.num_columns:
        return [b"{}"] * batch.num_rows
    try:
        rows: list[bytes] = _object(batch.schema.names, batch.columns, batch.num_rows).to_pylist()
    except pa.ArrowException:  # whose text may have the value
        raise ParquetError("a value in it is out of the range of its type's JSON form") from None
    if len(rows) != batch.num_rows:
        raise AssertionError("A batch has as many rows as were encoded.")
    return rows


def _require_types(schema: Array) -> None:
    """Require that each column has a JSON form, before any row is read."""
    for field in schema:
        try:
            _encode(pa.nulls(0, field.type))
        except (pa.ArrowException, ParquetError):
            raise ParquetError(f"a column has the type {field.type}, which has no JSON form") from None


def _bytes(text: bytes) -> Array:
    return pa.scalar(text, _TEXT)


def _joined(*parts: Array) -> Array:
    """Return the texts side by side; null where one is."""
    return pc.binary_join_element_wise(*parts, _bytes(b""))


def _object(names: Iterable[str], columns: Iterable[Array], length: int) -> Array:
    """Return an object for each row; members that are null are left out."""
    # without the ways to leave out nulls, or first bytes, that Arrow has: they lose rows, or fail, where a row has nulls alone
    members, has_member = [], pa.repeat(False, length)
    for name, column in zip(names, columns, strict=True):
        key, text = _key(name), _encode(column)
        start = _of_each(has_member, _bytes(b"," + key), _bytes(key))
        members.append(pc.fill_null(_joined(start, text), _bytes(b"")) if text.null_count else _joined(start, text))
        has_member = pc.or_(has_member, text.is_valid())
    return _joined(_bytes(b"{"), *members, pa.repeat(_bytes(b"}"), length))


def _key(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode(errors="replace") + b":"


def _of_each(is_so: Array, text: Array, other: Array) -> Array:
    """Return one text or the other; as one for all where that is enough."""
    if is_so.true_count in {0, len(is_so)}:
        return text if is_so.true_count else other
    return pc.if_else(is_so, text, other)


def _encode(values: Array) -> Array:
    """Return values as JSON texts (large_binary), null where the value is."""
    for is_of_type, encode in _ENCODERS:
        if is_of_type(values.type):
            return encode(values)
    raise ParquetError(f"a column has the type {values.type}, which has no JSON form")


def _nothing(values: Array) -> Array:
    return pa.nulls(len(values), _TEXT)


def _number(values: Array) -> Array:
    return pc.cast(pc.cast(values, pa.large_string()), _TEXT)


def _decimal(values: Array) -> Array:
    if values.type.scale >= 0:
        return _number(values)
    return pa.array([None if value is None else f"{value:f}".encode() for value in values.to_pylist()], _TEXT)


def _of_polars(values: Array) -> Array:
    """Return strings and floats as polars writes them."""
    wrapped = pl.DataFrame({"x": pl.Series(values)}).to_struct("x").struct.json_encode()
    text = wrapped.str.strip_prefix('{"x":').str.strip_suffix("}").to_arrow()
    return pc.if_else(values.is_valid(), pc.cast(text, _TEXT), pa.scalar(None, _TEXT))


def _float(values: Array) -> Array:
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    text = _of_polars(values)
    if pc.all(pc.is_finite(values)).as_py() is not False:
        return text
    infinite = pc.if_else(pc.greater(values, 0), _bytes(b"Infinity"), _bytes(b"-Infinity"))
    odd = pc.if_else(pc.is_nan(values), _bytes(b"NaN"), infinite)
    return pc.if_else(pc.is_finite(values), text, odd)


def _string(values: Array) -> Array:
    values = pc.cast(values, _TEXT)
    if not _is_utf8(values):
        return pa.array([None if value is None else _quoted(value) for value in values.to_pylist()], _TEXT)
    text = values.cast(pa.large_string())
    if pc.any(pc.match_substring_regex(text, r'["\\\x00-\x1f]')).as_py():
        return _of_polars(text)
    return _joined(_bytes(b'"'), values, _bytes(b'"'))


def _is_utf8(values: Array) -> bool:
    try:
        values.cast(pa.large_string())  # it checks
    except pa.ArrowInvalid:
        return False
    return True


def _quoted(value: bytes) -> bytes:
    """Return a string whose bytes may be no UTF-8, which they stay."""
    return b'"' + _ESCAPED.sub(lambda found: json.dumps(found[0].decode()).encode()[1:-1], value) + b'"'


def _plain(text: Array) -> Array:
    """Return strings in which nothing needs to be escaped."""
    return _joined(_bytes(b'"'), pc.cast(text, _TEXT), _bytes(b'"'))


def _binary(values: Array) -> Array:
    return _plain(pl.Series(pc.cast(values, _TEXT)).bin.encode("base64").to_arrow())


def _date(values: Array) -> Array:
    return _plain(pc.cast(pc.cast(values, pa.date32(), safe=False), pa.large_string()))


def _time(values: Array) -> Array:
    return _plain(pc.cast(pc.cast(values, pa.time64("us"), safe=False), pa.large_string()))


def _timestamp(values: Array) -> Array:
    """Return times as text; one beyond the calendar as a number, of its units since 1970."""
    values = pc.cast(values, pa.timestamp(values.type.unit))  # in UTC, whatever the zone
    if values.type.unit == "ns":
        values = pc.cast(pc.floor_temporal(values, unit="microsecond"), pa.timestamp("us"))
    shown = pc.cast(values, pa.large_string())
    rest = {"s": ".000000Z", "ms": "000Z", "us": "Z"}[values.type.unit]
    times = _joined(_bytes(b'"'), pc.cast(pc.replace_substring(shown, " ", "T"), _TEXT), _bytes(f'{rest}"'.encode()))
    return pc.if_else(pc.starts_with(shown, "<"), _number(pc.cast(values, pa.int64())), times)


def _duration(values: Array) -> Array:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[values.type.unit]
    return _float(pc.divide(pc.cast(pc.cast(values, pa.int64()), pa.float64(), safe=False), float(per_second)))


def _list(values: Array) -> Array:
    texts = pc.fill_null(_encode(values.flatten()), _bytes(b"null"))
    return _enclosed(b"[", values, texts, b"]")


def _enclosed(opening: bytes, values: Array, texts: Array, closing: bytes) -> Array:
    """Return for each list these texts of its elements between brackets; null where the list is."""
    # the lists are made anew from their lengths: Arrow's cast from one type of list to another breaks what is in some
    lengths = pc.if_else(values.is_valid(), pc.cast(pc.list_value_length(values), pa.int64()), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, texts), _bytes(b","))
    array = _joined(_bytes(opening), joined, _bytes(closing))
    return pc.if_else(values.is_valid(), array, pa.scalar(None, _TEXT))


def _struct(values: Array) -> Array:
    names = [field.name for field in values.type]
    objects = _object(names, values.flatten(), len(values))
    return pc.if_else(values.is_valid(), objects, pa.scalar(None, _TEXT))


def _map(values: Array) -> Array:
    # as a list of structs, of the same memory: Arrow's functions know no maps
    pairs = pa.StructArray.from_arrays([values.keys, values.items], ["key", "value"])
    buffers, length = values.buffers()[:2], len(values)
    values = pa.Array.from_buffers(pa.list_(pairs.type), length, buffers, values.null_count, values.offset, [pairs])
    keys, items = values.flatten().flatten()
    texts = pc.fill_null(_encode(items), _bytes(b"null"))
    if not _is_string(keys.type):
        return _enclosed(b"[", values, _joined(_bytes(b"["), _encode(keys), _bytes(b","), texts, _bytes(b"]")), b"]")
    return _enclosed(b"{", values, _joined(_encode(keys), _bytes(b":"), texts), b"}")


def _dictionary(values: Array) -> Array:
    return _encode(values.dictionary_decode())


def _run_ends(values: Array) -> Array:
    return _encode(pc.run_end_decode(values))


def _extension(values: Array) -> Array:
    if values.type.extension_name == "arrow.json":
        return pa.array([None if text is None else _json(text) for text in pc.cast(values.storage, _TEXT).to_pylist()], _TEXT)
    return _encode(values.storage)


def _json(text: bytes) -> bytes:
    try:
        return bytes(format_json(text, indent=-1))
    except (DecodeError, RecursionError):
        return _quoted(text)


def _is_string(kind: Array) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: Array) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _is_list(kind: Array) -> bool:
    types = pa.types
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    return any(test(kind) for test in tests)


_ENCODERS: list[tuple[Callable[[Array], bool], Callable[[Array], Array]]] = [
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (pa.types.is_null, _nothing),
    (pa.types.is_boolean, _number),
    (pa.types.is_integer, _number),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_dictionary, _dictionary),
    (_is_string, _string),
    (_is_binary, _binary),
    (pa.types.is_date, _date),
    (pa.types.is_time, _time),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_duration, _duration),
    (pa.types.is_map, _map),
    (_is_list, _list),
    (pa.types.is_struct, _struct),
    (pa.types.is_run_end_encoded, _run_ends),
]
