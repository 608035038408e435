"""The elements of one JSON document: the values that stand where a mapping says, byte for byte, in document order.

A document is read in two passes. The first walks from its root to each element, and checks all of it: the way there strictly,
as a line is; the elements for their syntax only, since each is judged as a line is afterwards. It keeps four numbers for an
element. The second pass cuts the elements out. So nothing is taken of a document that does not parse as a whole, and there is
one copy of one element at a time.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from jiter import from_json
from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from etl.ingest.formats.strict_json import Refusal, judge_value, without_nan

#: The parts of a pattern, such as ``("simulations", "*")`` for ``/simulations/*``.
Pattern = tuple[str, ...]

ANY = "*"

#: A value that is no element is parsed as a whole up to this many bytes; a larger one is walked through.
PIECE_BYTES = 1 << 20

#: So many brackets may be open at once in a value whose end is found in one match; the end of a deeper one is found in steps.
_DEPTH_OF_MATCH = 16

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR = rb"[^\[\]{}\",:\s]++"


def _nested(depth: int) -> bytes:
    """Return a pattern of a value in brackets; what stands between strings and brackets can be anything."""
    inside = rb""
    for _ in range(depth):
        inside = rb"[\[{](?:" + _STRING + rb"|[^\[\]{}\"]++" + (b"|" + inside if inside else b"") + rb")*+[\]}]"
    return inside


_OPENINGS = {b"[", b"{"}
_NOT_JSON = "the value that begins here is not JSON"

_BLANK = re.compile(rb"[ \t\r\n]*+")
_KEY = re.compile(_STRING, re.DOTALL)
_VALUE = re.compile(_STRING + rb"|" + _SCALAR + rb"|" + _nested(_DEPTH_OF_MATCH), re.DOTALL)
_BRACKETS = re.compile(_STRING + rb"|(?P<opening>[\[{]++)|(?P<closing>[\]}]++)|(?P<cut>\")", re.DOTALL)
_BAD_ESCAPE = re.compile(r"~(?![01])")
_PLACE = re.compile(r"(?:JSON is malformed: )?(?P<what>.*) \(byte (?P<byte>\d+)\)")

_SYNTAX = Decoder(Raw)


class Element(NamedTuple):
    """An element: its exact bytes, where it stands, as ``/simulations/3``, and the JSON text to hand on.

    ``text`` is ``content``, unless ``replaced`` numbers that JSON does not have became null in it.
    """

    content: bytes
    pointer: str
    text: bytes
    replaced: int


class LongElement(NamedTuple):
    """An element over the limit: where it starts in the document, its length and its hash, but not its bytes."""

    offset: int
    length: int
    sha256: str
    pointer: str


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What a document is held to: settings of these names; ``max_item_bytes`` is the setting max_line_bytes."""

    max_depth: int
    max_values: int
    max_item_bytes: int


