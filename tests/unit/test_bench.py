"""The generator of the benchmark: texts like real ones, the same bytes each time, the same records in each form."""

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from etl.base.datasets import DATASETS
from etl.checks import columns_of, contract_of, quarantine_of

sys.path.append(str(REPOSITORY / "bench"))

from forms import ATTEMPTS, CONVERSING, FORMS, with_conversations, write_form
from generate import NO_REPEATS, REPEATS, lines, records
from texts import ANSWERS, MESSAGES, PROMPTS, draw, scattered, text

COUNT = 4_000


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    """Give records."""
    return list(records(COUNT))


def share(of: list[str], pattern: str) -> float:
    """Return the share of texts that have a pattern."""
    return sum(re.search(pattern, one) is not None for one in of) / len(of)


class TestTexts:
    """Texts are as long as real ones, and half of them are no prose."""

    @pytest.mark.parametrize("lengths", [PROMPTS, ANSWERS])
    def test_lengths(self, lengths: tuple[int, ...]) -> None:
        """A quarter, a half, three quarters and 95 % of the texts are as long as was measured, a tenth more or less."""
        seen = sorted(len(text(scattered(number), lengths)) for number in range(20_000))
        for part, measured in ((0.25, lengths[3]), (0.5, lengths[4]), (0.75, lengths[5]), (0.95, lengths[7])):
            assert seen[int(part * len(seen))] == pytest.approx(measured, rel=0.1)

    @given(st.sampled_from([PROMPTS, ANSWERS, MESSAGES]), st.floats(0, 1))
    def test_a_length_lies_between_the_measured_ones(self, lengths: tuple[int, ...], part: float) -> None:
        """Whatever the share, the length is none that was not seen."""
        assert lengths[0] <= draw(lengths, part) <= lengths[-1]

    @given(st.integers(0, 2**64 - 1))
    def test_one_number_one_text(self, number: int) -> None:
        """A number always gives the same text, which nothing trims or refuses."""
        made = text(number, ANSWERS)
        assert made == text(number, ANSWERS) == made.strip()
        assert json.loads(json.dumps(made)) == made

    def test_half_of_them_have_braces_and_quotes(self, found: list[dict[str, Any]]) -> None:
        """Braces and quotes in half of the prompts and answers; line feeds, escapes and other alphabets in many."""
        for name in ("prompt", "response"):
            texts = [record[name] for record in found]
            assert share(texts, r'(?s)\{.*"|".*\{') == pytest.approx(0.5, abs=0.06)
            assert share(texts, r"\n") > 0.25
            assert share(texts, r"\\") > 0.15
            assert share(texts, r"[^\x00-\x7f]") > 0.05


class TestRecords:
    """Records repeat what real ones repeat, and nothing else."""

    def test_shares_of_repeats(self, found: list[dict[str, Any]]) -> None:
        """So many records are duplicates, tell of an attempt again, or give an answer that others give."""
        copies = COUNT - len({json.dumps(record) for record in found})
        attempts = len({record["run_id"] for record in found})
        assert copies / COUNT == pytest.approx(REPEATS.duplicates, abs=0.006)
        assert 1 - attempts / COUNT == pytest.approx(REPEATS.duplicates + REPEATS.told_again, abs=0.015)
        tasks: dict[str, set[str]] = defaultdict(set)
        for record in found:
            tasks[record["response"]].add(record["task_id"])
        assert sum(len(of_answer) > 5 for of_answer in tasks.values()) == 3  # what agents say to any task
        given_again = Counter((record["task_id"], record["response"]) for record in found if record["run_id"])
        assert sum(times > 1 for times in given_again.values()) > COUNT * REPEATS.told_again

    def test_a_task_has_one_prompt(self, found: list[dict[str, Any]]) -> None:
        """All attempts of a task have its prompt, and an attempt has one task and one answer."""
        assert len({(record["task_id"], record["prompt"]) for record in found}) == len({record["task_id"] for record in found})
        of_attempts = {(record["run_id"], record["task_id"], record["response"]) for record in found}
        assert len(of_attempts) == len({record["run_id"] for record in found})

    def test_without_repeats(self) -> None:
        """Without repeats each record is an attempt of its own, at a time and with an answer of its own."""
        plain = list(records(COUNT, repeats=NO_REPEATS))
        for name in ("run_id", "created_at", "response"):
            assert len({record[name] for record in plain}) == COUNT
        assert len({record["task_id"] for record in records(COUNT, tasks=COUNT, repeats=NO_REPEATS)}) == COUNT

    def test_hot_task(self) -> None:
        """The lines of the hot task are as many as asked for, half accepted and half rejected."""
        hot = [
            record for record in records(COUNT, tasks=50, hot=100, repeats=NO_REPEATS) if record["task_id"] == "task-0000050"
        ]
        assert Counter(record["verdict"] for record in hot) == Counter(accept=50, reject=50)


