"""Files for trainers: what each takes of a row, that nothing refused reaches one, and the receipts of exports."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import copy_of, etl, evidence_line, jsonl, write_evidence

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Clock
from etl.export import files as files_module
from etl.export.formats import FORMATS
from etl.export.release import Choice
from etl.pipeline.release import make as release_module
from etl.pipeline.release import place
from etl.pipeline.stages import STAGES

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
    assert "- config_name: kto\n  data_files:\n  - {split: train, path: kto/train.jsonl}\n- config_name: grpo\n" in card
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


#: The shapes of OpenAI's fine-tuning files, after its documents.
SCHEMAS = json.loads((Path(__file__).parent.parent / "consumers/openai.schema.json").read_text(encoding="utf-8"))


def test_openai_as_documented(root: Path) -> None:
    """Each line has the documented shape; a conversation ends with the assistant, what it answers to with another."""
    exported(root, "openai")
    for dataset in ("sft", "preference"):
        lines = jsonl(root / f"releases/openai/{dataset}/train.jsonl")
        assert lines
        for line in lines:
            jsonschema.validate(line, SCHEMAS["$defs"][dataset] | {"$defs": SCHEMAS["$defs"]})
        if dataset == "sft":
            assert {line["messages"][-1]["role"] for line in lines} == {"assistant"}
        else:
            assert "assistant" not in {line["input"]["messages"][-1]["role"] for line in lines}


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


def test_trl_as_parquet(root: Path) -> None:
    """Messages have the type arrow.json, and stand in it as in the lines of JSON."""
    exported(root, "trl")
    exported(root, "trl-parquet")
    for dataset in ("sft", "preference", "kto"):
        table = pq.read_table(root / f"releases/trl-parquet/{dataset}/train.parquet")
        lines = jsonl(root / f"releases/trl/{dataset}/train.jsonl")
        is_json = {
            name for name, kind in zip(table.column_names, table.schema.types, strict=True) if isinstance(kind, pa.ListType)
        }
        assert {table.schema.field(name).type.value_type for name in is_json} == {pa.json_()}
        rows = [
            {name: [*map(json.loads, value)] if name in is_json else value for name, value in row.items() if value is not None}
            for row in table.to_pylist()
        ]
        assert sorted(rows, key=str) == sorted(lines, key=str)
        assert len(jsonl(root / f"releases/trl-parquet/ids/{dataset}/train.jsonl")) == len(lines)


def test_verl(root: Path) -> None:
    """Conversations with calls have files of their own, as a struct has all keys; arguments are JSON text there."""
    receipt = exported(root, "verl", "--dataset", "sft", "--dataset", "sft_calls")
    plain = pq.read_table(root / "releases/verl/sft/train.parquet").to_pylist()
    assert plain[0] == {"messages": [{"role": "user", "content": "Add 1 and 1."}, {"role": "assistant", "content": "2"}]}
    (called,) = pq.read_table(root / "releases/verl/sft_calls/train.parquet").to_pylist()
    assert called["messages"][2]["tool_calls"][0]["function"] == {"name": "read", "arguments": '{"path":"a.py","at":1.5}'}
    assert json.loads(called["tool_definitions"]) == TOOLS
    assert receipt["rows"]["sft_calls"] == {"read": 4, "written": 1, "left_out": {"no_calls_of_tools": 3}}


def test_lines_with_a_new_key_come_first(root: Path) -> None:
    """A reader takes the types of the first lines for those of all."""
    thought = [{"role": "user", "content": "Think."}, {"role": "assistant", "content": "So.", "reasoning": "Hm."}]
    more = [evidence_line(f"more-{n}", run_id=f"m{n}", verdict="accept", prompt=f"Do {n}.", response=f"{n}") for n in range(3)]
    last = evidence_line("thought", run_id="z", verdict="accept", messages=thought, tools=TOOLS, prompt=None, response=None)
    write_evidence(root / "evidence", {"evidence.jsonl": [*LINES[1:], *more, last, LINES[0]]})
    assert etl("run-all", "--root", root).exit_code == 0
    exported(root, "trl", "--dataset", "sft")
    lines = jsonl(root / "releases/trl/sft/train.jsonl")
    assert [line["messages"][0]["content"] for line in lines[:3]] == ["Add 1 and 1.", "Think.", "Be brief."]
    ids = jsonl(root / "releases/trl/ids/sft/train.jsonl")
    assert [line["provenance"]["item_number"] for line in ids][:3] == [1, 9, 10]


def test_hf_has_all_rows(root: Path) -> None:
    """Shards by dataset and split have the published columns, with provenance flat; what was refused has no text."""
    receipt = exported(root, "hf")
    found = {path: pq.read_table(root / path) for path in paths_of(receipt) if path.endswith(".parquet")}
    sft = found["releases/hf/data/sft/train-00000-of-00001.parquet"]
    published = pq.read_table(root / "exports/sft/instruction_response/part-00001.parquet")
    flat = {"source_path", "item_number", "record_number", "item_sha256"}
    assert {*sft.column_names} == {*published.column_names} - {"split", "provenance"} | flat
    assert sft["messages"].to_pylist() == published["messages"].to_pylist()
    assert sft["item_number"].to_pylist() == [row["item_number"] for row in published["provenance"].to_pylist()]
    refused = found["releases/hf/quarantine/sft/refused-00000-of-00001.parquet"]
    assert {"response", "messages"}.isdisjoint(refused.column_names)
    assert refused["quarantine_reason"].to_pylist() == ["unsafe_sft_category", "unsafe_sft_category"]
    documents = found["releases/hf/receipts/run-00000-of-00001.parquet"].to_pylist()
    run = root / "reports/distillation" / receipt["run_id"]
    assert {row["name"]: row["json"] for row in documents} == {
        row["name"]: (run / row["name"]).read_text(encoding="utf-8") for row in documents
    }
    assert {row["name"] for row in documents} == {"summary.json", *(f"{stage.name}.json" for stage in STAGES)}
    assert not (root / "releases/hf/ids").exists()


def front_matter(root: Path) -> dict[str, Any]:
    """Return the front matter of a card."""
    card = (root / "releases/hf/README.md").read_text(encoding="utf-8")
    return dict(yaml.safe_load(card.split("---\n")[1]))


def test_hf_says_what_it_has(root: Path) -> None:
    """The card and croissant.json name each file and its hash; the card has licences, models, the funnel and reasons."""
    (root / "etl.toml").write_text('[sources.evidence]\nlicense = "cc-by-4.0"\n', encoding="utf-8")
    write_evidence(root / "evidence", {"evidence.jsonl": [*LINES, "{"]})
    assert etl("run-all", "--root", root).exit_code == 1
    receipt = exported(root, "hf", "--where", "task_id <> 'add'")
    card = (root / "releases/hf/README.md").read_text(encoding="utf-8")
    described = json.loads((root / "releases/hf/croissant.json").read_text(encoding="utf-8"))
    configs = {config["config_name"]: config for config in front_matter(root)["configs"]}
    assert [*configs] == [name for name in FORMATS["hf"].datasets if name != "quarantine_preference"]
    assert configs["sft"]["default"]
    assert (front_matter(root)["license"], described["license"]) == ("cc-by-4.0", ["cc-by-4.0"])
    hashes = {entry["path"].removeprefix("releases/hf/"): entry["sha256"] for entry in receipt["outputs"]["files"]}
    assert {file["contentUrl"]: file["sha256"] for file in described["distribution"]} == {
        path: digest for path, digest in hashes.items() if path.endswith(".parquet")
    }
    for told in (
        "| sft | train | 3 |",
        "| evidence | cc-by-4.0 |",
        "Who wrote the answers in sft:\n\n| model | answers | share |\n|---|---:|---|\n| model-a | 3 | 100 % |",
        "| score | 6 | 4 | 2 | 0 | 0 |",
        "| export-sft | unsafe_sft_category | 2 | rejected or needs_human_review may never enter sft |",
        "| collect | malformed_json | 1 | an item, or a file, that could not become a record |",
        "The rows were chosen by --where task_id &lt;> 'add'.",
        receipt["summary_sha256"],
    ):
        assert told in card
    derived = {entity["@id"] for entity in described["prov:wasDerivedFrom"]}
    assert "evidence/evidence" in derived
    assert receipt["run_id"] in described["prov:wasGeneratedBy"]["@id"]


@pytest.mark.parametrize(
    ("licenses", "told"),
    [
        ({"evidence": "Acme: internal # none", "audit_facts": "Acme: internal # none"}, "Acme: internal # none"),
        ({"evidence": "mit", "audit_facts": "cc-by-4.0"}, "other"),
        ({"evidence": "mit"}, None),
        ({}, None),
    ],
)
def test_licences_of_several_sources(tmp_path: Path, licenses: dict[str, str], told: str | None) -> None:
    """One that all have is that of the bundle, whatever it holds; several are others; where one is unknown, none is named."""
    fact = {"task_id": "t", "run_id": "r", "fact": "A fact.", "created_at": "2026-03-01T10:00:00Z"}
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": LINES, "audit_facts.jsonl": [fact]})
    settings = "".join(f"[sources.{name}]\nlicense = {json.dumps(given)}\n" for name, given in licenses.items())
    (tmp_path / "etl.toml").write_text(settings, encoding="utf-8")
    etl("run-all", "--root", tmp_path, "--include-review")
    exported(tmp_path, "hf")
    assert front_matter(tmp_path).get("license") == told


def test_hf_without_rows(root: Path) -> None:
    """There is nothing to describe then."""
    receipt = exported(root, "hf", "--dataset", "sft", "--where", "false")
    assert paths_of(receipt) == []


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_a_wrong_condition_is_told_of_one_dataset(root: Path, seed: str) -> None:
    """Of the first in the trainer's order, whatever the hash seed."""
    command = [sys.executable, "-m", "etl", "export", "--for", "hf", "--root", str(root), "--where", "nope"]
    done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("etl: --where (for sft) nope: ")) == (2, True)


