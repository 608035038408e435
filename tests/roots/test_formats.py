"""What agents, harnesses and tracers really write, each mapped by one SQL file: every attempt is found, in increments too.

The files in tests/formats/evidence were written by the tools themselves; the mappings are beside them.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports.zstd import zipfile
from conftest import REPOSITORY, copy_of, etl, write_evidence
from increments import assert_as_fresh, run

from etl.ingest import judging
from etl.ingest.formats.strict_json import Refusal

FORMATS = REPOSITORY / "tests" / "formats"
MAPPINGS = sorted((FORMATS / "sql" / "2_sources").glob("*.sql"))

SESSION = "evidence/claude_code/home-app/s-1.jsonl"


def session_line(number: int, **fields: Any) -> dict[str, Any]:
    """Return a line of a coding agent's session: the user asks, the model calls a tool, which answers, and so on."""
    common = {"sessionId": "s-1", "uuid": f"u-{number}", "timestamp": f"2026-03-01T10:{number // 60:02}:{number % 60:02}Z"}
    if number == 1:
        return common | {"type": "user", "message": {"role": "user", "content": "Fix the login."}} | fields
    if number % 4 == 0:
        result = {"type": "tool_result", "tool_use_id": f"t-{number - 1}", "content": f"Output {number}."}
        return common | {"type": "user", "message": {"role": "user", "content": [result]}} | fields
    block: dict[str, Any] = {"type": "text", "text": f"Step {number}."}
    if number % 4 == 3:
        block = {"type": "tool_use", "id": f"t-{number}", "name": "bash", "input": {"command": f"make {number}"}}
    message = {"id": f"m-{number // 4}-{number % 4 == 1}", "role": "assistant", "model": "model-c", "content": [block]}
    return common | {"type": "assistant", "message": message} | fields


def write_session(root: Path) -> None:
    """Write a session of 2,000 lines: four of them are no part of the conversation."""
    lines = [
        {"type": "summary", "summary": "Login"},
        *(session_line(number) for number in range(1, 1997)),
        session_line(1997, isSidechain=True),
        session_line(1998, isApiErrorMessage=True),
        session_line(2000, isMeta=True),
    ]
    write_evidence(root, {SESSION: lines})


def write_export(root: Path, attempts: int = 1000) -> None:
    """Write a Parquet export of attempts, of which one in three failed and one in seven has no grade."""
    numbers = range(attempts)
    table = pa.table(
        {
            "run": [f"run-{number}" for number in numbers],
            "task": [f"task-{number % 100}" for number in numbers],
            "at": pa.array([1_772_000_000_000_000 + number for number in numbers], pa.timestamp("us", "UTC")),
            "model": ["model-d"] * attempts,
            "prompt": [f"Question {number % 100}?" for number in numbers],
            "response": [f"Answer {number}." for number in numbers],
            "passed": [None if number % 7 == 0 else number % 3 > 0 for number in numbers],
            "usage": [{"output": number} for number in numbers],
        }
    )
    (root / "evidence" / "exported").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, root / "evidence" / "exported" / "attempts.parquet", row_group_size=300)


