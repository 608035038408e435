"""Files for trainers: what each takes of a row, that nothing refused reaches one, and the receipts of exports."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import copy_of, etl, evidence_line, jsonl, write_evidence

from etl.export.formats import FORMATS
from etl.pipeline import release as release_module

CALL = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": {"path": "a.py", "at": 1.50}}}
TOOLS = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}]
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Read a.py."},
    {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning": "It may say."},
    {"role": "tool", "content": "x = 1", "tool_call_id": "c1", "name": "read"},
    {"role": "assistant", "content": "x is 1."},
    {"role": "user", "content": "Thanks, bye."},
]

#: An answer of a conversation with a call, pairs of texts, and one text that is good here and bad there.
LINES = [
    evidence_line("talk", run_id="t1", verdict="accept", messages=TALK, tools=TOOLS, prompt=None, response=None),
    evidence_line("add", run_id="a1", verdict="accept", prompt="Add 1 and 1.", response="2"),
    evidence_line("add", run_id="a2", verdict="reject", prompt="Add 1 and 1.", response="3"),
    evidence_line("name", run_id="n1", verdict="accept", prompt="Name a colour.", response="Red."),
    evidence_line("name", run_id="n2", verdict="reject", prompt="Name a colour.", response="Two."),
    evidence_line("same", run_id="s1", verdict="accept", prompt="Name a colour.", response="Two."),
]


def publish(root: Path) -> None:
    """Publish what LINES give."""
    write_evidence(root / "evidence", {"evidence.jsonl": LINES})
    assert etl("run-all", "--root", root).exit_code == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a published root."""
    copy_of(publish, tmp_path)
    return tmp_path


def exported(root: Path, trainer: str, *options: object) -> dict[str, Any]:
    """Export for a trainer; return the receipt."""
    result = etl("export", "--for", trainer, "--root", root, "--json", *options)
    assert result.exit_code == 0, result.stderr
    return dict(result.json)


def test_trl(root: Path) -> None:
    """Arguments are objects, tools JSON text; a conversation ends with the assistant, and lines with calls come first."""
    receipt = exported(root, "trl")
    sft = jsonl(root / "releases/trl/sft/train.jsonl")
    asked, answered = [{"role": "user", "content": "Add 1 and 1."}], [{"role": "assistant", "content": "2"}]
    called = {**TALK[2], "reasoning_content": "It may say."}
    del called["reasoning"]
    assert sft[0] == {"messages": [*TALK[:2], called, *TALK[3:5]], "tools": json.dumps(TOOLS, separators=(",", ":"))}
    assert sft[1] == {"messages": asked + answered}
    pair = {"prompt": asked, "chosen": answered, "rejected": [{"role": "assistant", "content": "3"}]}
    assert jsonl(root / "releases/trl/preference/train.jsonl")[0] == pair
    ids = jsonl(root / "releases/trl/ids/sft/train.jsonl")
    assert [line["provenance"]["item_number"] for line in ids] == [1, 2, 4, 6]
    assert receipt["rows"]["sft"] == {"read": 4, "written": 4, "left_out": {}}
    card = (root / "releases/trl/README.md").read_text(encoding="utf-8")
    assert "- config_name: kto\n  data_files:\n  - {split: train, path: kto/train.jsonl}\ndataset_info:\n" in card
    assert "- config_name: sft\n  features:\n  - {name: messages, list: json}\n  - {name: tools, dtype: string}\n" in card
    assert receipt["outputs"]["record_count"] == sum(rows["written"] for rows in receipt["rows"].values())


def test_kto_has_each_content_once(root: Path) -> None:
    """A content that is accepted for one task and rejected for another has no label, so that it is left out."""
    found = exported(root, "trl", "--dataset", "kto")["rows"]["kto"]
    lines = jsonl(root / "releases/trl/kto/train.jsonl")
    told = [(line["completion"][-1]["content"], line["label"]) for line in lines]
    assert told == [("x is 1.", True), ("2", True), ("Red.", True), ("3", False)]
    assert found == {"read": 6, "written": 4, "left_out": {"both_labels": 1, "repeated_content": 3}}
    assert not (root / "releases/trl/sft").exists()


def test_openai(root: Path) -> None:
    """Arguments are JSON text, and an answer is one text."""
    exported(root, "openai")
    first = jsonl(root / "releases/openai/sft/train.jsonl")[0]
    call = first["messages"][2]["tool_calls"][0]["function"]
    assert call == {"name": "read", "arguments": '{"path":"a.py","at":1.5}'}
    assert (first["tools"], first["parallel_tool_calls"]) == (TOOLS, True)
    assert jsonl(root / "releases/openai/preference/train.jsonl")[0] == {
        "input": {"messages": [{"role": "user", "content": "Add 1 and 1."}]},
        "preferred_output": [{"role": "assistant", "content": "2"}],
        "non_preferred_output": [{"role": "assistant", "content": "3"}],
    }