def test_hf_has_no_empty_configuration(tmp_path: Path) -> None:
    """A dataset without rows has no file and no entry, as it could not be loaded."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": LINES[:1]})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    exported(tmp_path, "hf")
    assert [file.name for file in sorted((tmp_path / "releases/hf/data").iterdir())] == ["rag", "sft"]
    assert "preference" not in (tmp_path / "releases/hf/README.md").read_text(encoding="utf-8").split("# Datasets")[0]


@pytest.mark.parametrize("trainer", ["openai", "trl-parquet", "hf"])
def test_large_files_are_cut(root: Path, monkeypatch: pytest.MonkeyPatch, trainer: str) -> None:
    """Each piece, and its ids, has at most what the trainer takes; together they have all lines in their order."""
    whole = exported(root, trainer, "--dataset", "sft", "--out", root / "whole")
    monkeypatch.setattr(FORMATS[trainer], "most_bytes", 700)
    monkeypatch.setattr(files_module, "ROWS_PER_GROUP", 1)
    cut = exported(root, trainer, "--dataset", "sft", "--out", root / "cut")
    assert cut["rows"] == whole["rows"]
    pieces = [path for path in paths_of(cut) if "/train" in path and "/ids/" not in path]
    assert len(pieces) > 1
    assert [Path(path).stem for path in pieces] == [f"train-{number:05}-of-{len(pieces):05}" for number in range(len(pieces))]
    for folder in ("", "ids/"):
        files = [Path(path) for path in paths_of(whole) if "/train" in path and ("/ids/" in path) == bool(folder)]
        for file in files:
            parts = sorted((root / "cut" / folder).rglob(f"train-*{file.suffix}"))
            parts = [part for part in parts if ("ids" in part.parts) == bool(folder)]
            assert read_rows(parts) == read_rows([root / file])


def read_rows(files: list[Path]) -> list[dict[str, Any]]:
    """Return the rows of files, one after the other."""
    return [row for file in files for row in (jsonl(file) if file.suffix == ".jsonl" else pq.read_table(file).to_pylist())]


def paths_of(receipt: dict[str, Any]) -> list[str]:
    """Return the paths of the files that an export wrote."""
    return [entry["path"] for entry in receipt["outputs"]["files"]]


def test_a_line_that_no_file_can_hold(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is said, with what to do."""
    monkeypatch.setattr(FORMATS["openai"], "most_bytes", 100)
    result = etl("export", "--for", "openai", "--root", root)
    assert (result.exit_code, "leave it out with --max-chars" in result.stderr) == (2, True)
    assert not (root / "releases/openai").exists()


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
    command = [sys.executable, "-m", "etl", "export", "--for", trainer, "--root", str(root), "--json"]
    abroad = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
    in_c = json.loads(subprocess.run(command, env=os.environ | abroad, check=True, capture_output=True).stdout)
    assert first["outputs"] == in_c["outputs"]
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
    assert told.keys() == {"releases/00002-trl.json", "releases/mlx/etl-export.json"}
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


