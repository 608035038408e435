"""Writes the records of generate.py in other forms than lines; the same arguments, the same bytes.

A form is one source: a document (an array of records), a Parquet file (with types), sessions (files with many lines an
attempt), an archive (a member for each record), conversations (a line an attempt, with twenty messages), or texts (the lines of
conversations, as long, with all that was said in the response). Document and sessions have a mapping in mappings/; the others
need that of ``evidence``, which the product has.
"""

import argparse
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from generate import Record, as_json, records, write_lines
from texts import ANSWERS, ARGUMENTS, MESSAGES, PROMPTS, RESULTS, draw, scattered, text

MAPPINGS = Path(__file__).parent / "mappings"

#: Attempts that one session holds. They alternate, as those of agents that work side by side do.
ATTEMPTS = 40

#: Messages of a conversation.
_MESSAGES = 20

#: The share of records with messages in evidence that has both kinds, and how often two more messages stand in such a record.
CONVERSING = 0.1
_STEPS = (0, 0, 1, 1, 2, 3, 4, 6, 8)

_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "edit_file",
            "description": "Writes a text into a file.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}},
        },
    }
]

#: Rows of a row group of Parquet.
_ROWS = 10_000

#: The one time of all members of an archive, so that no clock is in its bytes.
_MEMBER_TIME = (2026, 1, 1, 0, 0, 0)

