"""What people see of ``etl peek``: items with their fields, what their mapping gives, and why it does not work, if so."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from etl.base.terminal import LONGEST, harmless, short, short_place
from etl.console.parts import list_parts, list_some, place_of, say, show_fields

if TYPE_CHECKING:
    from etl.inspect.peek import Failure, FieldValue, Peek, PeekedItem
    from etl.inspect.suggestion import Suggestion

#: What is said of a record apart from the columns that the mapping gives.
_APART = {"source", "source_path", "item_number", "record_number", "item_sha256", "evidence_id", "parts"}
_SCORED = {"category", "rule", "reasons", "problem", "detail"}


def show_peek(found: "Peek") -> None:
    """Show what a run would make of items of a source."""
    if found.failure:
        _show_failure(found.failure)
    for item in found.items:
        _show_item(item, is_textual=found.mapping is None or not item.fields)
    if found.suggestion and found.write:
        _show_suggestion(found.suggestion, found.write)
    if found.unshown:
        say(f"{found.unshown:,} other items that were read are not shown; -n shows more.", "dim")
    for rule, files in groupby(found.ignored, key=lambda file: str(file["ignored_by"])):
        say(f"ignored by the rule {rule}: {list_some([file['source_path'] for file in files])}", "dim")
    if found.unknown_format:
        say(f"of an unknown format: {list_some(found.unknown_format)}", "yellow")
    if any(record.get("category") for item in found.items for record in item.records):
        say(
            "Category and rule follow from these records alone: an attempt's other records and grades are not looked at.", "dim"
        )


def _show_failure(failure: "Failure") -> None:
    """Show why a mapping does not work, and the line of it with a caret below the column."""
    say(failure.message, "red")
    if failure.sql is not None:
        margin = f"{failure.line:>5} | "
        say(f"{margin}{harmless(failure.sql)}")
        if failure.column is not None:
            # what stands before the column may be wider when it is shown; a tab is shown as it is
            before = harmless(failure.sql[: failure.column - 1])
            say(" " * len(margin) + "".join("\t" if mark == "\t" else " " for mark in before) + "^", "red")
    say("")


def _show_item(item: "PeekedItem", is_textual: bool) -> None:
    """Show an item: its place, its fields, and the records that it gives or belongs to."""
    own = [record for record in item.records if _is_own(record, item)]
    facts = [("unit", item.unit), ("pointer", item.pointer), ("skipped", _because(item))]
    facts += [("part of", ", ".join(place_of(record) for record in item.part_of))]
    text = [("text", _cut(item.text))] if is_textual and item.text is not None else []
    shown = [(name, value) for name, value in facts if value]
    show_fields(f"{short_place(item.source_path, item.item_number)} ({item.outcome})", [*shown, *text])
    if item.fields:
        show_fields("  fields", _fields(item.fields))
    for record in own or item.records:
        show_fields(f"  record {place_of(record)}", _columns(record))
    say("")


def _is_own(record: dict[str, Any], item: "PeekedItem") -> bool:
    return (record["source_path"], record["item_number"]) == (item.source_path, item.item_number)


def _fields(fields: Sequence["FieldValue"]) -> Iterator[tuple[str, object]]:
    """Yield the fields that have a value or a problem, then the names of the others."""
    for field in fields:
        if field.problem or field.value is not None:
            yield f"  {field.name}", _problem(field.problem, field.detail) or _cut(field.value)
    if absent := [field.name for field in fields if not field.problem and field.value is None]:
        yield "  (absent)", ", ".join(absent)


def _because(item: "PeekedItem") -> str | None:
    return _problem(item.reason, item.detail)


def _problem(reason: str | None, detail: str | None) -> str | None:
    return f"{reason} ({detail})" if reason and detail else reason


def _columns(record: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what the mapping gives, nulls left out, then the problem, or what scoring says."""
    for name, value in record.items():
        if name not in _APART | _SCORED and value not in (None, []):
            yield f"  {name}", _cut(value)
    if parts := record["parts"]:
        yield "  parts", list_parts(parts)
    if record.get("problem"):
        yield "  problem", _problem(record["problem"], record["detail"])
    if record.get("category"):
        yield "  category", f"{record['category']} by the rule {record['rule']}"
        yield "  signals", "; ".join(map(short, record["reasons"])) or "none"


def _cut(value: object) -> str:
    """Return a value on one line, a long one cut, with its length."""
    if isinstance(value, bool | list | dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = value.isoformat() if isinstance(value, datetime) else "" if value is None else str(value)
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def _show_suggestion(suggestion: "Suggestion", write: str) -> None:
    """Show the fields of items as a mapping's header has them, and which file to write."""
    if suggestion.fields:
        say(f"Fields of {suggestion.items:,} items, as the header of a mapping names them:", "bold")
        if suggestion.elements:
            say(f"-- items: {suggestion.elements}")
        say("-- fields:")
        for field in suggestion.fields:
            say(f"--   {field.name} {field.type} = {field.pointer}")
        say("")
        if some := [f"{field.name} ({field.items:,})" for field in suggestion.fields if field.items < suggestion.items]:
            say(f"Not in all of them, or null in some: {', '.join(some)}.")
    if suggestion.unnameable:
        say(f"{suggestion.unnameable:,} keys end with white space or hold a line feed: no field can name them.", "yellow")
    say(f"The source has no mapping; write it to {write}.")