def test_a_folder_that_holds_more_is_not_replaced(root: Path) -> None:
    """What a user put beside the files stays, also where a copy of a receipt lies there."""
    exported(root, "mlx", "--out", root / "mine")
    (root / "mine/checkpoints").mkdir()
    (root / "mine/checkpoints/w.bin").write_text("precious", encoding="utf-8")
    result = etl("export", "--for", "mlx", "--root", root, "--out", root / "mine")
    assert (result.exit_code, "it holds checkpoints/w.bin, which etl export did not write" in result.stderr) == (2, True)
    told = {each["what"]: each for each in etl("verify", "--all", "--root", root, "--json").json if each["status"] == "failed"}
    assert told.keys() == {"mine/checkpoints/w.bin"}


def test_a_receipt_that_is_gone(root: Path) -> None:
    """A folder in releases/ needs one."""
    exported(root, "mlx")
    (root / "reports/releases/00001-mlx.json").unlink()
    told = {each["what"]: each for each in etl("verify", "--all", "--root", root, "--json").json if each["status"] == "failed"}
    assert told.keys() == {"releases/mlx"}


class Killed(BaseException):
    """The process ends here."""


#: At which call of these functions an export is killed, and what is there afterwards: the old folder or the new one.
CUTS = {
    "begin": ("old", "what it had written is removed"),
    "complete": ("old", "what it had written is removed"),
    "name_of": ("old", "what it had written is removed"),
    "_exchange": ("new", "its folder is in its place now"),
    "sync_folder in _exchange": ("new", "it is whole"),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("command", [("recover",), ("run-all",), ("export", "--for", "openai")])
def test_a_cut_export_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch, cut: str, command: tuple[str, ...]) -> None:
    """Before its receipt is written, nothing has changed; from then on the folder gets into its place. Nothing is left."""
    before = exported(root, "mlx")
    name, _, inside = cut.partition(" in ")
    real_exchange, real = place._exchange, getattr(place, name)
    is_inside = not inside

    def exchange(out: Path) -> None:
        nonlocal is_inside
        is_inside = True
        real_exchange(out)

    def kill(*arguments: object) -> object:
        if is_inside:
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(place, "abandon", lambda *_: None)
        patched.setattr(release_module, "abandon", lambda *_: None)
        if inside:
            patched.setattr(place, "_exchange", exchange)
        patched.setattr(place, name, kill)
        patched.setattr(release_module, name, kill, raising=False)
        with pytest.raises(Killed):
            release_module.release(
                Project.at(root), Settings(), "mlx", Choice(where="task_id <> 'add'"), root / "releases/mlx", Clock()
            )
    kept, told = CUTS[cut]
    if cut != "begin":
        assert "An export was cut; etl recover" in etl("receipts", "--root", root).stderr
    result = etl(*command, "--root", root)
    assert result.exit_code == 0, result.stderr
    if command == ("recover",) and cut != "begin":
        assert told in result.stdout
    assert len(jsonl(root / "releases/mlx/train.jsonl")) == (before["rows"]["sft"]["written"] if kept == "old" else 3)
    assert sorted(file.name for file in (root / "releases").iterdir() if file.name.startswith(".")) == []
    assert etl("verify", "--all", "--root", root).exit_code == 0
    assert "No run was cut" in etl("recover", "--root", root).stdout


