"""The laws of the split: a group of tasks is on one side, and stays there unless new evidence joins it with another."""

from collections.abc import Iterable
from hashlib import sha256
from math import sqrt
from pathlib import Path
from random import Random

import pytest
from conftest import etl, evidence_line, insert_records, jsonl, set_settings, write_evidence

from etl.warehouse.connection import Warehouse

Told = tuple[str, str]

#: Shares that no binary fraction is.
SHARES = {"validation_share": 0.1, "test_share": 0.2}


def groups_of(told: Iterable[Told]) -> dict[str, str]:
    """Return for each task the smallest hash of its group: an independent way, by merging sets."""
    groups: list[tuple[set[str], set[str]]] = []
    for task, prompt in told:
        tasks, prompts = {task}, {prompt} - {""}
        apart = []
        for others in groups:
            if task in others[0] or prompts & others[1]:
                tasks, prompts = tasks | others[0], prompts | others[1]
            else:
                apart.append(others)
        groups = [*apart, (tasks, prompts)]
    smallest = [(tasks, min(sha256(task.encode()).hexdigest() for task in tasks)) for tasks, _ in groups]
    return {task: group for tasks, group in smallest for task in tasks}


def side_of(group: str) -> str:
    """Return the side on which a group is under SHARES."""
    place = int(sha256(group.encode()).hexdigest()[:13], 16) / (1 << 52)
    return "test" if place < 0.2 else "validation" if place < 0.2 + 0.1 else "train"


def split_of(warehouse: Warehouse) -> dict[str, tuple[str, str]]:
    """Return the group and the side of each task."""
    rows = warehouse.execute("select task_id, group_hash, split from scored.task_group")
    assert len(rows) == len({task for task, *_ in rows})
    return {task: (group, split) for task, group, split in rows}


def some(random: Random, records: int) -> list[Told]:
    """Return tasks and their prompts: few of either, so that many are shared; some prompts are blank."""
    kinds = max(1, records // random.choice([1, 2, 3]))
    return [
        (f"t{random.randrange(kinds)}", f"p{random.randrange(kinds)}" if random.random() > 0.1 else "") for _ in range(records)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_groups_are_what_shares_prompts(warehouse: Warehouse, seed: int) -> None:
    """Groups and sides are those of an independent way; with more evidence only tasks move whose group was joined."""
    random = Random(seed)
    set_settings(warehouse, **SHARES)
    told = some(random, random.choice([1, 5, 40, 120]))
    insert_records(warehouse, *({"task_id": task, "prompt": prompt} for task, prompt in told))
    before = split_of(warehouse)
    assert before == {task: (group, side_of(group)) for task, group in groups_of(told).items()}
    more = some(random, random.choice([1, 3, 20]))
    insert_records(warehouse, *({"task_id": task, "prompt": prompt} for task, prompt in more))
    after = split_of(warehouse)
    assert after == {task: (group, side_of(group)) for task, group in groups_of([*told, *more]).items()}
    for task, (group, split) in before.items():
        if after[task][1] != split:
            joined = [other for other, (of_other, _) in after.items() if of_other == after[task][0]]
            assert len({before[other][0] if other in before else other for other in joined}) > 1, (task, group)


def test_a_long_chain_is_one_group(warehouse: Warehouse) -> None:
    """Each task shares a prompt with the next alone."""
    told = [(f"t{(number + 1) // 2}", f"p{number // 2}") for number in range(4000)]
    insert_records(warehouse, *({"task_id": task, "prompt": prompt} for task, prompt in told))
    assert {group for group, _ in split_of(warehouse).values()} == {min(sha256(t.encode()).hexdigest() for t, _ in told)}


def test_shares_are_within_three_sigma(warehouse: Warehouse) -> None:
    """Of many groups each side has its share."""
    set_settings(warehouse, **SHARES)
    groups = 20_000
    warehouse.execute("create table ids as select 'task ' || range as task_id from range($groups)", {"groups": groups})
    insert_records(warehouse, {"task_id": "task 0", "prompt": "prompt 0"})
    warehouse.execute(
        "insert into evidence.stored_record "
        "select * replace (ids.task_id as task_id, unhex(sha256(ids.task_id)) as prompt_hash) "
        "from evidence.stored_record cross join ids where ids.task_id <> 'task 0'"
    )
    sides = [split for _, split in split_of(warehouse).values()]
    assert len(sides) == groups
    for side, share in (("validation", 0.1), ("test", 0.2), ("train", 0.7)):
        assert abs(sides.count(side) - groups * share) < 3 * sqrt(groups * share * (1 - share))


def test_rows_move_where_evidence_joins_groups(tmp_path: Path) -> None:
    """The receipt counts them; what was reused has moved nothing, and a run from scratch in the same root counts them too."""

    def lines(tasks: Iterable[Told]) -> list[dict[str, object]]:
        return [
            evidence_line(task, run_id=f"{task}-{run}", prompt=prompt, response=f"{task} {prompt} {run}", verdict=verdict)
            for task, prompt in tasks
            for run, verdict in (("a", "accept"), ("b", "reject"))
        ]

    def splits(*options: str) -> list[dict[str, int]]:
        result = etl("run-all", "--root", tmp_path, "--set", "test_share=0.35", *options)
        assert result.exit_code == 0, result.stderr
        return [receipt["splits"] for receipt in etl("receipts", "--root", tmp_path, "--json").json["receipts"][2:]]

    places = {
        task: int(sha256(sha256(task.encode()).hexdigest().encode()).hexdigest()[:13], 16) / (1 << 52) for task in "abcdefgh"
    }
    tested, trained = (sorted(task for task in places if (places[task] < 0.35) == is_tested) for is_tested in (True, False))
    assert tested
    assert trained
    told = [(task, f"prompt of {task}") for task in places]
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines(told)})
    first = {"train": len(trained), "validation": 0, "test": len(tested), "moved": 0}
    assert splits() == [first] * 3
    assert splits() == [first] * 3
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines([*told, (tested[0], f"prompt of {trained[0]}")])})
    group = min((tested[0], trained[0]), key=lambda task: sha256(task.encode()).hexdigest())
    # the answers to the new prompt are rows of their own
    goes, side = (1, "test") if group == tested[0] else (2, "train")
    second = first | {"moved": goes}
    second[side] += 2
    second["train" if side == "test" else "test"] -= 1
    assert splits("--force") == [second] * 3
    files = [jsonl(file) for file in sorted((tmp_path / "exports").glob("[rsp]*/*/*.jsonl"))]
    assert {row["split"] for rows in files[:3] for row in rows if row["task_id"] in (tested[0], trained[0])} == {side}
    assert [splits()[0]["moved"], splits("--force")[0]["moved"]] == [0, 0]
    changed = [receipt["moved"] for receipt in splits("--set", "test_share=0")]
    assert changed == [second["test"]] * 3
