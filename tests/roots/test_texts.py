"""Long texts lie in pieces of their own, and everybody who asks for a record or reads a dataset sees them whole."""

import json
import sys
from pathlib import Path

import pytest
from conftest import etl, evidence_line, jsonl, write_evidence
from memory import watched

from etl.ingest.loader import CHUNK_BYTES

#: Texts around the length from which on they lie in pieces; characters of four bytes do not end where a piece would.
TEXTS = {
    "short": "s" * CHUNK_BYTES,
    "long": "l" * (CHUNK_BYTES + 1),
    "wide": "w" + "😀" * CHUNK_BYTES,
    "exact": "e" * (2 * CHUNK_BYTES),
}


def conversation(text: str) -> list[dict[str, str]]:
    """Return a conversation whose prompt is long."""
    return [{"role": "user", "content": f"Why? {text}"}, {"role": "assistant", "content": f"Because {text}"}]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run over answers of these lengths, each beside a worse one, and over conversations of them."""
    root = tmp_path_factory.mktemp("texts")
    lines = []
    for name, text in TEXTS.items():
        lines.append(
            evidence_line(name, run_id=f"{name}-1", prompt=f"{name}? {text}", response=f"Good {text}", verdict="accept")
        )
        lines.append(
            evidence_line(name, run_id=f"{name}-2", prompt=f"{name}? {text}", response=f"Bad {text}", verdict="reject")
        )
        lines.append(evidence_line(f"{name} talk", prompt=None, response=None, messages=conversation(text), verdict="accept"))
    write_evidence(root / "evidence", {"evidence/a.jsonl": lines, "evidence/b.jsonl": [evidence_line("b", verdict="accept")]})
    assert etl("run-all", "--root", root).exit_code == 0
    return root


def query(root: Path, sql: str) -> list[dict[str, object]]:
    """Return the rows of a query."""
    rows: list[dict[str, object]] = etl("sql", sql, "--root", root, "--json").json
    return rows


def test_the_view_has_texts_whole(root: Path) -> None:
    """Each record has its prompt and its response, however long; of a conversation also the messages."""
    rows = query(
        root, "select task_id, prompt, response, messages from evidence.record where run_id not like '%-2' order by all"
    )
    found = {row["task_id"]: row for row in rows}
    for name, text in TEXTS.items():
        assert (found[name]["prompt"], found[name]["response"]) == (f"{name}? {text}", f"Good {text}")
        assert json.loads(str(found[f"{name} talk"]["messages"])) == conversation(text)


def test_only_long_texts_lie_in_pieces(root: Path) -> None:
    """A piece holds no more than it may, and whole characters; a text is either in its column or in pieces."""
    lengths = query(
        root, f"select max(strlen(chunk)) <= {CHUNK_BYTES} as fits, min(chunk_number)::int as first from evidence.long_text"
    )
    assert lengths == [{"fits": True, "first": 1}]
    kept = query(root, "select count(*)::int as n from evidence.stored_record semi join evidence.long_text using (record_key)")
    assert kept == [{"n": 3 * len(TEXTS)}]
    assert query(root, f"from evidence.stored_record where strlen(prompt) > {CHUNK_BYTES}") == []


def test_datasets_have_texts_whole(root: Path) -> None:
    """What ships carries the texts whole, on both sides of a pair and in conversations."""
    sft = {row["task_id"]: row for row in jsonl(root / "exports/sft/instruction_response/part-00001.jsonl")}
    pairs = {row["task_id"]: row for row in jsonl(root / "exports/preference/chosen_rejected/part-00001.jsonl")}
    for name, text in TEXTS.items():
        assert sft[name]["response"] == pairs[name]["chosen"] == f"Good {text}"
        assert pairs[name]["rejected"] == f"Bad {text}"
        assert json.loads(sft[f"{name} talk"]["messages"]) == conversation(text)


def test_texts_of_records_that_are_gone_are_gone(root: Path) -> None:
    """Where a file is removed, so are the pieces of its texts."""
    (root / "evidence/evidence/a.jsonl").unlink()
    assert etl("run-all", "--root", root).exit_code in {0, 3}
    assert query(root, "select count(*)::int as n from evidence.long_text") == [{"n": 0}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one prompt of all", "a response each"])
def test_long_texts_need_little_memory(tmp_path: Path, kind: str) -> None:
    """Under the least memory limit, 400 records with a text of a megabyte each pass, and take no more than half above it."""
    texts = ["A long text. " * 80_000] * 400 if kind == "one prompt of all" else [f"{n} is long. " * 80_000 for n in range(400)]
    field = "prompt" if kind == "one prompt of all" else "response"
    lines = (
        evidence_line(
            f"task-{n % 200}",
            run_id=f"run-{n}",
            verdict=("accept", "reject")[n // 200],
            **{"response": f"Number {n}."} | {field: text},
        )
        for n, text in enumerate(texts)
    )
    (tmp_path / "evidence").mkdir()
    with (tmp_path / "evidence/evidence.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    done = watched(sys.executable, "-m", "etl", "run-all", "--root", tmp_path, "--set", "memory_limit=2GB")
    assert done.exit_code == 0
    assert done.peak < 1.5 * 2_000_000_000
