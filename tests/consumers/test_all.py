"""Other trainers and readers take what is exported for them; ``make test-consumers-all`` installs them.

``ETL_EVIDENCE=FOLDER`` takes other evidence than the sample.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import copy_of, etl, jsonl
from consumers import EVIDENCE, run_in
from test_trl import as_text

pytestmark = pytest.mark.consumers


def publish(root: Path) -> None:
    """Publish the evidence with a split, and export it for all."""
    options = ("--set", "validation_share=0.2", "--set", "test_share=0.2")
    assert etl("run-all", "--root", root, "--evidence", EVIDENCE, *options).exit_code == 0
    for trainer in ("trl", "verl", "llamafactory", "mlx", "hf"):
        assert etl("export", "--for", trainer, "--root", root).exit_code == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with exports."""
    return copy_of(publish, tmp_path_factory.mktemp("root"))


@cache
def loaded(environment: str, folder: Path) -> dict[str, Any]:
    """Return the rows that a version of ``datasets`` reads."""
    return dict(run_in(environment, "load.py", folder))


@pytest.mark.parametrize(("environment", "version"), [("datasets-4.0", "4.0.0"), ("datasets-4.8", "4.8.4"), ("trl", "5.2.0")])
def test_each_version_of_datasets_loads_the_bundle(root: Path, environment: str, version: str) -> None:
    """Each configuration and split has the rows of its files, and sft is the default."""
    folder = root / "releases/hf"
    found = loaded(environment, folder)
    assert found["version"] == version
    files = [*folder.glob("data/*/*.parquet"), *folder.glob("quarantine/*/*.parquet"), *folder.glob("receipts/*.parquet")]
    expected = {}
    for file in files:
        config = "_".join(part for part in file.parent.relative_to(folder).parts if part != "data")
        rows = pq.read_table(file).to_pylist()
        expected[f"{config}/{file.name.split('-')[0]}"] = json.loads(json.dumps(rows, default=str))
    assert found["rows"] == expected
    assert found["default"] == {key.split("/")[1]: len(rows) for key, rows in expected.items() if key.startswith("sft/")}


def test_an_older_version_loads_what_trl_takes(root: Path) -> None:
    """From 4.8 on, no key comes to an argument."""
    rows = loaded("datasets-4.8", root / "releases/trl")["rows"]
    assert {*rows} == {f"{file.parent.name}/{file.stem}" for file in (root / "releases/trl").glob("[!i]*/*.jsonl")}
    for name, found in rows.items():
        assert sorted(map(as_text, found)) == sorted(map(as_text, jsonl(root / f"releases/trl/{name}.jsonl")))


def test_llamafactory_skips_no_row(root: Path) -> None:
    """Its converters find an answer in each, and warn of none."""
    folder = root / "releases/llamafactory"
    found = run_in("datasets-4.0", "convert_llamafactory.py", folder)
    assert found == {
        file.stem: {"rows": len(jsonl(file)), "whole": len(jsonl(file)), "warnings": []} for file in folder.glob("*.jsonl")
    }


def test_mlx_reads_each_file(root: Path) -> None:
    """As conversations; the prompt mask leaves the last message."""
    found = run_in("mlx", "read_mlx.py", root / "releases/mlx")
    for name, told in found.items():
        rows = len(jsonl(root / f"releases/mlx/{name}.jsonl"))
        assert told == {"kind": "ChatDataset", "rows": rows, "masked": rows}


@cache
def read(folder: Path) -> dict[str, Any]:
    """Return what Axolotl and verl make of the exports."""
    return dict(run_in("trainers", "read_axolotl_and_verl.py", folder / "trl", folder / "verl"))


def test_axolotl(root: Path) -> None:
    """Calls are objects in its texts, only answers are trained on, and pairs of texts keep both answers."""
    found = read(root / "releases")["axolotl"]
    assert any("<tool_call>" in text for text in found["texts"])
    assert not any('"arguments": "' in text for text in found["texts"])
    for text in found["trained"]:
        assert text
        assert "<|im_start|>user" not in text
        assert "<|im_start|>tool" not in text
    assert found["pairs"]
    for pair, answers in zip(found["pairs"], found["answers"], strict=True):
        assert [pair["chosen"], pair["rejected"]] == [f"{answer}<|im_end|>" for answer in answers]


def test_verl(root: Path) -> None:
    """Its dataset makes tokens of each row, arguments are their own JSON text, and each prompt has a truth."""
    found = read(root / "releases")["verl"]
    folder = root / "releases/verl"
    assert found["rows"] == sum(pq.read_metadata(file).num_rows for file in folder.glob("sft*/*.parquet"))
    assert found["prompts"] == sum(pq.read_metadata(file).num_rows for file in folder.glob("rl/*.parquet"))
    given = {
        call["function"]["arguments"]
        for file in folder.glob("sft_calls/*.parquet")
        for row in pq.read_table(file).to_pylist()
        for message in row["messages"]
        for call in message["tool_calls"] or ()
    }
    calls = [call for text in found["texts"] for call in re.findall(r"<tool_call>\n(.*?)\n</tool_call>", text, re.DOTALL)]
    assert calls
    assert {json.loads(call)["arguments"] for call in calls} <= given
    assert all(truth["ground_truth"] for truth in found["truths"])


def test_templates_take_rows_without_calls(root: Path) -> None:
    """Each template that takes two texts takes what verl hands over; with calls some do."""
    found = read(root / "releases")["verl"]
    assert {*found["refusing"]} <= {*found["refusing_two_texts"]}
    assert "qwen2_5" not in found["refusing_calls"]


def test_croissant_and_stores(root: Path) -> None:
    """croissant.json is valid and its hashes are right, as records are read; stores take all rows of rag, and find them."""
    found = run_in("readers", "read_bundle.py", root / "releases/hf")
    assert found["croissant"]["errors"] == []
    assert all(found["croissant"]["read"].values())
    assert len(found["croissant"]["read"]) == len([*(root / "releases/hf").rglob("*.parquet")])
    assert found["rows"] == found["llama_index"] == found["lancedb"]["rows"]
    assert found["langchain"] == min(50, found["rows"])
    assert found["lancedb"]["hits"] >= 1
