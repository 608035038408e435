"""Texts of the evidence reach people cut, and as text: no line and no page repeats a long one, or has Markdown made of one."""

import json
import re
import zipfile
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import copy_of, etl, evidence_line, jsonl, write_evidence
from markdown_it import MarkdownIt
from test_injection import require_tame, rows

from etl.base.terminal import LONGEST

#: Each part of the text ends with this letter, so that a line shows how much of the text it holds.
MARK = "Ж"

#: What Markdown, HTML, or a terminal would take for something else than text.
PARTS = (
    *("[a](http://b)", "![i](j.png)", "<b>x</b>", "<http://c>", "| x | y |", "`c` ``d``", "**e** _f_", "~~g~~", "&lt;h&gt;"),
    *(
        "\n# i\n",
        "\n- j\n",
        "\n1. k\n",
        "\n> l\n",
        "\n---\n",
        "http://m.n",
        "www.o.p",
        "[^1]",
        "\\| \\`",
        "\n\n    q",
        "\n```\nr\n",
    ),
    *("\x1b[31m", "\x9b2J", "\u202e", "\u2028", "<!-- s", "<script>", "[t]: u", "$v$", "\t", "* w", "+ x", "== y"),
)
TEXT = "".join(islice((f"{part}{MARK}" for part in cycle(PARTS)), 700))

#: Of a text of 200 characters or fewer no more parts can be seen.
MOST = TEXT[:LONGEST].count(MARK)

#: As much of it as the name of a file can hold.
NAME = TEXT.replace("/", "|").encode()[:245].decode(errors="ignore")
PATH = "/".join([NAME] * 4)


def hostile(number: int) -> list[object]:
    """Return lines of the evidence shape with the text in each field that takes one."""
    texts = dict.fromkeys(("run_id", "model", "file", "prompt", "infrastructure_error"), f"{TEXT}{number}")
    lists = {name: [TEXT, *map(str, range(300))] for name in ("success_markers", "failure_markers", "cited_paths")}
    good = evidence_line(
        f"{TEXT}{number}", **texts | {"infrastructure_error": None}, **lists, verdict="accept", response=f"{TEXT}{number}"
    )
    return [
        good,
        good,
        good | {"run_id": f"{TEXT}{number}-", "verdict": "reject", "response": f"{TEXT}{number} worse"},
        good | {"run_id": f"{TEXT}{number}--", "verdict": TEXT},
        good | {"run_id": f"{TEXT}{number}---", **texts},
        good | {"run_id": f"{TEXT}{number}"},
        evidence_line(f"{TEXT} that ships {number}", verdict="accept"),
        evidence_line(TEXT, source_class=TEXT),
        evidence_line(TEXT, human_override=TEXT),
        evidence_line(TEXT, created_at=TEXT),
        evidence_line(TEXT, score=TEXT),
        evidence_line(TEXT, messages=[{"role": TEXT, "content": TEXT}]),
        {TEXT: TEXT},
        json.dumps({TEXT: 1})[:-1].encode() + b", " + json.dumps({TEXT: 2})[1:].encode(),
        TEXT.replace("\n", " ").encode(),
    ]