class DocumentError(Exception):
    """A document is not evidence as a whole; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def parse_patterns(patterns: Iterable[str]) -> tuple[Pattern, ...]:
    """Return the parts of JSON Pointers (RFC 6901) in which ``*`` stands for any key or index; without one, the whole document.

    Raises ValueError, with a sentence that names the pattern, where one is no pointer.
    """
    return tuple(dict.fromkeys(map(_parse_pattern, patterns))) or ((),)


def _parse_pattern(pattern: str) -> Pattern:
    first, *parts = pattern.split("/")
    if first:
        raise ValueError(f"{pattern}: a JSON Pointer begins with a slash, as /simulations/*; the empty one is the document.")
    if _BAD_ESCAPE.search(pattern):
        raise ValueError(f"{pattern}: in a JSON Pointer ~ stands only before 0 or 1; write ~0 for ~ and ~1 for a slash.")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def elements_of(
    document: bytes | memoryview, patterns: Sequence[Pattern], limits: DocumentLimits, *, nan_as_null: bool = False
) -> Iterator[Element | LongElement]:
    """Check a document as a whole and return its elements, those at any of the patterns, in the order in which they begin.

    An element in another one is an element too, and comes after it. With ``nan_as_null`` NaN, Infinity and -Infinity are
    read as null. Raises DocumentError where nothing can be taken of the document: invalid_utf8, malformed_json, too_deep,
    too_large or duplicate_key of what stands outside the elements (malformed_json of what stands in them too), or unmapped
    where it has no element.
    """
    walk = _Walk(document, limits, nan_as_null and _may_have_nan(document))
    walk.walk(tuple(patterns))
    if not walk.found.starts:
        raise DocumentError(
            Refusal("unmapped", f"no value stands at {' '.join(map(_pointer_of, patterns))} (items: of the mapping)")
        )
    return _cut(document, walk.found, limits.max_item_bytes, walk.has_nan)


def _may_have_nan(document: bytes | memoryview) -> bool:
    return re.search(rb"NaN|Infinity", document) is not None


def _cut(document: bytes | memoryview, found: "_Found", max_item_bytes: int, has_nan: bool) -> Iterator[Element | LongElement]:
    view = memoryview(document)
    for number, (start, end) in enumerate(zip(found.starts, found.ends, strict=True)):
        pointer = found.pointer_of(number)
        if end - start > max_item_bytes:
            yield LongElement(start, end - start, sha256(view[start:end]).hexdigest(), pointer)
            continue
        content = bytes(document[start:end])
        yield Element(content, pointer, *(without_nan(content) if has_nan else (content, 0)))


@dataclass
class _Found:
    """The elements: where each begins and ends, and its pointer: its container's, and its position there.

    An element of an object has the position -1, and its own pointer.
    """

    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    ends: "array[int]" = field(default_factory=lambda: array("Q"))
    positions: "array[int]" = field(default_factory=lambda: array("q"))
    pointers: list[str] = field(default_factory=list)

    def add(self, start: int, end: int, place: "_Place") -> None:
        self.starts.append(start)
        self.ends.append(end)
        self.positions.append(place.position)
        self.pointers.append(place.pointer)

    def pointer_of(self, number: int) -> str:
        return str(_Place(self.pointers[number], self.positions[number]))


class _Place(NamedTuple):
    """A place in a document: in an array, its pointer and a position; else a pointer and -1."""

    pointer: str
    position: int = -1

    def __str__(self) -> str:
        return self.pointer if self.position < 0 else f"{self.pointer}/{self.position}"


class _Walk:
    """Walks over a document, finds its elements and checks it; a refusal waits there where something worse may come."""

    def __init__(self, document: bytes | memoryview, limits: DocumentLimits, has_nan: bool) -> None:
        self._document = document
        self._view = memoryview(document)
        self._limits = limits
        self.has_nan = has_nan
        self.found = _Found()
        self._refusal: Refusal | None = None
        self._values = 0

    def walk(self, patterns: tuple[Pattern, ...]) -> None:
        """Walk over all of it. Raises DocumentError."""
        try:
            at = self._after_value(self._skip_blank(0), _Place(""), patterns, 0)
            at = self._skip_blank(at)
            if at < len(self._document):
                raise _malformed(at, "something follows the value")
        except DocumentError as error:
            if error.refusal.reason == "malformed_json" and _holds_lines(self._document):
                reason, detail = error.refusal
                raise DocumentError(Refusal(reason, f"{detail}; it holds an object a line: rename it to .jsonl")) from None
            raise
        if self._refusal:
            raise DocumentError(self._refusal)

    def _after_value(self, at: int, place: _Place, patterns: tuple[Pattern, ...], depth: int) -> int:
        """Check the value that begins at a byte, take it and what is in it where patterns say so, and return where it ends."""
        is_container = self._byte(at) in _OPENINGS
        inside = tuple(filter(None, patterns)) if is_container else ()
        if () in patterns:
            end = self._end_of_value(at)
            self.found.add(at, end, place)
            if not inside:
                self._check_syntax(at, end)
                return end
        if not inside:
            piece = self._end_of_piece(at) if is_container else self._end_of_value(at)
            if piece:
                self._judge(at, piece, depth)
                return piece
        return self._after_container(at, place, inside, depth + 1)

    def _after_container(self, at: int, place: _Place, patterns: tuple[Pattern, ...], depth: int) -> int:
        """Walk through an array or an object, and return where it ends."""
        self._count()
        if depth > self._limits.max_depth:
            raise self._too_deep()
        is_object = self._byte(at) == b"{"
        closing = b"}" if is_object else b"]"
        pointer, keys = str(place), set[str]()
        named = {pattern[0] for pattern in patterns}
        in_any = _step(patterns, ANY)
        at, index = self._skip_blank(at + 1), 0
        if self._byte(at) == closing:
            return at + 1
        while True:
            if is_object:
                key, at = self._key(at, keys)
                child = _Place(f"{pointer}/{_escape(key)}")
            else:
                key, child = str(index), _Place(pointer, index)
            inside = _step(patterns, key) if key in named else in_any
            at = self._skip_blank(self._after_value(at, child, inside, depth))
            if (mark := self._byte(at)) == closing:
                return at + 1
            if mark != b",":
                raise _malformed(at, f"expected `,` or `{closing.decode()}`")
            self._count()
            at, index = self._skip_blank(at + 1), index + 1

    def _key(self, at: int, keys: set[str]) -> tuple[str, int]:
        """Return the key that begins at a byte, which must not be one of ``keys`` yet, and where its value begins."""
        found = _KEY.match(self._document, at)
        if not found:
            raise _malformed(at, "expected a key in quotes")
        end = found.end()
        self._judge(at, end, 0)
        key = _decoded(bytes(found[0]))
        if key in keys:
            self._wait(Refusal("duplicate_key", f"byte {at + 1}: a key stands twice in one object"))
        keys.add(key)
        end = self._skip_blank(end)
        if self._byte(end) != b":":
            raise _malformed(end, "expected `:`")
        return key, self._skip_blank(end + 1)

    def _byte(self, at: int) -> bytes:
        """Return the byte at a place, or none at the end."""
        return bytes(self._document[at : at + 1])

    def _skip_blank(self, at: int) -> int:
        found = _BLANK.match(self._document, at)
        return found.end() if found else at

    def _end_of_value(self, at: int) -> int:
        """Return where the value ends that begins at a byte; it is right where the document parses."""
        found = _VALUE.match(self._document, at)
        if found:
            return found.end()
        first = self._byte(at)
        if first in _OPENINGS:
            return self._end_of_brackets(at)
        raise _malformed(at, "the document ends before its value does" if first in {b"", b'"'} else "expected a value")

    def _end_of_piece(self, at: int) -> int | None:
        """Return where a value in brackets ends, or None where it is too large or too deep to be judged at once."""
        found = _VALUE.match(self._document, at, at + PIECE_BYTES)
        return found.end() if found else None

    def _end_of_brackets(self, at: int) -> int:
        depth = 0
        for found in _BRACKETS.finditer(self._document, at):
            if found["opening"]:
                depth += found.end() - found.start()
            elif found["closing"]:
                if depth <= found.end() - found.start():
                    return found.start() + depth
                depth -= found.end() - found.start()
            elif found["cut"]:
                break
        raise _malformed(at, "the document ends before this bracket is closed")

    def _judge(self, start: int, end: int, depth: int) -> None:
        """Judge a value of the document that is none of its elements; so many brackets are open around it."""
        text, replaced = self._text_of(start, end)
        refusal = judge_value(text, self._limits.max_depth - depth, self._limits.max_values, start)
        if refusal is None:
            return
        if refusal.reason == "too_deep":
            raise self._too_deep()
        if refusal.reason == "malformed_json":
            raise _malformed(start, _NOT_JSON) if replaced else DocumentError(refusal)
        self._wait(refusal)

    def _check_syntax(self, start: int, end: int) -> None:
        """Check that an element is JSON; what else it must be is judged with the elements."""
        text, replaced = self._text_of(start, end) if self.has_nan else (self._view[start:end], 0)
        try:
            _SYNTAX.decode(text)
        except RecursionError:
            return  # deeper than the parser goes, and than any max_depth
        except DecodeError as error:
            if replaced:
                raise _malformed(start, _NOT_JSON) from None
            raise self._explain(start, end, str(error)) from None

    def _text_of(self, start: int, end: int) -> tuple[bytes, int]:
        """Return the text of a value with what nan_as_null replaces in it, and how often that is."""
        text = bytes(self._document[start:end])
        return without_nan(text) if self.has_nan else (text, 0)

    def _explain(self, start: int, end: int, said: str) -> DocumentError:
        """Return the refusal of a document for an element: of a small one in the words that are used of a line."""
        limits = self._limits
        if end - start <= PIECE_BYTES:
            refusal = judge_value(bytes(self._document[start:end]), limits.max_depth, limits.max_values, start)
            if refusal and refusal.reason == "malformed_json":
                return DocumentError(refusal)
        found = _PLACE.fullmatch(said)
        return _malformed(start + int(found["byte"]), found["what"]) if found else _malformed(start, _NOT_JSON)

    def _count(self) -> None:
        self._values += 1
        if self._values > self._limits.max_values:
            most = self._limits.max_values
            detail = f"more than {most} commas and opening brackets stand outside its elements (setting max_values)"
            raise DocumentError(Refusal("too_large", detail))

    def _too_deep(self) -> DocumentError:
        detail = f"more than {self._limits.max_depth} brackets are open at once outside its elements (setting max_depth)"
        return DocumentError(Refusal("too_deep", detail))

    def _wait(self, refusal: Refusal) -> None:
        self._refusal = self._refusal or refusal


def _malformed(at: int, what: str) -> DocumentError:
    return DocumentError(Refusal("malformed_json", f"byte {at + 1}: {what}"))


def _step(patterns: tuple[Pattern, ...], key: str) -> tuple[Pattern, ...]:
    """Return what is left of the patterns below a key or an index."""
    return tuple(pattern[1:] for pattern in patterns if pattern[0] in {key, ANY})


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _pointer_of(pattern: Pattern) -> str:
    return "".join(f"/{_escape(part)}" for part in pattern) or '""'


def _decoded(key: bytes) -> str:
    """Return a key as text; one that was refused already may hold anything."""
    try:
        return str(from_json(key))
    except ValueError:
        return key.decode(errors="replace")


def _holds_lines(document: bytes | memoryview) -> bool:
    """Return whether the first line is an object and the next that is not blank begins as one."""
    found = re.match(rb"\s*+(\{[^\n]*+)\n\s*+\{", document)
    if not found:
        return False
    try:
        _SYNTAX.decode(memoryview(document)[found.start(1) : found.end(1)])
    except (DecodeError, RecursionError):
        return False
    return True
