"""TRL and ``datasets`` take what is exported for them: all rows load, each trainer makes a step, and the texts are right.

``make test-consumers`` installs both in an environment of their own; ``ETL_EVIDENCE=FOLDER`` takes other evidence than the
sample.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, copy_of, etl, jsonl
from consumers import EVIDENCE, run_in

pytestmark = pytest.mark.consumers


def publish(root: Path) -> None:
    """Publish the evidence with a split, and export it."""
    options = ("--set", "validation_share=0.2", "--set", "test_share=0.2")
    assert etl("run-all", "--root", root, "--evidence", EVIDENCE, *options).exit_code == 0
    for trainer in ("trl", "trl-parquet", "hf"):
        assert etl("export", "--for", trainer, "--root", root).exit_code == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with exports."""
    return copy_of(publish, tmp_path_factory.mktemp("root"))


@cache
def trained(folder: Path) -> dict[str, Any]:
    """Return what TRL made of a folder."""
    return dict(run_in("trl", "train_trl.py", folder))


TRAINERS = ("sft", "sft_assistant_only", "dpo", "kto", "reward", "grpo")


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("folder", ["trl", "trl-parquet"])
def test_a_step_is_made(root: Path, folder: str, trainer: str) -> None:
    """With a loss that is a number."""
    assert trained(root / "releases" / folder)[trainer]["is_finite"]


def test_calls_are_rendered_as_objects(root: Path) -> None:
    """No call is escaped a second time, and no argument is a null that the row has not."""
    texts = rendered(root / "releases/trl")
    calls = [call for text in texts for call in re.findall(r"<tool_call>\n(.*?)\n</tool_call>", text, re.DOTALL)]
    assert calls
    for call in calls:
        assert isinstance(json.loads(call)["arguments"], dict)
        assert not call.split('"arguments": ')[1].startswith('"')
    in_files = {json.dumps(found, sort_keys=True) for found in arguments(root / "releases/trl")}
    assert {json.dumps(json.loads(call)["arguments"], sort_keys=True) for call in calls} <= in_files


def test_results_and_tools_are_rendered(root: Path) -> None:
    """What a tool answered stands in the text, and so do the definitions of tools."""
    texts = trained(root / "releases/trl")["sft"]["input_ids"]
    lines = [line for line in jsonl(root / "releases/trl/sft/train.jsonl") if any("tool_calls" in m for m in line["messages"])]
    rows = {text: next((line for line in lines if all(m["content"] in text for m in line["messages"])), None) for text in texts}
    with_calls = {text: line for text, line in rows.items() if line and "<tool_call>" in text}
    assert with_calls
    for text, line in with_calls.items():
        assert text.count("<|im_start|>tool\n") == sum(message["role"] == "tool" for message in line["messages"])
        assert all(tool["function"]["name"] in text for tool in json.loads(line.get("tools", "[]")))


def test_nothing_follows_the_last_answer(root: Path) -> None:
    """The text ends where the assistant ends; with assistant_only_loss nothing else counts."""
    found = trained(root / "releases/trl")
    for text in found["sft"]["input_ids"]:
        assert text.endswith(("<|im_end|>", "<|im_end|>\n"))
        assert text.rsplit("<|im_start|>", 1)[1].startswith("assistant\n")
    for text in found["sft_assistant_only"]["trained"]:
        assert text
        assert not {"<|im_start|>user", "<|im_start|>tool", "<|im_start|>system"} & {*re.findall(r"<\|im_start\|>\w+", text)}


def test_reward_functions_get_the_answers(root: Path) -> None:
    """GRPO hands the columns beside the prompt to them."""
    (call,) = trained(root / "releases/trl")["rewarded"]
    lines = {json.dumps(line["prompt"]): line for line in jsonl(root / "releases/trl/grpo/train.jsonl")}
    for prompt, task, answers in zip(call["prompts"], call["task_id"], call["answers"], strict=True):
        line = lines[json.dumps(prompt)]
        assert (line["task_id"], line["answers"]) == (task, answers)


@pytest.mark.parametrize("folder", ["trl", "trl-parquet"])
def test_all_rows_load_as_they_are(root: Path, folder: str) -> None:
    """Each configuration and split has the rows of its file of lines, and no argument is null where the line has none."""
    loaded = run_in("trl", "load.py", root / "releases" / folder)
    files = {file: jsonl(file) for file in sorted((root / "releases/trl").glob("[!i]*/*.jsonl"))}
    assert {*loaded["rows"]} == {f"{file.parent.name}/{file.stem}" for file in files}
    for file, lines in files.items():
        rows = loaded["rows"][f"{file.parent.name}/{file.stem}"]
        assert sorted(map(as_text, rows)) == sorted(map(as_text, lines))


def test_the_readme_trains(root: Path) -> None:
    """Its lines work as printed; only the model is another one."""
    assert "SFTTrainer(model=" in run_in("trl", "run_readme.py", REPOSITORY / "README.md", root)


def as_text(row: dict[str, Any]) -> str:
    """Return a row as text; a column that is null is as good as none."""
    return json.dumps({name: value for name, value in row.items() if value is not None}, sort_keys=True)


def rendered(folder: Path) -> Iterator[str]:
    """Yield all texts that the trainers made."""
    for trainer in TRAINERS:
        for column in ("input_ids", "prompt_ids", "chosen_ids", "rejected_ids", "completion_ids"):
            yield from trained(folder)[trainer].get(column, [])


def arguments(folder: Path) -> Iterator[Any]:
    """Yield the arguments of all calls in the files."""
    for file in folder.glob("[!i]*/*.jsonl"):
        for line in jsonl(file):
            for value in line.values():
                for message in value if isinstance(value, list) else ():
                    for call in message.get("tool_calls", ()) if isinstance(message, dict) else ():
                        yield call["function"]["arguments"]