def publish_long_texts(root: Path) -> None:
    """Publish a small version, and then one of evidence full of long texts, in names of files too."""
    write_evidence(
        root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept"), evidence_line("b", verdict="reject")]}
    )
    assert etl("run-all", "--root", root).exit_code == 0
    evidence = root / "evidence"
    write_evidence(evidence, {f"evidence/{PATH}.jsonl": hostile(0), "evidence/z.jsonl": hostile(1), f"{NAME}.jsonl": [{}] * 30})
    write_evidence(
        evidence, {f"evidence/{PATH}.bin": ["?"], f"evidence/{NAME}.parquet": ["?"], f"evidence/{NAME}.jsonl.gz": ["?"]}
    )
    struct = pa.array([{TEXT: timedelta(1)}], pa.struct([(TEXT, pa.duration("us"))]))
    pq.write_table(pa.table({TEXT: struct}), evidence / "evidence" / f"{NAME}-.parquet")
    with zipfile.ZipFile(evidence / "evidence.zip", "w") as archive:
        archive.writestr(f"{TEXT}.jsonl", "not json\n")
        archive.writestr(f"../{TEXT}.jsonl", "{}\n")
    mappings = {"mine": "a as run_id, a as problem, a as detail", "failing": "a::int::text as run_id"}
    (root / "sql" / "2_sources").mkdir(parents=True)
    for name, columns in mappings.items():
        body = f"select 'verdict' as source_class, a as task_id, {columns} from raw.item\n"
        (root / "sql" / "2_sources" / f"{name}.sql").write_text(f"-- fields:\n--   a text = /a\n{body}", encoding="utf-8")
    write_evidence(evidence, {"mine.jsonl": [{"a": TEXT}], f"failing/{PATH}.jsonl": [{"a": TEXT}]})
    (root / "known.txt").write_text("src/a.py\n", encoding="utf-8")
    result = etl("run-all", "--root", root, "--known-paths", root / "known.txt")
    (root / "printed.json").write_text(json.dumps([result.stdout, result.stderr]), encoding="utf-8")
    assert result.exit_code == 1


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of these runs."""
    return copy_of(publish_long_texts, tmp_path_factory.mktemp("long"))


def require_short(text: str) -> None:
    """Fail where a text shows more of the long one than 200 characters: what is cut ends in an ellipsis."""
    for piece in text.split("…"):
        assert piece.count(MARK) <= MOST, ascii(piece[:400])


def test_a_run_prints_no_long_text(root: Path) -> None:
    """What run-all prints names sources, files, verdicts and reasons, each cut, and holds no line that a name has made."""
    stdout, stderr = json.loads((root / "printed.json").read_text("utf-8"))
    for text in (stdout, stderr):
        require_short(text)
        require_tame(text)
    assert not [line for line in stdout.split("\n") if line.startswith(("# i", "- j", "1. k", "> l"))]


#: Commands that name what is in the evidence; those in the second list are tried with the slow tests.
COMMANDS = (
    ["receipts"],
    ["drift", "--explain"],
    ["verify", "--all"],
    ["explain", f"{TEXT}0"],
    ["peek", "evidence", "-n", "30"],
)
OTHERS = (
    *(
        ["drift"],
        ["drift", "--history"],
        ["verify"],
        ["health"],
        ["plan"],
        ["run-all", "--dry-run"],
        ["replay"],
        ["peek", "mine"],
    ),
    *(["peek", "failing"], ["explain", f"no {TEXT}"], ["explain", f"{PATH}:1"], ["explain", f"evidence/{PATH}.jsonl:99"]),
)


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, *(pytest.param(command, marks=pytest.mark.slow) for command in OTHERS)],
    ids=lambda command: " ".join(command)[:24],
)
def test_commands_print_no_long_text(root: Path, command: list[str]) -> None:
    """Commands that name tasks, runs, files, sources, verdicts and reasons cut each; only its text is shown of one record."""
    options = [part for part in command[1:] if part.startswith("-") or part.isdigit()]
    result = etl(command[0], "--root", root, *options, "--", *(part for part in command[1:] if part not in options))
    assert result.stdout or result.stderr
    require_short(result.stdout + result.stderr)
    require_tame(result.stdout + result.stderr)


def test_messages_hold_no_long_text(root: Path) -> None:
    """Neither do the messages of receipts, what drift says, the details of skipped items, nor those of quarantined rows."""
    folder = max(path for path in (root / "reports/distillation").iterdir() if path.is_dir())
    documents = {file.stem: json.loads(file.read_bytes()) for file in folder.glob("*.json")}
    messages = [message for name in ("collect", "score") for kind in ("errors", "warnings")
                for message in documents[name]["validation"][kind]]  # fmt: skip
    flags = documents["drift"]["flags"]
    details = [detail for (detail,) in rows(root, "select detail from evidence.skipped where detail is not null")]
    quarantined = [row for file in (root / "exports/quarantine").glob("*/*.jsonl") for row in jsonl(file)]
    details += [row["detail"] for row in quarantined if row["detail"]]
    assert min(len(messages), len(flags), len(details), len(quarantined)) > 5
    for text in (*messages, *flags, *details):
        require_short(text)
    assert max(map(len, details)) == LONGEST
    assert {row["task_id"] for row in quarantined} >= {f"{TEXT}0", f"{TEXT}1"}


def test_pages_are_what_they_would_be_for_short_texts(root: Path) -> None:
    """Summary.md and latest.md are headings, lists, tables and text, whatever the names and words in them."""
    pages = [file.read_text("utf-8") for file in (root / "reports/distillation").rglob("*.md")]
    assert len(pages) == 3
    for page in pages:
        require_short(page)
        require_tame(page)
        tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(page)
        kinds = {re.sub("_(open|close)$", "", token.type) for token in tokens}
        assert kinds <= {
            "heading",
            "paragraph",
            "bullet_list",
            "list_item",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "inline",
        }
        assert {child.type for token in tokens for child in token.children or []} <= {"text"}
        shown = [token.content for token, before in zip(tokens[1:], tokens, strict=False) if before.type == "heading_open"]
        assert not [heading for heading in shown if MARK in heading]


def test_ids_and_keys_stay_whole(root: Path) -> None:
    """What is a key stays whole: tasks, runs and places in the datasets, paths in receipts."""
    shipped = jsonl(root / "exports/rag/playbooks/part-00001.jsonl")
    assert {row["task_id"] for row in shipped} >= {f"{TEXT} that ships 0", f"{TEXT} that ships 1"}
    collect = max((root / "reports/distillation").glob("*/collect.json"))
    paths = {entry["path"] for entry in json.loads(collect.read_bytes())["inputs"]["files"]}
    assert f"evidence/{PATH}.jsonl" in paths
