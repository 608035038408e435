"""Prompts of tasks as files: for GRPO, and what is held out for evaluation; what a view lets slip is refused."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import copy_of, etl, evidence_line, jsonl, write_evidence
from test_release import exported

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Read a.py."},
    {"role": "assistant", "content": "x is 1."},
]

#: Two tasks that share a prompt, of which one is held out, one that nobody has solved, and one with a conversation.
LINES = [
    evidence_line("add", run_id="a1", verdict="accept", prompt="Add 1 and 1.", response="2"),
    evidence_line("add", run_id="a2", verdict="accept", prompt="Add 1 and 1.", response="Two."),
    evidence_line("add", run_id="a3", verdict="reject", prompt="Add 1 and 1.", response="3"),
    evidence_line("same", run_id="s1", verdict="escalate", prompt="Add  1 and 1.", response="4"),
    evidence_line("hard", run_id="h1", verdict="reject", prompt="Prove it.", response="It is so."),
    evidence_line("hard", run_id="h2", verdict="accept", prompt="Prove it.", response="It  is so."),
    evidence_line("talk", run_id="t1", verdict="accept", messages=TALK, prompt=None, response=None),
]


def publish(root: Path) -> None:
    """Publish what LINES give, with a hold-out."""
    write_evidence(root / "evidence", {"evidence.jsonl": LINES})
    (root / "etl.toml").write_text('holdout = "holdout.txt"\n', encoding="utf-8")
    (root / "holdout.txt").write_text("same\n", encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a published root."""
    copy_of(publish, tmp_path)
    return tmp_path


def test_grpo(root: Path) -> None:
    """A prompt that nobody has solved is there too; what is held out is not, nor what shares its prompt."""
    receipt = exported(root, "trl", "--dataset", "grpo")
    assert jsonl(root / "releases/trl/grpo/train.jsonl") == [
        {"prompt": [{"role": "user", "content": "Prove it."}], "task_id": "hard", "answers": []},
        {"prompt": TALK[:2], "task_id": "talk", "answers": ["x is 1."]},
    ]
    assert receipt["rows"] == {"grpo": {"read": 2, "written": 2, "left_out": {}}}
    (read,) = receipt["inputs"]["files"]
    assert (read["path"], read["record_count"]) == ("datasets.prompt", 2)
    ids = jsonl(root / "releases/trl/ids/grpo/train.jsonl")
    assert [line["provenance"]["item_number"] for line in ids] == [5, 7]


def test_prompts_for_verl(root: Path) -> None:
    """A prompt without an accepted answer has no ground truth."""
    receipt = exported(root, "verl", "--dataset", "rl")
    (row,) = pq.read_table(root / "releases/verl/rl/train.parquet").to_pylist()
    assert (row["prompt"], row["reward_model"]) == (TALK[:2], {"style": "rule", "ground_truth": "x is 1."})
    assert row["extra_info"] == {"index": 1, "split": "train", "task_id": "talk", "answers": ["x is 1."]}
    assert receipt["rows"]["rl"]["left_out"] == {"no_accepted_answer": 1}


def test_what_is_held_out(root: Path) -> None:
    """Prompts and accepted answers of the whole group, in a folder of their own; the receipt is one of the chain."""
    result = etl("export", "--reserved", root / "held-out", "--root", root, "--json")
    assert result.exit_code == 0, result.stderr
    asked = [{"role": "user", "content": "Add 1 and 1."}]
    assert jsonl(root / "held-out/reserved.jsonl") == [
        {"task_id": "add", "prompt": "Add 1 and 1.", "prompt_messages": asked, "tools": None, "answers": ["2", "Two."]},
        {
            "task_id": "same",
            "prompt": "Add  1 and 1.",
            "prompt_messages": [{"role": "user", "content": "Add  1 and 1."}],
            "tools": None,
            "answers": [],
        },
    ]
    assert "Do not train on them." in (root / "held-out/README.md").read_text(encoding="utf-8")
    assert (root / "reports/releases/00001-reserved.json").is_file()
    assert etl("verify", "--all", "--root", root).exit_code == 0


def test_prompts_are_chosen(root: Path) -> None:
    """By the columns of datasets.prompt."""
    receipt = exported(root, "trl", "--dataset", "grpo", "--where", "len(answers) > 0", "--max-chars", "100")
    assert receipt["rows"]["grpo"] == {"read": 2, "written": 1, "left_out": {"where": 1}}
    receipt = exported(root, "trl", "--dataset", "grpo", "--max-chars", "9")
    assert receipt["rows"]["grpo"] == {"read": 2, "written": 1, "left_out": {"max_chars": 1}}