def publish_formats(root: Path) -> None:
    """Publish all formats of these tests from one root."""
    shutil.copytree(FORMATS, root, dirs_exist_ok=True)
    write_session(root)
    write_export(root)
    run(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root in which all formats were published."""
    return copy_of(publish_formats, tmp_path / "root")


def rows(root: Path, query: str) -> list[dict[str, Any]]:
    """Return the rows that a query over the published warehouse gives."""
    found: list[dict[str, Any]] = etl("sql", query, "--root", root, "--json").json
    return found


def attempts(root: Path, source: str, columns: str) -> str:
    """Return columns of the records of a source as the lines of a table; a null is a dash."""
    found = rows(root, f"select {columns} from evidence.record where source = '{source}' group by all order by all")
    return "\n".join(" | ".join("-" if value is None else str(value) for value in row.values()) for row in found)


def test_all_formats_pass(root: Path) -> None:
    """A run over all of them ends with exit code 0: each item is a record, or a part of one."""
    assert etl("run-all", "--root", root, "--force").exit_code == 0
    assert rows(root, "from evidence.skipped") == []
    assert rows(root, "select ignored_by, count(*)::int as files from evidence.file group by all order by all")[:1] == [
        {"ignored_by": "reads:", "files": 20}
    ]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.stem)
def test_a_mapping_is_short(mapping: Path) -> None:
    """Each format takes a header and less than forty lines of SQL."""
    assert sum(not line.startswith("--") for line in mapping.read_text(encoding="utf-8").splitlines()) < 40


def test_promptfoo(root: Path) -> None:
    """Each row of the one document is an attempt; without assertions it has no grade, and 503 is the machine's error."""
    columns = "left(task_id, 4) as task, prompt, model, left(response, 1) as response, verdict, score, infrastructure_error"
    assert attempts(root, "promptfoo", f"{columns}, run_id").count("\n") == 23
    assert attempts(root, "promptfoo", f"distinct {columns}") == cleandoc("""
        487b | Answer shortly: Name a river. | model-a | A | false | 0.5 | -
        487b | Answer shortly: Name a river. | model-b | - | - | - | 503 upstream
        487b | Name a river. | model-a | [ | false | 0.5 | -
        487b | Name a river. | model-b | - | - | - | 503 upstream
        4c1a | Answer shortly: Ungraded? | model-a | A | - | - | -
        4c1a | Answer shortly: Ungraded? | model-b | D | - | - | -
        4c1a | Ungraded? | model-a | [ | - | - | -
        4c1a | Ungraded? | model-b | D | - | - | -
        91d3 | Answer shortly: What is 2+2? | model-a | A | true | 1.0 | -
        91d3 | Answer shortly: What is 2+2? | model-b | D | false | 0.0 | -
        91d3 | What is 2+2? | model-a | [ | true | 1.0 | -
        91d3 | What is 2+2? | model-b | D | false | 0.0 | -
    """)


def test_promptfoo_lines(root: Path) -> None:
    """Its lines give the records of its document."""
    columns = "run_id, task_id, prompt, response, verdict, score, infrastructure_error"
    of_document = attempts(root, "promptfoo", columns)
    document = root / "evidence/promptfoo/out.json"
    results = json.loads(document.read_text(encoding="utf-8"))["results"]["results"]
    write_evidence(root / "evidence", {"promptfoo/out.jsonl": results})
    document.unlink()
    run(root)
    assert attempts(root, "promptfoo", columns) == of_document


def test_every_grade_counts_as_its_tool_means_it(root: Path) -> None:
    """What passed is accepted, what failed is rejected; what broke the machine, and what nobody graded, needs a person."""
    query = "select source, category, rule, count(*) as attempts from scored.run group by all order by all"
    assert "\n".join(" | ".join(map(str, row.values())) for row in rows(root, query)) == cleandoc("""
        claude_code | needs_human_review | no_signal | 1
        exported | accepted | verdict | 571
        exported | needs_human_review | no_signal | 143
        exported | rejected | verdict | 286
        harbor | accepted | score | 2
        harbor | needs_human_review | infrastructure_error | 3
        harbor | partially_accepted | score | 1
        harbor | rejected | score | 2
        inspect_ai | accepted | score | 2
        inspect_ai | needs_human_review | infrastructure_error | 2
        inspect_ai | rejected | score | 4
        lm_eval | needs_human_review | no_signal | 6
        lm_eval | rejected | score | 6
        mini_swe_agent | needs_human_review | no_signal | 1
        otel | accepted | score | 1
        otel | needs_human_review | infrastructure_error | 1
        otel | needs_human_review | no_signal | 1
        otel | rejected | score | 1
        promptfoo | accepted | verdict | 4
        promptfoo | needs_human_review | infrastructure_error | 4
        promptfoo | needs_human_review | no_signal | 8
        promptfoo | rejected | verdict | 8
    """)
    query = "select right(run_id, 4) as trial, category from scored.run where source = 'harbor' order by all"
    assert [row["category"] for row in rows(root, query)] == [
        *("accepted", "rejected", "partially_accepted", "needs_human_review"),
        *("rejected", "needs_human_review", "needs_human_review", "accepted"),
    ]


def test_lm_eval(root: Path) -> None:
    """A line is an attempt for each of its repeats, of which the first is graded; the model is in the file beside it."""
    columns = (
        "record_number, left(task_id, 8) as task, split(run_id, '/')[-1] as repeat, model, prompt, response, score, len(parts)"
    )
    assert attempts(root, "lm_eval", columns) == cleandoc("""
        1 | sums/0bb | 1 | qdpv68r5 | Q: What is 5+1? A: | lol | 0.0 | 3
        1 | sums/5a9 | 1 | qdpv68r5 | Q: What is 3+1? A: | lol | 0.0 | 3
        1 | sums/6ce | 1 | qdpv68r5 | Q: What is 4+1? A: | lol | 0.0 | 3
        1 | sums/a11 | 1 | qdpv68r5 | Q: What is 1+1? A: | lol | 0.0 | 3
        1 | sums/b40 | 1 | qdpv68r5 | Q: What is 2+1? A: | lol | 0.0 | 3
        1 | sums/ebf | 1 | qdpv68r5 | Q: What is 0+1? A: | lol | 0.0 | 3
        2 | sums/0bb | 2 | qdpv68r5 | Q: What is 5+1? A: | lol | - | 3
        2 | sums/5a9 | 2 | qdpv68r5 | Q: What is 3+1? A: | lol | - | 3
        2 | sums/6ce | 2 | qdpv68r5 | Q: What is 4+1? A: | lol | - | 3
        2 | sums/a11 | 2 | qdpv68r5 | Q: What is 1+1? A: | lol | - | 3
        2 | sums/b40 | 2 | qdpv68r5 | Q: What is 2+1? A: | lol | - | 3
        2 | sums/ebf | 2 | qdpv68r5 | Q: What is 0+1? A: | lol | - | 3
    """)


def test_inspect_ai(root: Path) -> None:
    """A member of the archive is an attempt; its header is a part of all. NaN is no grade, a lost sandbox no failure."""
    columns = (
        "source_path[-20:] as member, left(run_id, 4) as run, task_id, model, prompt, response, score, infrastructure_error"
    )
    assert attempts(root, "inspect_ai", columns) == cleandoc("""
        mples/a_epoch_1.json | Qma7 | sums/a | mockllm/model | What is 1+1? | The sum is 2. | 1.0 | -
        mples/a_epoch_2.json | Qma7 | sums/a | mockllm/model | What is 1+1? | The sum is 2. | 1.0 | -
        mples/b_epoch_1.json | Qma7 | sums/b | mockllm/model | What is 1+2? | The sum is 2. | 0.0 | -
        mples/b_epoch_2.json | Qma7 | sums/b | mockllm/model | What is 1+2? | The sum is 2. | 0.0 | -
        mples/c_epoch_1.json | Qma7 | sums/c | mockllm/model | What is 1+3? | The sum is 2. | 0.0 | -
        mples/c_epoch_2.json | Qma7 | sums/c | mockllm/model | What is 1+3? | The sum is 2. | 0.0 | -
        mples/d_epoch_1.json | Qma7 | sums/d | mockllm/model | What is 1+4? |  | - | RuntimeError('sandbox lost')
        mples/d_epoch_2.json | Qma7 | sums/d | mockllm/model | What is 1+4? |  | - | RuntimeError('sandbox lost')
    """)
    assert rows(root, "select nan_count::int as nan from evidence.file where source = 'inspect_ai'") == [{"nan": 4}]


def test_otel(root: Path) -> None:
    """A trace is an attempt: its spans and its grade, from two files. A trace without texts is a task of its own."""
    columns = (
        "item_number, left(run_id, 4), left(task_id, 18), model, prompt, response, score, infrastructure_error, len(parts)"
    )
    assert attempts(root, "otel", columns) == cleandoc("""
        1 | 3cc3 | Weather in town 0? | demo-1 | Weather in town 0? | It rains. | 1.0 | - | 5
        5 | 5e5a | Weather in town 1? | demo-1 | Weather in town 1? | It rains. | 0.0 | - | 5
        9 | 6481 | Weather in town 2? | demo-1 | Weather in town 2? | - | - | timeout | 4
        13 | 6cc9 | 6cc9618f61a104ae19 | demo-1 | - | - | - | - | 2
    """)


def test_harbor(root: Path) -> None:
    """A folder is an attempt: its result, trajectory and reward. What Harbor calls no valid reward is the machine's error."""
    columns = "run_id[-4:], task_id, model, prompt[:15], response[:9], score, infrastructure_error, len(parts)"
    assert attempts(root, "harbor", columns) == cleandoc("""
        aaa1 | demo-org/count-lines | model-a | Count the lines | count.txt | 1.0 | - | 3
        aaa2 | demo-org/count-lines | model-a | Count the lines | count.txt | 0.0 | - | 3
        aaa3 | demo-org/count-lines | model-a | Count the lines | count.txt | 0.5 | - | 3
        aaa4 | demo-org/count-lines | model-a | Count the lines | count.txt | - | ApiRateLimitError | 2
        aaa5 | demo-org/count-lines | model-a | Count the lines | count.txt | 0.0 | - | 3
        aaa6 | demo-org/count-lines | model-a | - | - | - | EnvironmentStartTimeoutError | 1
        aaa7 | demo-org/count-lines | model-a | Count the lines | count.txt | - | ApiConnectionError | 3
        aaa8 | demo-org/count-lines | model-a | Count the lines | count.txt | 1.0 | - | 2
    """)


def test_mini_swe_agent(root: Path) -> None:
    """A document is an attempt without a grade; what the harness keeps for itself is not in its messages."""
    columns = "run_id, task_id, model, prompt[:16], trim(response, chr(10)), score, infrastructure_error, cost_usd"
    assert attempts(root, "mini_swe_agent", columns) == cleandoc("""
        mini_swe_agent/one | demo__demo-1 | deterministic | Solve this task: | diff --git a/x b/x | - | - | 2.0
    """)
    (record,) = rows(root, "select messages from evidence.record where source = 'mini_swe_agent'")
    assert [(message["role"], *message) for message in json.loads(record["messages"])] == [
        (role, "role", "content") for role in ("system", "user", "assistant", "user", "assistant")
    ]


def test_claude_code(root: Path) -> None:
    """All lines of a file are one attempt; blocks of one message are joined, and lines of others are no part of it."""
    columns = "item_number, run_id, task_id, model, prompt, response, score, len(parts), created_at"
    assert attempts(root, "claude_code", columns) == cleandoc("""
        1 | s-1 | Fix the login. | model-c | Fix the login. | Step 1994. | - | 2000 | 2026-03-01T10:33:20
    """)
    (record,) = rows(root, "select messages from evidence.record where source = 'claude_code'")
    messages = json.loads(record["messages"])
    assert [(message["role"], "tool_calls" in message) for message in messages[:4]] == [
        ("user", False),
        ("assistant", True),
        ("tool", False),
        ("assistant", False),
    ]


def test_a_session_grows(root: Path) -> None:
    """Lines that are appended to a session change its one record, which stays where it is."""
    query = "select evidence_id, item_number, len(parts) as lines, response from evidence.record where source = 'claude_code'"
    (before,) = rows(root, query)
    append(root / SESSION, [session_line(2001), session_line(2005)])
    run(root)
    (after,) = rows(root, query)
    assert after["evidence_id"] != before["evidence_id"]
    assert after | {"evidence_id": ""} == {"evidence_id": "", "item_number": 1, "lines": 2002, "response": "Step 2005."}


def test_exported(root: Path) -> None:
    """A row of a Parquet file is an attempt."""
    assert attempts(root, "exported", "verdict, count(*)") == cleandoc("""
        fail | 286
        pass | 571
        - | 143
    """)
    columns = "item_number, run_id, task_id, created_at, model, prompt, response, verdict, completion_tokens"
    assert "\n".join(attempts(root, "exported", columns).splitlines()[:3]) == cleandoc("""
        1 | run-0 | task-0 | 2026-02-25T06:13:20 | model-d | Question 0? | Answer 0. | - | 0
        2 | run-1 | task-1 | 2026-02-25T06:13:20.000001 | model-d | Question 1? | Answer 1. | pass | 1
        3 | run-2 | task-2 | 2026-02-25T06:13:20.000002 | model-d | Question 2? | Answer 2. | pass | 2
    """)


# --- increments ------------------------------------------------------------------------------------------------------------


def append(file: Path, lines: Sequence[Any]) -> None:
    """Append lines of JSON to a file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text of a file wherever it stands."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def grow(evidence: Path) -> None:
    """Append lines, add files, and add a member to an archive."""
    append(evidence.parent / SESSION, [session_line(2001), session_line(2002)])
    write_export(evidence.parent, 1010)
    shutil.copy(evidence / "promptfoo/out.json", evidence / "promptfoo/again.json")
    edit(evidence / "promptfoo/again.json", '"id": "', '"id": "again-')
    (samples,) = evidence.glob("lm_eval/*/samples_*")
    append(samples, [json.loads(samples.read_text(encoding="utf-8").splitlines()[0]) | {"doc_hash": "new", "exact_match": 1.0}])
    (archive,) = evidence.glob("inspect_ai/*.eval")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_ZSTANDARD) as members:
        sample = members.read("samples/a_epoch_1.json").replace(b'"epoch": 1', b'"epoch": 3', 1)
        members.writestr("samples/a_epoch_3.json", sample)
    event = json.loads((evidence / "otel/logs.jsonl").read_text(encoding="utf-8").splitlines()[0])
    event["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["traceId"] = last_trace(evidence)
    append(evidence / "otel/more.jsonl", [event])
    job = next(evidence.glob("harbor/*"))
    shutil.copytree(job / "count-lines__aaa1/agent", job / "count-lines__aaa6/agent")
    shutil.copytree(job / "count-lines__aaa1", job / "count-lines__bbb1")
    shutil.copy(evidence / "mini_swe_agent/one.traj.json", evidence / "mini_swe_agent/two.traj.json")


def last_trace(evidence: Path) -> str:
    """Return the id of the trace that the last line of OpenTelemetry's spans is of."""
    line = json.loads((evidence / "otel/traces.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return str(line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"])


def change(evidence: Path) -> None:
    """Edit files in place: other grades, another model, another status."""
    edit(evidence.parent / SESSION, "Fix the login.", "Fix the logout.")
    edit(evidence / "promptfoo/out.json", '"score": 0.5', '"score": 0.75')
    edit(next(evidence.glob("lm_eval/*/results_*")), '"model_name": "qdpv68r5"', '"model_name": "other"')
    edit(evidence / "otel/logs.jsonl", '"doubleValue":0.0', '"doubleValue":0.5')
    edit(next(evidence.glob("harbor/*/*aaa2/verifier/reward.txt")), "0.0", "0.25")
    edit(evidence / "mini_swe_agent/one.traj.json", '"exit_status": "Submitted"', '"exit_status": "DockerError"')


def shrink(evidence: Path) -> None:
    """Remove a trial's folder, a reward, a file of grades, a file of results, a document, and lines of a session."""
    job = next(evidence.glob("harbor/*"))
    shutil.rmtree(job / "count-lines__aaa3")
    (job / "count-lines__aaa1/verifier/reward.txt").unlink()
    (evidence / "otel/logs.jsonl").unlink()
    next(evidence.glob("lm_eval/*/results_*")).unlink()
    (evidence / "mini_swe_agent/one.traj.json").unlink()
    session = evidence.parent / SESSION
    session.write_text("".join(session.read_text(encoding="utf-8").splitlines(keepends=True)[:1000]), encoding="utf-8")
    write_export(evidence.parent, 990)


@pytest.mark.parametrize("alter", [grow, change, shrink])
def test_increments_equal_a_fresh_run(root: Path, tmp_path: Path, alter: Callable[[Path], None]) -> None:
    """After a run over what changed, exports and tables equal those of a fresh root."""
    alter(root / "evidence")
    run(root)
    shutil.copytree(FORMATS / "sql", tmp_path / "fresh" / "sql")
    assert_as_fresh(root, tmp_path / "fresh")


def test_only_the_units_that_changed_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a job, the folder whose reward changed is read again, and no other; the same holds for a session among others."""
    run(root)  # which learns the stats of the copied files
    read: list[bytes] = []
    read_object = judging.read_object

    def noting(item: bytes, max_depth: int, max_values: int) -> dict[str, Any] | Refusal:
        read.append(item)
        return read_object(item, max_depth, max_values)

    monkeypatch.setattr(judging, "read_object", noting)
    write_evidence(root, {SESSION.replace("s-1", "s-2"): [session_line(1, sessionId="s-2")]})
    edit(next((root / "evidence").glob("harbor/*/*aaa2/verifier/reward.txt")), "0.0", "0.25")
    run(root)
    assert [b"aaa2" in item for item in read if b"trial_name" in item] == [True]
    assert [json.loads(item)["sessionId"] for item in read if b"sessionId" in item] == ["s-2"]
    assert len(read) == 3  # and the trajectory of that folder