_SCHEMA = pa.schema(
    {
        "source_class": pa.string(),
        "run_id": pa.string(),
        "task_id": pa.string(),
        "created_at": pa.timestamp("us", tz="UTC"),
        "model": pa.string(),
        "file": pa.string(),
        "prompt": pa.string(),
        "response": pa.string(),
        "verdict": pa.string(),
        "cited_paths": pa.list_(pa.string()),
        "latency_ms": pa.float64(),
        "cost_usd": pa.float64(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
    }
)


def write_document(target: Path, found: Iterable[Record]) -> None:
    """Write one JSON document: an array with a record a line."""
    with target.open("wb") as stream:
        separator = b"[\n"
        for record in found:
            stream.write(separator + as_json(record))
            separator = b",\n"
        stream.write(b"\n]\n")


def write_parquet(target: Path, found: Iterable[Record]) -> None:
    """Write a Parquet file: a row for each record, with types, times too."""
    with pq.ParquetWriter(target, _SCHEMA, compression="zstd") as writer:
        for batch in _batched(found, _ROWS):
            timed = [record | {"created_at": datetime.fromisoformat(record["created_at"])} for record in batch]
            writer.write_table(pa.Table.from_pylist(timed, _SCHEMA))


def write_archive(target: Path, found: Iterable[Record]) -> None:
    """Write a zip file: a member for each record, a JSON document of one object over many lines."""
    with zipfile.ZipFile(target, "w") as archive:
        for number, record in enumerate(found, start=1):
            member = zipfile.ZipInfo(f"records/{number:08d}.json", _MEMBER_TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, json.dumps(record, ensure_ascii=False, indent=2), compresslevel=1)


def write_sessions(target: Path, found: Iterable[Record]) -> None:
    """Write a folder of sessions: files in which each attempt is a start, its messages in the form of OpenAI, and an end."""
    target.mkdir()
    for number, batch in enumerate(_batched(found, ATTEMPTS), start=1):
        rng = random.Random(f"session {number}")
        attempts = [list(_events(rng, record)) for record in batch]
        with (target / f"{number:05d}.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
            for events in zip_longest(*attempts):
                for attempt, event in enumerate(events, start=1):
                    if event is not None:
                        stream.write(json.dumps({"attempt": attempt} | event, ensure_ascii=False) + "\n")


def write_conversations(target: Path, found: Iterable[Record]) -> None:
    """Write lines in the ``evidence`` shape whose texts are a conversation."""
    write_lines(target, map(as_json, _conversations(found)))


def write_texts(target: Path, found: Iterable[Record]) -> None:
    """Write lines as long as those of the conversations: the response has all that was said, and is filled up to the length."""
    write_lines(target, map(_without_messages, _conversations(found)))


def with_conversations(found: Iterable[Record], share: float = CONVERSING) -> Iterator[Record]:
    """Yield records; a ``share`` of them has messages in normal form, some also tools, instead of a prompt and a response.

    Whether they have is decided by the task: its attempts have the same prompt and the same tools, so that they can be paired.
    One in eight of them is told as prompt and response. Records that tell of one attempt have the same messages.
    """
    for record in found:
        task = random.Random(record["task_id"])
        attempt = random.Random(record["run_id"])
        if task.random() < share * 8 / 7 and attempt.random() < 7 / 8:
            others = {name: value for name, value in record.items() if name not in ("prompt", "response")}
            yield others | _conversation(record, task, attempt)
        else:
            yield record


def _conversation(record: Record, task: random.Random, attempt: random.Random) -> Record:
    """Return messages and tools: two to twenty messages, whose calls and further turns the attempt decides."""
    begin = [{"role": "system", "content": text(task.getrandbits(64), PROMPTS)}] if task.random() < 1 / 3 else []
    has_tools = task.random() < 1 / 2
    begin.append({"role": "user", "content": record["prompt"]})
    steps = [_call(attempt, record, number) if has_tools else _turn(attempt) for number in range(attempt.choice(_STEPS))]
    end = {"role": "assistant", "content": record["response"]}
    return {"messages": [*begin, *chain(*steps), end]} | ({"tools": _TOOLS} if has_tools else {})


def _call(rng: random.Random, record: Record, number: int) -> list[Record]:
    """Return a message that calls a tool, and the result."""
    given = {"path": record["file"], "text": text(rng.getrandbits(64), ARGUMENTS), "line": rng.randrange(1000)}
    call = {"id": f"call_{number}", "type": "function", "function": {"name": "edit_file", "arguments": given}}
    said = {"role": "assistant", "content": "", "tool_calls": [call]}
    return [said, {"role": "tool", "content": text(rng.getrandbits(64), RESULTS), "tool_call_id": call["id"]}]


def _turn(rng: random.Random) -> list[Record]:
    """Return an answer, and what the user says to it."""
    answer, reply = text(rng.getrandbits(64), ANSWERS), text(rng.getrandbits(64), PROMPTS)
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": reply}]


def _conversations(found: Iterable[Record]) -> Iterator[Record]:
    rng = random.Random("conversations")
    for record in found:
        others = {name: value for name, value in record.items() if name not in ("prompt", "response")}
        yield others | {"messages": [*_messages(rng, record, _MESSAGES)]}


def _without_messages(record: Record) -> bytes:
    length = len(as_json(record))
    messages = record.pop("messages")
    calls = [call["function"]["arguments"] for message in messages for call in message.get("tool_calls", ())]
    record |= {
        "prompt": messages[0]["content"],
        "response": "\n".join([*calls, *(said["content"] or "" for said in messages[1:])]),
    }
    number = length
    while (missing := length - len(as_json(record))) > 0:
        number = scattered(number)
        filler = text(number, ANSWERS)[: missing * 3 // 4]  # what is escaped takes more
        record["response"] += filler if 0 < len(json.dumps(filler)) - 2 <= missing else "." * missing
    return as_json(record)


def _events(rng: random.Random, record: Record) -> Iterator[Record]:
    """Yield the events of an attempt: as many messages as attempts of tau-bench have; a call, its result, the next call."""
    started = {"run": "run_id", "task": "task_id", "at": "created_at", "model": "model", "file": "file"}
    yield {"event": "start"} | {name: record[of] for name, of in started.items()}
    for message in _messages(rng, record, draw(MESSAGES, rng.random())):
        yield {"event": "message", "message": message}
    ended = ("verdict", "cited_paths", "latency_ms", "cost_usd", "prompt_tokens", "completion_tokens")
    yield {"event": "end"} | {name: record[name] for name in ended if name in record}


def _messages(rng: random.Random, record: Record, count: int) -> Iterator[Record]:
    """Yield about ``count`` messages in the form of OpenAI: the prompt, calls with their results, and the response."""
    yield {"role": "user", "content": record["prompt"]}
    for number in range(1, count // 2):
        given = json.dumps({"path": record["file"], "text": text(rng.getrandbits(64), ARGUMENTS)})
        function = {"name": "edit_file", "arguments": given}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        yield {"role": "assistant", "content": None, "tool_calls": [call]}
        yield {"role": "tool", "content": text(rng.getrandbits(64), RESULTS), "tool_call_id": f"call_{number}"}
    yield {"role": "assistant", "content": record["response"]}


def _batched(found: Iterable[Record], size: int) -> Iterator[list[Record]]:
    waiting = iter(found)
    while batch := list(islice(waiting, size)):
        yield batch


class Form(NamedTuple):
    """Where a form lies in the evidence folder, what writes it, and its mapping if it needs one of its own."""

    target: str
    write: Callable[[Path, Iterable[Record]], None]
    mapping: str | None = None


FORMS = {
    "document": Form("bench_document.json", write_document, "bench_document.sql"),
    "parquet": Form("evidence.parquet", write_parquet),
    "sessions": Form("bench_sessions", write_sessions, "bench_sessions.sql"),
    "archive": Form("evidence.zip", write_archive),
    "conversations": Form("evidence.jsonl", write_conversations),
    "texts": Form("evidence.jsonl", write_texts),
}


def write_form(name: str, root: Path, found: Iterable[Record]) -> Path:
    """Write records in a form to the evidence folder of a root, with its mapping beside it. Returns what was written."""
    form = FORMS[name]
    target = root / "evidence" / form.target
    target.parent.mkdir(parents=True, exist_ok=True)
    form.write(target, found)
    if form.mapping is not None:
        mappings = root / "sql" / "2_sources"
        mappings.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MAPPINGS / form.mapping, mappings / form.mapping)
    return target


def main() -> None:
    """Write the root that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("root", type=Path, help="the root: the form goes to its evidence/, the mapping to its sql/")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=None)
    chosen = parser.parse_args()
    write_form(chosen.form, chosen.root, records(chosen.records, chosen.seed, chosen.tasks))


if __name__ == "__main__":
    main()