class TestLines:
    """Lines are bytes that only the arguments decide."""

    def test_same_arguments_same_bytes(self) -> None:
        """The same arguments give the same bytes, another seed gives others, and further lines are other attempts."""
        once, again, other, further = (
            hashlib.sha256(b"\n".join(lines(500, seed, first=first))).hexdigest()
            for seed, first in ((1, 0), (1, 0), (2, 0), (1, 500))
        )
        assert once == again
        assert len({once, other, further}) == 3

    def test_bad_lines(self) -> None:
        """Each of five bad kinds has its share; no cut line ends as a whole one does."""
        made = list(lines(COUNT, bad_share=0.02))
        assert sum(map(_is_good, made)) / COUNT == pytest.approx(0.9, abs=0.02)
        cut = [line for line in made if not line.endswith(b"}")]
        assert len(cut) / COUNT == pytest.approx(0.02, abs=0.01)
        assert not any(map(_is_good, cut))
        assert all(map(_is_good, lines(500, bad_share=0)))

    def test_one_producer_escapes(self) -> None:
        """One of seven producers escapes what is not ASCII, the others write it as it is."""
        models: dict[bool, set[str]] = defaultdict(set)
        for line in lines(500, bad_share=0):
            if not (record := json.loads(line))["response"].isascii():
                models[line.isascii()].add(record["model"])
        assert (models[True], len(models[False])) == ({"model-6"}, 6)