HUGE = ["18446744073709551616", "9223372036854775808", "-9223372036854775809", "1e400", "-1e999"]


@pytest.mark.parametrize("number", [*HUGE, "9223372036854775807", "1e308", "0.12345678901234567890"])
def test_numbers_that_readers_cannot_hold(tmp_path: Path, number: str) -> None:
    """A row with one in the arguments of a call would make the whole file unreadable, or be null; TRL's files leave it out."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": f'{{"n":{number}}}'}}
    talk = [*TALK[:2], {"role": "assistant", "content": "", "tool_calls": [call]}]
    line = evidence_line("big", run_id="b", verdict="accept", messages=talk, prompt=None, response=None)
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [LINES[1], line]})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    rows = exported(tmp_path, "trl")["rows"]
    for name in ("sft", "kto"):
        assert rows[name]["left_out"] == ({"huge_number": 1} if number in HUGE else {})
    assert exported(tmp_path, "openai")["rows"]["sft"]["written"] == 2


def test_rows_are_chosen(root: Path) -> None:
    """By a condition over the columns of the dataset's view, and by length; the receipt counts what that leaves out."""
    chosen = ("--dataset", "sft", "--where", "tool_calls = 0 -- texts", "--max-chars", "16")
    receipt = exported(root, "trl", *chosen)
    assert receipt["rows"]["sft"] == {"read": 4, "written": 1, "left_out": {"max_chars": 2, "where": 1}}
    assert (receipt["where"], receipt["max_chars"]) == ("tool_calls = 0 -- texts", 16)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--for", "nobody"], "--for nobody: give one of trl, trl-parquet, openai, llamafactory, verl, mlx, hf."),
        (["--for", "mlx", "--dataset", "preference"], "--dataset preference: mlx has sft."),
        (["--for", "mlx", "--where", "true) or (true"], "this is not a condition over the rows"),
        (["--for", "mlx", "--where", "true; drop table x"], "this is not a condition over the rows"),
        (["--for", "mlx", "--where", "no_column > 1"], "this is not a condition over the rows"),
        (["--for", "mlx", "--where", "random() < 0.5"], "random may differ each time; name a value instead"),
        (["--for", "mlx", "--where", "created_at < current_date"], "current_date may differ each time; name a value instead"),
        (["--for", "mlx", "--where", "\udcff"], "--where: this is not UTF-8"),
        (["--for", "mlx", "--out", "releases/../exports/x"], "name a folder apart from it"),
        (["--for", "mlx", "--out", "elsewhere/exports/x"], "name a folder apart from it"),
        (["--for", "mlx", "--out", "elsewhere"], "this is a link; name the folder itself"),
        (["--for", "mlx", "--out", "named"], "an export needs this name for its own folder; move it away"),
        (["--for", "mlx", "--out", "exports/mlx"], "name a folder apart from it"),
        (["--for", "mlx", "--out", "evidence"], "name a folder apart from it"),
        (["--for", "mlx", "--out", "mine"], "it holds notes.txt, which etl export did not write"),
        (["--for", "mlx", "--out", "no/where/at"], "make it first"),
    ],
)
def test_what_cannot_be_exported_is_said(root: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], problem: str) -> None:
    """In one sentence, and nothing is written."""
    monkeypatch.chdir(root)
    (root / "mine").mkdir()
    (root / "mine/notes.txt").write_text("mine", encoding="utf-8")
    (root / "elsewhere").symlink_to(root)
    (root / ".named.etl-old").mkdir()
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
    assert (result.exit_code, "there is no warehouse yet" in result.stderr) == (2, True)


def test_a_published_file_that_is_gone(root: Path) -> None:
    """It is not passed over."""
    shutil.rmtree(root / "exports/sft/instruction_response")
    result = etl("export", "--for", "mlx", "--root", root)
    assert (result.exit_code, "run etl run-all, which makes it anew" in result.stderr) == (2, True)