def test_llamafactory(root: Path) -> None:
    """Turns alternate; a call is JSON text, a result an observation; dataset_info.json names each file and its columns."""
    exported(root, "llamafactory")
    folder = root / "releases/llamafactory"
    first = jsonl(folder / "sft_train.jsonl")[0]
    assert [turn["from"] for turn in first["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert first["conversations"][1]["value"] == '{"name":"read","arguments":{"path":"a.py","at":1.5}}'
    assert (first["system"], json.loads(first["tools"])) == ("Be brief.", TOOLS)
    pair = jsonl(folder / "preference_train.jsonl")[0]
    assert (pair["chosen"], pair["rejected"]) == ({"from": "gpt", "value": "2"}, {"from": "gpt", "value": "3"})
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    assert {name: entry["file_name"] for name, entry in info.items()} == {
        "preference_train": "preference_train.jsonl",
        "sft_train": "sft_train.jsonl",
    }
    for entry in info.values():
        assert {*entry["columns"].values()} <= jsonl(folder / entry["file_name"])[0].keys()


def test_mlx(root: Path) -> None:
    """Its files have the names that it looks for; tools are a list."""
    exported(root, "mlx")
    assert jsonl(root / "releases/mlx/train.jsonl")[0]["tools"] == TOOLS
    assert sorted(file.name for file in (root / "releases/mlx").iterdir()) == ["etl-export.json", "ids", "train.jsonl"]


def test_sides_of_the_split_are_files(root: Path) -> None:
    """A row is in the file of its side."""
    assert etl("run-all", "--root", root, "--set", "test_share=0.5", "--set", "validation_share=0.5").exit_code == 0
    exported(root, "mlx")
    found = {file.name: len(jsonl(file)) for file in (root / "releases/mlx").glob("*.jsonl")}
    sides = etl("receipts", "--root", root, "--json").json["receipts"][3]["splits"]
    assert found == {name: sides[side] for name, side in (("valid.jsonl", "validation"), ("test.jsonl", "test")) if sides[side]}


@pytest.mark.parametrize("trainer", FORMATS)
def test_the_same_bytes_each_time(root: Path, trainer: str) -> None:
    """Whatever the threads, and wherever the files go; a second export takes the place of the first."""
    first = exported(root, trainer)
    second = exported(root, trainer, "--set", "threads=1")
    elsewhere = exported(root, trainer, "--out", root / "elsewhere")
    assert first["outputs"] == second["outputs"]
    assert [entry["sha256"] for entry in elsewhere["outputs"]["files"]] == [
        entry["sha256"] for entry in first["outputs"]["files"]
    ]
    assert not [*root.glob("**/*.building"), *root.glob("**/*.old")]


def plant(root: Path, spoil: Callable[[dict[str, Any]], Any]) -> None:
    """Let the first published row of each dataset be another."""
    for file in sorted((root / "exports").glob("[sp]*/*/*.parquet")):
        table = pq.read_table(file)
        rows = table.to_pylist()
        spoil(rows[0])
        pq.write_table(table.from_pylist(rows, table.schema), file)


def name_a_rejected_record(row: dict[str, Any]) -> None:
    """Let a row name the record of a rejected answer."""
    place = row["provenance"].get("chosen", row["provenance"])
    place |= {"item_number": 3, "item_sha256": "0" * 64}


def change_a_text(row: dict[str, Any]) -> None:
    """Let a row carry another prompt than its record."""
    row["instruction" if "instruction" in row else "prompt"] = "Something else."


@pytest.mark.parametrize("spoil", [name_a_rejected_record, change_a_text])
@pytest.mark.parametrize("trainer", FORMATS)
def test_no_planted_row_reaches_a_trainer(
    root: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    """The hash of a published file shows the change; without that layer the re-read refuses the row. No file is written."""
    plant(root, spoil)
    result = etl("export", "--for", trainer, "--root", root)
    assert (result.exit_code, "it is not what run" in result.stderr) == (2, True)
    monkeypatch.setattr(release_module, "_published_files", lambda *_: [])
    result = etl("export", "--for", trainer, "--root", root)
    assert result.exit_code == 1
    assert "etl: exports/sft/instruction_response/part-00001.jsonl: row " in result.stderr
    assert not (root / "releases" / trainer).exists()


def test_a_rejection_of_today_needs_a_run_first(root: Path) -> None:
    """What is published is exported as it was published; the receipt names that run."""
    receipt = exported(root, "mlx")
    assert receipt["run_id"] == etl("receipts", "--root", root, "--json").json["summary"]["run_id"]
    assert receipt["inputs"]["files"][0]["path"].startswith("exports/")


def test_receipts_follow_on_each_other(root: Path) -> None:
    """An edit of one, of a file that it names, or of the summary of its run, is found."""
    exported(root, "mlx")
    exported(root, "trl")
    assert etl("verify", "--all", "--root", root).exit_code == 0
    first = root / "reports/releases/00001-mlx.json"
    before = first.read_bytes()
    first.write_bytes(before.replace(b'"max_chars": null', b'"max_chars": 7'))
    told = {each["what"]: each for each in etl("verify", "--all", "--root", root, "--json").json if each["status"] == "failed"}
    assert told.keys() == {"releases/00002-trl.json"}
    first.unlink()
    told = {each["what"]: each for each in etl("verify", "--all", "--root", root, "--json").json if each["status"] == "failed"}
    assert "where number 1 belongs" in told["releases/00002-trl.json"]["detail"]
    first.write_bytes(before)
    file = root / "releases/mlx/train.jsonl"
    file.write_bytes(file.read_bytes() + b"\n")
    told = {each["what"]: each for each in etl("verify", "--all", "--root", root, "--json").json if each["status"] == "failed"}
    assert told.keys() == {"releases/mlx/train.jsonl"}
    (root / "reports/releases/00002-trl.json").write_bytes(b"{")
    result = etl("export", "--for", "mlx", "--root", root)
    assert (result.exit_code, "this receipt is damaged" in result.stderr) == (2, True)


def test_rows_are_chosen(root: Path) -> None:
    """By a condition over the columns of the dataset's view, and by length; the receipt counts what that leaves out."""
    chosen = ("--dataset", "sft", "--where", "tool_calls = 0 -- texts", "--max-chars", "16")
    receipt = exported(root, "trl", *chosen)
    assert receipt["rows"]["sft"] == {"read": 4, "written": 1, "left_out": {"max_chars": 2, "where": 1}}
    assert (receipt["where"], receipt["max_chars"]) == ("tool_calls = 0 -- texts", 16)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--for", "nobody"], "--for nobody: give one of trl, openai, llamafactory, mlx."),
        (["--for", "mlx", "--dataset", "preference"], "--dataset preference: --for mlx has sft."),
        (["--for", "mlx", "--where", "true) or (true"], "this is not a condition over the rows"),
        (["--for", "mlx", "--where", "true; drop table x"], "this is not a condition over the rows"),
        (["--for", "mlx", "--where", "no_column > 1"], "this is not a condition over the rows"),
        (["--for", "mlx", "--out", "exports/mlx"], "name a folder apart from it"),
        (["--for", "mlx", "--out", "evidence"], "name a folder apart from it"),
        (["--for", "mlx", "--out", "mine"], "it holds files that etl export did not write"),
        (["--for", "mlx", "--out", "no/where/at"], "make it first"),
    ],
)
def test_what_cannot_be_exported_is_said(root: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], problem: str) -> None:
    """In one sentence, and nothing is written."""
    monkeypatch.chdir(root)
    (root / "mine").mkdir()
    (root / "mine/notes.txt").write_text("mine", encoding="utf-8")
    result = etl("export", *options)
    assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr
    assert [file.name for file in (root / "mine").iterdir()] == ["notes.txt"]
    assert not (root / "releases").exists() or not any((root / "releases").iterdir())


def test_a_warehouse_of_another_version(root: Path) -> None:
    """It cannot judge rows; nor can one that is gone."""
    with duckdb.connect(str(root / "warehouse/etl.duckdb")) as warehouse:
        warehouse.execute("update policy.warehouse_format set version = 1")
    result = etl("export", "--for", "mlx", "--root", root)
    assert (result.exit_code, "its format is 1, this version reads" in result.stderr) == (2, True)
    (root / "warehouse/etl.duckdb").unlink()
    result = etl("export", "--for", "mlx", "--root", root)
    assert (result.exit_code, "there is no warehouse yet" in result.stderr) == (2, True)


def test_nothing_is_published_yet(tmp_path: Path) -> None:
    """A run comes first."""
    result = etl("export", "--for", "trl", "--root", tmp_path)
    assert (result.exit_code, "There is no run yet" in result.stderr) == (2, True)


def test_a_published_file_that_is_gone(root: Path) -> None:
    """It is not passed over."""
    shutil.rmtree(root / "exports/sft/instruction_response")
    result = etl("export", "--for", "mlx", "--root", root)
    assert (result.exit_code, "run etl run-all, which makes it anew" in result.stderr) == (2, True)