#: What the views of prompts may let slip: of which view, what stands there and what instead, and what the re-read says.
SLIPS = {
    "a task that is held out": (
        "task_prompt",
        "task_group.holdout_line is not null as is_reserved",
        "false as is_reserved",
        "is of a task that is held out",
    ),
    "a rejected answer": (
        "task_prompt",
        "decision.category = 'accepted'\n        and list_has_all(['duplicate_id', ",
        "list_has_all(['unsafe_sft_category', 'duplicate_id', ",
        "has an answer that is rejected",
    ),
    "an answer that is rejected elsewhere": (
        "task_prompt",
        "list_has_all(['duplicate_id', ",
        "list_has_all(['contradicted', 'duplicate_id', ",
        "has an answer whose content is rejected in another record",
    ),
    "a group on two sides": (
        "task_prompt",
        "    task_group.split,",
        "    'test' as split,",
        "is of a group of tasks that is in test and train",
    ),
    "another text": (
        "prompt",
        "list(record.response order by answer.place) as answers",
        "list(record.response || '!' order by answer.place) as answers",
        "does not carry the response of the records it names",
    ),
    "another prompt": ("prompt", "    record.prompt,", "    record.prompt || '!' as prompt,", "does not carry the prompt of"),
    "other messages": (
        "prompt",
        "    record.prompt_messages,",
        "    replace(record.prompt_messages, 'e', 'a') as prompt_messages,",
        "does not carry the prompt_messages of",
    ),
    "other tools": ("prompt", "    record.tools,", "    '[]' as tools,", "does not carry the tools of"),
    "another id": ("prompt", "'prompt', chr(31)", "'prompts', chr(31)", "is not the prompt of the record it names"),
    "an answer of nobody": (
        "prompt",
        "coalesce(answered.answer_provenance, []) as answer_provenance",
        "[] as answer_provenance",
        "does not name a record for each answer",
    ),
    "an item of nobody": (
        "prompt",
        "        item_sha256 := record.item_sha256\n    ) as provenance",
        "        item_sha256 := 'f' || record.item_sha256[2:]\n    ) as provenance",
        "names a record that is not in scored.run",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_no_slip_of_a_view_reaches_a_file(root: Path, slip: str) -> None:
    """The re-read refuses what a view of prompts lets through."""
    name, right, wrong, problem = SLIPS[slip]
    file = Path(f"sql/6_datasets/{name}.sql")
    view = file.read_text(encoding="utf-8")
    assert right in view
    (root / "sql/6_datasets").mkdir(parents=True)
    (root / file).write_text(view.replace(right, wrong), encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code == 0
    result = etl("export", "--for", "trl", "--root", root, "--dataset", "grpo")
    assert (result.exit_code, problem in result.stderr) == (1, True), result.stderr
    assert not (root / "releases/trl").exists()


def test_what_is_not_held_out_is_not_in_the_reserve(root: Path) -> None:
    """Else one might evaluate with what was trained on."""
    view = Path("sql/6_datasets/task_prompt.sql").read_text(encoding="utf-8")
    (root / "sql/6_datasets").mkdir(parents=True)
    opened = view.replace("task_group.holdout_line is not null as is_reserved", "true as is_reserved")
    (root / "sql/6_datasets/task_prompt.sql").write_text(opened, encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code == 0
    result = etl("export", "--reserved", root / "held-out", "--root", root)
    assert (result.exit_code, "is of a task that is not held out" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "Give --for TRAINER or --reserved DIR"),
        (["--for", "trl", "--reserved", "held-out"], "Give --for TRAINER or --reserved DIR"),
        (["--reserved", "held-out", "--out", "there"], "Give --for TRAINER or --reserved DIR"),
        (["--reserved", "exports/held-out"], "name a folder apart from it"),
        (["--reserved", "link/held-out"], "name a folder apart from it"),
        (["--reserved", "releases/trl/held-out"], "which an export replaces as a whole"),
        (["--reserved", "held-out", "--dataset", "sft"], "--dataset sft: reserved has reserved."),
        (["--for", "reserved"], "--for reserved: give one of trl"),
    ],
)
def test_usage(root: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], problem: str) -> None:
    """What is held out never lies where datasets do."""
    monkeypatch.chdir(root)
    (root / "link").symlink_to(root / "exports")
    exported(root, "trl", "--dataset", "sft")
    result = etl("export", *options)
    assert (result.exit_code, problem in result.stderr) == (2, True)


def test_nothing_is_held_out(tmp_path: Path) -> None:
    """Then there is no line to write, and the receipt says so."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": LINES})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    result = etl("export", "--reserved", tmp_path / "held-out", "--root", tmp_path, "--json")
    assert (result.exit_code, result.json["rows"]["reserved"]["written"]) == (0, 0)


def test_many_prompts_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows do not depend on how many are fetched at once, also with long texts."""
    lines = [
        evidence_line(f"task-{number:03}", prompt=f"Do {number}. {'x' * (40_000 if number % 7 == 0 else 3)}", verdict="accept")
        for number in range(50)
    ]
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    whole = exported(tmp_path, "trl", "--dataset", "grpo")
    monkeypatch.setattr("etl.export.prompts.PROMPTS_PER_BATCH", 7)
    assert exported(tmp_path, "trl", "--dataset", "grpo")["outputs"] == whole["outputs"]
    found = jsonl(tmp_path / "releases/trl/grpo/train.jsonl")
    assert [line["task_id"] for line in found] == [f"task-{number:03}" for number in range(50)]
    assert len(found[7]["prompt"][0]["content"]) > 40_000