class TestForms:
    """The same records in other forms, which their mappings read back."""

    @pytest.mark.parametrize("form", FORMS)
    def test_same_arguments_same_bytes(self, tmp_path: Path, form: str) -> None:
        """The same records give the same bytes in each form."""
        once, again = (_bytes_of(write_form(form, tmp_path / name, records(300))) for name in ("once", "again"))
        assert once == again

    def test_document(self, tmp_path: Path) -> None:
        """A document is an array of the records."""
        file = write_form("document", tmp_path, records(300))
        assert json.loads(file.read_bytes()) == list(records(300))
        assert json.loads(write_form("document", tmp_path / "one", records(1)).read_bytes()) == list(records(1))

    def test_parquet(self, tmp_path: Path) -> None:
        """A Parquet file has a row for each record; a verdict that is not there is null, and times are typed."""
        rows = pq.read_table(write_form("parquet", tmp_path, records(300))).to_pylist()
        for row in rows:
            row["created_at"] = f"{row['created_at']:%Y-%m-%dT%H:%M:%SZ}"
        assert [{name: value for name, value in row.items() if value is not None} for row in rows] == list(records(300))

    def test_archive(self, tmp_path: Path) -> None:
        """An archive has a member for each record."""
        with zipfile.ZipFile(write_form("archive", tmp_path, records(300))) as archive:
            assert [json.loads(archive.read(name)) for name in archive.namelist()] == list(records(300))

    def test_conversations(self, tmp_path: Path) -> None:
        """A conversation has twenty messages; the lines of texts are as long, and their responses have all that was said."""
        talks, texts = (
            write_form(form, tmp_path / form, records(100)).read_bytes().splitlines() for form in ("conversations", "texts")
        )
        assert [len(line) for line in talks] == [len(line) for line in texts]
        for talk, line in zip(map(json.loads, talks), map(json.loads, texts), strict=True):
            first, *others = talk["messages"]
            assert (len(others), line["prompt"]) == (19, first["content"])
            assert all((message["content"] or "") in line["response"] for message in others)

    def test_share_of_conversations(self, found: list[dict[str, Any]]) -> None:
        """A tenth of the records has messages; records of an attempt have the same, those of a task the same prompt."""
        talks = [record for record in with_conversations(found) if "messages" in record]
        assert len(talks) / COUNT == pytest.approx(CONVERSING, abs=0.03)
        assert 0.3 < sum("tools" in record for record in talks) / len(talks) < 0.7
        assert {len(record["messages"]) for record in talks} >= {2, 3, 4, 18}
        assert all(record["messages"][-1]["role"] == "assistant" for record in talks)
        attempts: dict[str, set[str]] = defaultdict(set)
        tasks: dict[str, set[str]] = defaultdict(set)
        for record in talks:
            roles = [message["role"] for message in record["messages"]]
            attempts[record["run_id"]].add(json.dumps(record["messages"]))
            tasks[record["task_id"]].add(json.dumps(record["messages"][: roles.index("assistant")]))
        assert {len(told) for told in [*attempts.values(), *tasks.values()]} == {1}

    def test_sessions(self, tmp_path: Path) -> None:
        """A session has several attempts, which alternate; an attempt starts, has messages, and ends."""
        folder = write_form("sessions", tmp_path, records(3 * ATTEMPTS))
        files = sorted(folder.iterdir())
        assert len(files) == 3
        events: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for line in files[0].read_text("utf-8").splitlines():
            events[json.loads(line)["attempt"]].append(json.loads(line))
        for attempt in events.values():
            assert [event["event"] for event in attempt] == ["start", *["message"] * (len(attempt) - 2), "end"]
            assert MESSAGES[0] <= len(attempt) - 2 <= MESSAGES[-1]
            roles = [event["message"]["role"] for event in attempt[1:-1]]
            assert roles == ["user", *["assistant", "tool"] * (len(roles) // 2 - 1), "assistant"]
        assert [json.loads(line)["attempt"] for line in files[0].read_text("utf-8").splitlines()[:3]] == [1, 2, 3]

    @pytest.mark.parametrize("form", ["document", "sessions"])
    def test_mapping(self, tmp_path: Path, form: str) -> None:
        """The mapping gives back each record, and all items of a session as parts."""
        target = write_form(form, tmp_path, records(2 * ATTEMPTS))
        items = _items_of(target)
        (mapping,) = (tmp_path / "sql/2_sources").iterdir()
        mapped = _mapped(mapping.read_text("utf-8"), items)
        for record in mapped:
            if "messages" in record:
                messages = json.loads(record.pop("messages"))
                record |= {"prompt": messages[0]["content"], "response": messages[-1]["content"]}
        told = sorted(json.dumps(record, sort_keys=True) for record in records(2 * ATTEMPTS))
        names = set(next(records(1, verdicts=["accept"])))
        kept = [{name: value for name, value in one.items() if name in names and value is not None} for one in mapped]
        assert sorted(json.dumps(record, sort_keys=True) for record in kept) == told
        if form == "sessions":
            parts = [(part["source_path"], part["item_number"]) for record in mapped for part in record["parts"]]
            assert sorted(parts) == sorted((item["source_path"], item["item_number"]) for item in items)


def _bytes_of(target: Path) -> list[bytes]:
    """Return the bytes of a file, or of each file of a folder."""
    return [file.read_bytes() for file in sorted(target.iterdir())] if target.is_dir() else [target.read_bytes()]


def _items_of(target: Path) -> list[dict[str, Any]]:
    """Return the items of a document or of a folder of lines, as raw.item has them."""
    if target.is_file():
        texts = {target.name: [json.dumps(record) for record in json.loads(target.read_bytes())]}
    else:
        texts = {f"{target.name}/{file.name}": file.read_text("utf-8").split("\n")[:-1] for file in target.iterdir()}
    return [
        {"source_path": path, "unit": path, "item_number": number, "json": one}
        for path, given_texts in texts.items()
        for number, one in enumerate(given_texts, start=1)
    ]


def _mapped(mapping: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a mapping over items: each line below ``fields:`` is a typed column."""
    types = {"text": "varchar", "integer": "bigint", "number": "double", "texts": "varchar[]", "json": "json"}
    fields = re.findall(r"(?m)^--   (\w+) (\w+)(?: required)? = (/\S+)$", mapping)
    columns = [
        f"json_extract(json, '{pointer}')::varchar as {name}"
        if kind == "json"
        else f"from_json(json_extract(json, '{pointer}'), '\"{types[kind]}\"') as {name}"
        for name, kind, pointer in fields
    ]
    with duckdb.connect() as connection:
        connection.register("given_items", pa.Table.from_pylist(items))
        connection.execute("create schema raw")
        connection.execute(f"create table raw.item as select *, {', '.join(columns)} from given_items")
        return connection.sql(mapping).to_arrow_table().to_pylist()


def _is_good(line: bytes) -> bool:
    """Return whether a line is an object with a task, without a key that stands twice and without NaN."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return "task_id" in record and b"NaN" not in line and line.count(b'"source_class"') == 1


def test_the_script_writes_the_columns_of_the_datasets(tmp_path: Path) -> None:
    """A peer that lacks a column would be compared with nothing."""
    evidence = tmp_path / "evidence.jsonl"
    evidence.write_bytes(b"".join(line + b"\n" for line in lines(400)))
    (tmp_path / "out").mkdir()
    script = REPOSITORY / "bench/peers/script.py"
    subprocess.run([sys.executable, str(script), str(tmp_path), str(tmp_path / "out")], check=True, capture_output=True)
    for dataset in DATASETS:
        for name, contract in ((dataset.name, contract_of(dataset)), (f"quarantine_{dataset.name}", quarantine_of(dataset))):
            (file,) = (tmp_path / "out").rglob(f"{name}.parquet")
            assert {*pq.read_schema(file).names} == {*columns_of(contract)}
