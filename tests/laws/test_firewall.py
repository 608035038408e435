"""Never is never: each layer of the firewall refuses on its own, with the other two removed."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import Line, evidence_line, jsonl, write_evidence
from conftest import etl as command

from etl.base.datasets import DATASETS, part_of
from etl.base.errors import AuditError, ContractError, FirewallError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.checks import columns_of, contract_of
from etl.context import Run
from etl.export import export
from etl.export.firewall.audit import IDENTITY, PAIR
from etl.export.writer import Written
from etl.pipeline.stages import STAGES, run_stages
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

#: One record of each category, a clean pair, and a pair of one run (a self-pair).
EVIDENCE = [
    evidence_line("good", verdict="accept"),
    evidence_line("middling", verdict="partial"),
    evidence_line("bad", verdict="reject"),
    evidence_line("unsure", verdict="escalate"),
    evidence_line("pair", verdict="accept", run_id="a"),
    evidence_line("pair", verdict="reject", run_id="b", response="Another answer."),
    evidence_line("self", verdict="accept", run_id="c"),
    evidence_line("self", verdict="partial", run_id="c", response="Another answer."),
    evidence_line("twin", verdict="accept", run_id="d", response="One answer."),
    evidence_line("twin", verdict="partial", run_id="e", response="One answer."),
    evidence_line("half", verdict="partial", run_id="f"),
    evidence_line("half", verdict="reject", run_id="g", response="Another answer."),
]

#: For each record that may not ship because of another one: the first is it, by attempt and by content. In "mine" a person
#: accepted what a machine rejected elsewhere, in "yours" a person rejected it too.
REJECTED_ELSEWHERE = [
    evidence_line("attempt", verdict="accept", run_id="a"),
    evidence_line("attempt", verdict="reject", run_id="a", response="Another answer."),
    evidence_line("attempt", verdict="reject", run_id="b", response="A third answer."),
    evidence_line("content", verdict="accept", run_id="c"),
    evidence_line("content", verdict="reject", run_id="d", response="The  answer to content. "),
    evidence_line("content", verdict="reject", run_id="e", response="A third answer."),
    evidence_line("mine", human_override="accepted", run_id="f"),
    evidence_line("mine", verdict="reject", run_id="g"),
    evidence_line("yours", human_override="accepted", run_id="h"),
    evidence_line("yours", human_override="rejected", run_id="i"),
    evidence_line("yours", verdict="reject", run_id="j", response="A third answer."),
]

#: A view of no rejection at all.
NO_REJECTION = """-- Nothing is rejected elsewhere.
select 1::bigint as record_key, 'rejected_attempt' as defect, '' as detail, where false
"""

#: An overlay that lets everything through the first layer.
OPEN_ADMISSION = """-- Everything may enter.
select dataset, category, 'always' as admission, null as setting, true as is_admitted, null::varchar as reason,
from (values ('rag'), ('sft')) as datasets (dataset)
cross join (values ('accepted'), ('partially_accepted'), ('rejected'), ('needs_human_review')) as categories (category)
"""


def open_sql(sql: Sql) -> Sql:
    """Return the SQL without its first layer: every category is admitted, and self-pairs are not recognised."""
    candidate = sql.files["sql/5_pairs/candidate.sql"]
    judged = "chosen.run_id = rejected.run_id as is_one_run"
    assert judged in candidate
    opened = candidate.replace(judged, "false as is_one_run")
    return Sql(sql.files | {"sql/1_policy/admission.sql": OPEN_ADMISSION, "sql/5_pairs/candidate.sql": opened})


def replaced(sql: Sql, breaks: Mapping[str, tuple[str, str]]) -> Sql:
    """Return the SQL with one text replaced by another in each of these files, which are named without folder and ending."""
    files = dict(sql.files)
    for path, (old, new) in breaks.items():
        assert old in files[f"sql/{path}.sql"]
        files[f"sql/{path}.sql"] = files[f"sql/{path}.sql"].replace(old, new)
    return Sql(files)


def export_planted(tmp_path: Path, sql: Sql, only: str, lines: Sequence[Line] = EVIDENCE) -> None:
    """Run collect, score and one export over the planted evidence."""
    evidence = write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})
    settings = Settings(include_partial=True, include_review=True)
    warehouse = Warehouse.create(sql, settings)
    try:
        run = Run(Project.at(tmp_path, evidence), settings, sql, warehouse, tmp_path / "exports")
        run_stages(run, tuple(stage for stage in STAGES if not stage.exports or stage.name == only))
    finally:
        warehouse.close()


@pytest.fixture
def no_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the second layer."""
    monkeypatch.setattr(export, "_validate", lambda *_: None)


@pytest.fixture
def no_reread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the third layer."""
    monkeypatch.setattr(export, "audit", lambda *_: None)


EXPORTS = ("export-rag", "export-sft", "export-preference")


def test_views_alone_refuse(tmp_path: Path, sql: Sql, no_schema: None, no_reread: None) -> None:
    """With no schema and no re-read, the views still keep rejected, unsure and self-paired rows out."""
    for name in EXPORTS:
        export_planted(tmp_path, sql, name)
    rag = {row["source_category"] for row in jsonl(tmp_path / "exports/rag/playbooks/part-00001.jsonl")}
    sft = {row["quality_score"] for row in jsonl(tmp_path / "exports/sft/instruction_response/part-00001.jsonl")}
    pairs = jsonl(tmp_path / "exports/preference/chosen_rejected/part-00001.jsonl")
    assert rag == {"accepted", "partially_accepted", "needs_human_review"}
    assert sft == {"accepted", "partially_accepted"}
    assert [(pair["chosen_run_id"], pair["rejected_run_id"]) for pair in pairs] == [("a", "b")]


@pytest.mark.parametrize("name", EXPORTS)
def test_schemas_alone_refuse(tmp_path: Path, sql: Sql, no_reread: None, name: str) -> None:
    """With open views and no re-read, the schema of each dataset still refuses the batch."""
    with pytest.raises(ContractError, match="refuses"):
        export_planted(tmp_path, open_sql(sql), name)


@pytest.mark.parametrize("name", EXPORTS)
def test_reread_alone_refuses(tmp_path: Path, sql: Sql, no_schema: None, name: str) -> None:
    """With open views and no schema, the re-read of the written bytes still refuses each dataset."""
    with pytest.raises(FirewallError):
        export_planted(tmp_path, open_sql(sql), name)


@pytest.mark.parametrize("name", EXPORTS)
def test_all_layers_away_let_it_through(tmp_path: Path, sql: Sql, no_schema: None, no_reread: None, name: str) -> None:
    """With all three layers removed the planted rows do get through, so the tests above measure the layers."""
    export_planted(tmp_path, open_sql(sql), name)
    stem = next(dataset.stem for dataset in DATASETS if f"export-{dataset.name}" == name)
    rows = jsonl(tmp_path / "exports" / stem / "part-00001.jsonl")
    if name == "export-preference":
        assert any(row["chosen_run_id"] == row["rejected_run_id"] for row in rows)
    else:
        categories = {row.get("source_category", row.get("quality_score")) for row in rows}
        assert {"rejected", "needs_human_review"} <= categories


def shipped_tasks(tmp_path: Path, name: str) -> list[str]:
    """Return the tasks of the rows that an export has written, sorted."""
    stem = next(dataset.stem for dataset in DATASETS if dataset.stage == name)
    return sorted(row["task_id"] for row in jsonl(tmp_path / "exports" / stem / "part-00001.jsonl"))


@pytest.mark.parametrize("name", EXPORTS)
def test_views_alone_refuse_what_is_rejected_elsewhere(
    tmp_path: Path, sql: Sql, no_schema: None, no_reread: None, name: str
) -> None:
    """A record whose attempt or content is rejected ships only if a person accepted it and no person rejected the other."""
    export_planted(tmp_path, sql, name, REJECTED_ELSEWHERE)
    assert shipped_tasks(tmp_path, name) == ([] if name == "export-preference" else ["mine"])


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize(("task", "problem"), [("attempt", "attempt"), ("content", "content"), ("yours", "content")])
def test_reread_alone_refuses_what_is_rejected_elsewhere(
    tmp_path: Path, sql: Sql, no_schema: None, name: str, task: str, problem: str
) -> None:
    """Where the view of rejections is empty, the re-read finds the record of which another one is rejected."""
    opened = Sql(sql.files | {"sql/4_scored/rejection.sql": NO_REJECTION})
    lines = [line for line in REJECTED_ELSEWHERE if line["task_id"] == task]
    with pytest.raises(FirewallError, match=f"whose {problem} is rejected|although its {problem} is rejected"):
        export_planted(tmp_path, opened, name, lines)


@pytest.mark.parametrize("name", EXPORTS)
def test_both_layers_away_let_what_is_rejected_elsewhere_through(tmp_path: Path, sql: Sql, no_reread: None, name: str) -> None:
    """With the view and the re-read removed these records ship, so the tests above measure the layers."""
    export_planted(tmp_path, Sql(sql.files | {"sql/4_scored/rejection.sql": NO_REJECTION}), name, REJECTED_ELSEWHERE)
    assert {"attempt", "content", "yours"} <= {*shipped_tasks(tmp_path, name)}


def test_reread_lets_a_persons_acceptance_through(tmp_path: Path, sql: Sql) -> None:
    """What a person accepted ships although a machine rejected the same content in another attempt."""
    export_planted(
        tmp_path, Sql(sql.files | {"sql/4_scored/rejection.sql": NO_REJECTION}), "export-sft", REJECTED_ELSEWHERE[6:8]
    )
    assert shipped_tasks(tmp_path, "export-sft") == ["mine"]


def shadowing(sql: Sql, macro: str) -> dict[str, str]:
    """Return the macros with one more, which has the name of a function of the engine or of the product."""
    return {"sql/macros.sql": f"{sql['macros']}\ncreate or replace macro {macro};\n"}


@pytest.mark.parametrize(
    "macro",
    [
        "list_contains(a, b) as contains(b, ' over ')",
        "hash(a, b := 0, c := 0) as 1::ubigint",
        "coalesce(a, b := 0, c := 0) as true",
        "policy.verdict_word(verdict) as 'accept'",
    ],
)
def test_reread_hears_no_macro_of_an_overlay(tmp_path: Path, sql: Sql, no_schema: None, macro: str) -> None:
    """A macro with the name of a function that the re-read calls changes nothing of what it finds."""
    with pytest.raises(FirewallError):
        export_planted(tmp_path, Sql(open_sql(sql).files | shadowing(sql, macro)), "export-sft")


def test_reread_compares_texts_as_the_product_does(tmp_path: Path, sql: Sql, no_schema: None) -> None:
    """A macro by which no two texts are equal hides no rejected content."""
    macros = shadowing(sql, "policy.normalised(content) as content || uuid()")
    with pytest.raises(FirewallError, match="its content is rejected"):
        export_planted(tmp_path, Sql(sql.files | macros), "export-sft", REJECTED_ELSEWHERE[3:5])


#: Every text that a rejected record has, as an overlay can put it into a column.
REJECTED_TEXT = "(select string_agg(bad.response, ' ') from evidence.record as bad where bad.verdict = 'reject')"


@pytest.mark.parametrize(
    ("dataset", "column", "old"),
    [
        *(("rag", column, f"record.{column},") for column in ("task_id", "source", "model")),
        *(("sft", column, f"record.{column},") for column in ("task_id", "source", "model")),
        (
            "rag",
            "title",
            "case when not policy.is_blank(policy.title(record.prompt)) then policy.title(record.prompt) end as title,",
        ),
        ("preference", "task_id", "decision.task_id,"),
        ("preference", "chosen_run_id", "decision.chosen_run_id,"),
        ("preference", "rejected_run_id", "decision.rejected_run_id,"),
        ("preference", "chosen_category", "decision.chosen_category,"),
        ("preference", "reason", "decision.reason,"),
    ],
)
def test_reread_compares_every_text(tmp_path: Path, sql: Sql, no_schema: None, dataset: str, column: str, old: str) -> None:
    """An overlay that puts rejected text into any column of a row that ships is refused."""
    moved = replaced(sql, {f"6_datasets/{dataset}": (old, f"{REJECTED_TEXT} as {column},")})
    with pytest.raises(FirewallError, match="does not carry the "):
        export_planted(tmp_path, moved, f"export-{dataset}")


@pytest.mark.parametrize(
    ("dataset", "old"), [("rag", "record.created_at,"), ("preference", "greatest(chosen.created_at, rejected.created_at)")]
)
def test_reread_compares_times(tmp_path: Path, sql: Sql, dataset: str, old: str) -> None:
    """A time that is not that of the record is refused: its digits could carry a text."""
    forged = replaced(
        sql, {f"6_datasets/{dataset}": (old, old.replace("created_at", "created_at + interval 1 second as created_at"))}
    )
    if dataset == "preference":
        forged = replaced(sql, {"6_datasets/preference": (old, f"{old} + interval 1 second")})
    with pytest.raises(FirewallError, match="does not carry the created_at"):
        export_planted(tmp_path, forged, f"export-{dataset}")


def test_reread_knows_every_column_of_a_dataset() -> None:
    """What each column carries is said for all columns of a contract, so none can hold what nobody compares."""
    for dataset in DATASETS:
        sides = PAIR if dataset.grain == "pair" else {"record": dataset.carries}
        assert {*columns_of(contract_of(dataset))} == IDENTITY.union(*sides.values())


def test_reread_refuses_a_column_that_it_does_not_know(tmp_path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset whose entry does not say what a column carries does not ship."""
    unsaid = {name: what for name, what in DATASETS[1].carries.items() if name != "model"}
    dataset = replace(DATASETS[1], carries=unsaid)
    stage = replace(STAGES[3], body=lambda run: export.export(run, dataset))
    monkeypatch.setattr("etl.pipeline.stages.STAGES", (*STAGES[:3], stage, *STAGES[4:]))
    monkeypatch.setitem(globals(), "STAGES", (*STAGES[:3], stage, *STAGES[4:]))
    with pytest.raises(FirewallError, match=r"nothing says what its column model carries"):
        export_planted(tmp_path, sql, "export-sft")


def test_reread_refuses_a_partial_row_that_is_labelled_accepted(tmp_path: Path, sql: Sql) -> None:
    """A view that calls a partially accepted record accepted passes the schema, but its category is computed anew."""
    lying = replaced(open_sql(sql), {"6_datasets/sft": ("decision.category as quality_score", "'accepted' as quality_score")})
    lines = [line for line in EVIDENCE if line["task_id"] == "middling"]
    with pytest.raises(FirewallError, match="does not carry the category of the record"):
        export_planted(tmp_path, lying, "export-sft", lines)


def test_reread_compares_answers_as_texts_are_compared(tmp_path: Path, sql: Sql) -> None:
    """A pair whose sides differ in white space alone passes the schema, but not the re-read."""
    open_pairs = {"5_pairs/candidate": ("chosen.answer_hash = rejected.answer_hash as", "false as")}
    lines = [
        evidence_line("twin", verdict="accept", run_id="a", response="One answer."),
        evidence_line("twin", verdict="partial", run_id="b", response="One\tanswer. "),
    ]
    with pytest.raises(FirewallError, match="compares an answer with itself"):
        export_planted(tmp_path, replaced(sql, open_pairs), "export-preference", lines)


#: A word that the product takes for a rejection, and an overlay for an acceptance.
LENIENT = {"1_policy/verdict": ("('fail', 'rejected')", "('fail', 'accepted')")}


def test_an_overlay_decides_what_a_word_means(tmp_path: Path, sql: Sql) -> None:
    """Where an overlay replaces a rule of scoring, the re-read takes the category that it gives."""
    lines = [evidence_line("one", verdict="fail"), evidence_line("one", run_id="other", verdict="fail")]
    export_planted(tmp_path, replaced(sql, LENIENT), "export-sft", lines)
    assert shipped_tasks(tmp_path, "export-sft") == ["one"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([evidence_line("one", human_override="rejected")], "is rejected, which may never enter"),
        (
            [
                evidence_line("one", verdict="accept"),
                evidence_line("one", human_override="rejected", response="Another answer."),
            ],
            "is rejected, which may never enter",
        ),
        (
            [evidence_line("one", verdict="accept"), evidence_line("one", run_id="other", human_override="rejected")],
            "its content is rejected in another record",
        ),
    ],
)
@pytest.mark.parametrize("name", ["export-rag", "export-sft"])
def test_no_overlay_outweighs_a_person(tmp_path: Path, sql: Sql, name: str, lines: list[Line], problem: str) -> None:
    """An overlay by which everything is accepted does not bring back what a person rejected, nor its attempt or content."""
    all_accepted = sql.files["sql/4_scored/run.sql"].replace(
        "    case\n        when decided.category is not null then decided.category\n",
        "    case\n        when true then 'accepted'\n        when decided.category is not null then decided.category\n",
    )
    assert all_accepted != sql.files["sql/4_scored/run.sql"]
    with pytest.raises(FirewallError, match=problem):
        export_planted(tmp_path, Sql(sql.files | {"sql/4_scored/run.sql": all_accepted}), name, lines)


def test_a_run_says_which_files_of_the_overlay_decide(tmp_path: Path, sql: Sql) -> None:
    """The summary names them; a receipt warns of those that decide in its stage; a file that counts only is not among them."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    lenient = replaced(
        sql, LENIENT | {"6_datasets/rag": ("decision.id,", "decision.id as id,"), "8_drift/flag": ("\n", "\n\n")}
    )
    for path in ("1_policy/verdict", "6_datasets/rag", "8_drift/flag"):
        file = tmp_path / "sql" / f"{path}.sql"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lenient.files[f"sql/{path}.sql"], encoding="utf-8")
    result = command("run-all", "--root", tmp_path, "--json")
    assert result.exit_code == 0
    assert result.json["overlay"] == ["sql/1_policy/verdict.sql", "sql/6_datasets/rag.sql"]
    folder = tmp_path / "reports" / "distillation" / result.json["run_id"]
    warnings = {
        stage.name: json.loads((folder / f"{stage.name}.json").read_text(encoding="utf-8"))["validation"]["warnings"]
        for stage in STAGES
    }
    by_words = "The overlay decides here, by sql/1_policy/verdict.sql."
    assert warnings["collect"] == []
    assert warnings["score"] == warnings["export-sft"] == [by_words]
    assert warnings["export-rag"] == ["The overlay decides here, by sql/1_policy/verdict.sql, sql/6_datasets/rag.sql."]
    assert by_words in (folder / "summary.md").read_text(encoding="utf-8")


def test_reread_does_not_trust_a_row_label(tmp_path: Path, sql: Sql, no_schema: None) -> None:
    """A view that labels a rejected row accepted passes the schema, but the re-read looks its id up."""
    lying = sql.files["sql/6_datasets/sft.sql"].replace("decision.category as quality_score", "'accepted' as quality_score")
    files = open_sql(sql).files | {"sql/6_datasets/sft.sql": lying}
    with pytest.raises(FirewallError, match="may never enter sft"):
        export_planted(tmp_path, Sql(files), "export-sft")


def test_reread_refuses_a_row_that_is_no_record(tmp_path: Path, sql: Sql, no_schema: None) -> None:
    """An id that belongs to no scored record is refused, whatever its row says."""
    forged = sql.files["sql/6_datasets/decision.sql"].replace("sha256(concat(dataset", "sha256(concat(dataset, 'x'")
    with pytest.raises(FirewallError, match="is not a record"):
        export_planted(tmp_path, Sql(sql.files | {"sql/6_datasets/decision.sql": forged}), "export-rag")


def spoil_jsonl(file: Path) -> None:
    """Change one letter of the last row."""
    content = file.with_suffix(".jsonl").read_bytes()
    file.with_suffix(".jsonl").write_bytes(content.replace(b"answer", b"answes", 1))


def spoil_parquet(file: Path) -> None:
    """Remove the last row."""
    table = pq.read_table(file.with_suffix(".parquet"))
    pq.write_table(table.slice(0, table.num_rows - 1), file.with_suffix(".parquet"))


def spoil_both(file: Path) -> None:
    """Change the same letters in both files."""
    content = file.with_suffix(".jsonl").read_bytes()
    file.with_suffix(".jsonl").write_bytes(content.replace(b"answer", b"answes"))
    table = pq.read_table(file.with_suffix(".parquet"))
    spoiled = pc.replace_substring(table["content"], "answer", "answes")
    at = table.column_names.index("content")
    pq.write_table(table.set_column(at, table.schema.field(at), spoiled), file.with_suffix(".parquet"))


def break_jsonl(file: Path) -> None:
    """Cut the file in its last row."""
    content = file.with_suffix(".jsonl").read_bytes()
    file.with_suffix(".jsonl").write_bytes(content[:-9])


def damage_parquet(file: Path) -> None:
    """Overwrite the first pages."""
    with file.with_suffix(".parquet").open("r+b") as stream:
        stream.seek(4)
        stream.write(bytes(200))


def retype_parquet(file: Path) -> None:
    """Rename a column."""
    table = pq.read_table(file.with_suffix(".parquet"))
    pq.write_table(table.rename_columns({"content": "text"}), file.with_suffix(".parquet"))


def test_reread_refuses_a_stolen_identity(tmp_path: Path, sql: Sql, no_schema: None) -> None:
    """A rejected row with the id and place of an accepted one is found not to be the record that it names."""
    stolen = sql.files["sql/6_datasets/decision.sql"]
    for column, value in (("evidence_id", "min(run.evidence_id) over ()"), ("item_number", "1::bigint")):
        stolen = stolen.replace(f"        run.{column},\n", f"        {value} as {column},\n")
    files = open_sql(sql).files | {"sql/6_datasets/decision.sql": stolen}
    with pytest.raises(FirewallError):
        export_planted(tmp_path, Sql(files), "export-sft")


@pytest.mark.parametrize(
    ("name", "path", "old", "new"),
    [
        ("export-sft", "sft", "record.response,", "'Borrowed.' as response,"),
        ("export-sft", "sft", "record.prompt as instruction", "'Borrowed.' as instruction"),
        ("export-preference", "preference", "chosen.prompt,", "'Borrowed.' as prompt,"),
        ("export-rag", "rag", "record.response as content", "'Borrowed.' as content"),
        ("export-preference", "preference", "chosen.response as chosen,", "rejected.response || '.' as chosen,"),
        ("export-preference", "preference", "rejected.response as rejected,", "rejected.response || '.' as rejected,"),
        ("export-preference", "pair_decision", "candidate.chosen_run_id,", "'somebody' as chosen_run_id,"),
    ],
)
def test_reread_refuses_borrowed_text(tmp_path: Path, sql: Sql, name: str, path: str, old: str, new: str) -> None:
    """A shipped row carries the text and the run of the record it names; otherwise nothing ships."""
    original = sql.files[f"sql/6_datasets/{path}.sql"]
    assert old in original
    files = sql.files | {f"sql/6_datasets/{path}.sql": original.replace(old, new)}
    with pytest.raises(FirewallError, match=r"does not carry the (prompt|response|run_id) of the record"):
        export_planted(tmp_path, Sql(files), name)


def talk(run_id: str, verdict: str, answer: str, **more: Any) -> Line:
    """Return a line with a conversation that ends with this answer."""
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Cancel it."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "find", "arguments": "{}"}}]},
        {"role": "tool", "content": "found", "tool_call_id": "c"},
        {"role": "assistant", "content": answer},
    ]
    told = evidence_line("talk", verdict=verdict, run_id=run_id, prompt=None, response=None, messages=messages)
    return told | {"tools": [{"name": "find"}]} | more


TALKS = [talk("a", "accept", "Cancelled."), talk("b", "accept", "It is cancelled."), talk("c", "reject", "I will not.")]

#: The conversation of another record than the row's.
OTHERS = "(select messages from evidence.record where item_number = 3)"


@pytest.mark.parametrize(
    ("name", "old", "new", "column"),
    [
        ("sft", "record.messages,", f"{OTHERS},", "messages"),
        ("sft", "record.answer_end) as messages", "record.prompt_end) as messages", "messages"),
        ("sft", "then record.tools", "then replace(record.tools, 'find', 'lose')", "tools"),
        ("preference", "policy.answer_messages(chosen.messages", f"policy.answer_messages({OTHERS}", "messages"),
        ("preference", "policy.answer_messages(rejected.messages", "policy.answer_messages(chosen.messages", "messages"),
        (
            "preference",
            "policy.prompt_messages(chosen.messages",
            "replace(policy.prompt_messages(chosen.messages",
            "prompt_messages",
        ),
        ("preference", "then chosen.tools", "then replace(chosen.tools, 'find', 'lose')", "tools"),
    ],
)
def test_reread_compares_conversations(
    tmp_path: Path, sql: Sql, no_schema: None, name: str, old: str, new: str, column: str
) -> None:
    """A rejected answer inside of messages, or in those of the chosen side, is not that of the record, and nothing ships."""
    view = sql.files[f"sql/6_datasets/{name}.sql"]
    assert old in view
    forged = view.replace(old, new)
    if new.startswith("replace(policy"):
        forged = forged.replace("chosen.prompt_end)", "chosen.prompt_end), 'kind', 'rude')")
    with pytest.raises(FirewallError, match=rf"does not carry the {column} of"):
        export_planted(tmp_path, Sql(sql.files | {f"sql/6_datasets/{name}.sql": forged}), f"export-{name}", TALKS)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("messages", "policy.conversation(record.messages, record.prompt_end)"),
        ("messages", '\'[{"content":"x","role":"assistant"}]\''),
        ("messages", '\'[{"role":"assistant","content":null}]\''),
        ("messages", '\'[{"role":"assistant","content":"x","audio":1}]\''),
        ("messages", '\'[{"role":"assistant", "content":"x"}]\''),
        ("messages", "'[]'"),
        ("tools", "'[]'"),
        ("tools", '\'[{"name":"find"}]\''),
    ],
)
def test_the_schema_alone_refuses_what_is_no_conversation(
    tmp_path: Path, sql: Sql, no_reread: None, column: str, value: str
) -> None:
    """Messages and tools are in normal form, in their bytes too, and messages end with the assistant's."""
    old = {"messages": "policy.conversation(record.messages, record.answer_end)", "tools": "record.tools"}[column]
    forged = replaced(sql, {"6_datasets/sft": (old, value)})
    with pytest.raises(ContractError, match=rf"the schema Sft refuses {column} in row"):
        export_planted(tmp_path, forged, "export-sft", TALKS)


def test_conversations_ship_as_they_are(tmp_path: Path, sql: Sql) -> None:
    """With nothing forged they ship, and a pair has the messages of both answers after one prompt."""
    for name in ("export-sft", "export-preference"):
        export_planted(tmp_path, sql, name, TALKS)
    pair = json.loads(
        (tmp_path / "exports/preference/chosen_rejected/part-00001.jsonl").read_text(encoding="utf-8").splitlines()[0]
    )
    assert [message["role"] for message in json.loads(pair["prompt_messages"])] == ["system", "user"]
    assert json.loads(pair["rejected_messages"])[-1]["content"] == "I will not."


@pytest.mark.parametrize("name", EXPORTS[:2])
def test_what_one_contest_rejects_ships_from_another(tmp_path: Path, sql: Sql, name: str) -> None:
    """A loss in one comparison is no verdict on the text; the re-read, too, lets its win in another ship."""
    lines = [
        evidence_line("one", verdict="reject", comparison="a", response="Same."),
        evidence_line("one", verdict="accept", comparison="b", response="Same."),
    ]
    export_planted(tmp_path, sql, name, lines)
    assert shipped_tasks(tmp_path, name) == ["one"]
    within = [line | {"comparison": "a"} for line in lines]
    export_planted(tmp_path / "within", sql, name, within)
    assert shipped_tasks(tmp_path / "within", name) == []
    blind = Sql(sql.files | {"sql/4_scored/rejection.sql": NO_REJECTION})
    with pytest.raises(FirewallError, match="its attempt is rejected in another record"):
        export_planted(tmp_path / "blind", blind, name, within)


@pytest.mark.parametrize("name", EXPORTS[:2])
def test_reread_knows_that_a_text_can_have_the_content_of_a_conversation(tmp_path: Path, sql: Sql, name: str) -> None:
    """What is rejected as a conversation does not ship as its last turn, whatever the views say."""
    lines = [
        talk("a", "reject", "Cancelled."),
        evidence_line("talk", verdict="accept", run_id="b", prompt="Cancel it.", response="Cancelled."),
    ]
    export_planted(tmp_path, sql, name, lines)
    assert shipped_tasks(tmp_path, name) == []
    blind = Sql(sql.files | {"sql/4_scored/rejection.sql": NO_REJECTION})
    with pytest.raises(FirewallError, match="its content is rejected in another record"):
        export_planted(tmp_path / "blind", blind, name, lines)


@pytest.mark.parametrize(
    "grade", [{"human_override": "rejected", "run_id": None}, {"verdict": "reject", "run_id": "a", "task_id": None}]
)
def test_reread_hears_grades(tmp_path: Path, sql: Sql, grade: Line) -> None:
    """What a grade rejects does not ship, although the record says nothing of it, and the view of the category is wrong."""
    lines = [evidence_line("one", verdict=None, score=None, run_id="a") | {"success_markers": ["done"]}]
    lines.append(evidence_line("one", verdict=None) | {"source_class": "grade"} | grade)
    export_planted(tmp_path, sql, "export-sft", lines)
    assert shipped_tasks(tmp_path, "export-sft") == []
    deaf = replaced(
        sql,
        {
            "6_datasets/decision": (
                "cross join scored.run as run",
                "cross join (select * replace ('accepted' as category) from scored.run) as run",
            )
        },
    )
    with pytest.raises(FirewallError, match="is rejected, which may never enter sft"):
        export_planted(tmp_path / "deaf", deaf, "export-sft", lines)


NOBODY = r"is not a record of scored\.run"
NO_TWO = r"is not made from two records of one task in scored\.run"


def rows_twice(relation: str) -> tuple[str, str]:
    """Return what a view reads, and what it reads when it gives each row twice."""
    return f"from {relation} as", f"from (from {relation} union all from {relation}) as"


@pytest.mark.parametrize(
    ("name", "breaks", "problem"),
    [
        ("sft", {"6_datasets/sft": rows_twice("datasets.decision")}, "is there twice"),
        ("rag", {"6_datasets/rag": ("item_sha256 := record.item_sha256", "item_sha256 := 'x'")}, NOBODY),
        (
            "sft",
            {
                "4_scored/run": ("then decided.category", "then nullif(decided.category, 'rejected')"),
                "6_datasets/decision": ("when not coalesce(admission.is_admitted, false)", "when false"),
            },
            NOBODY,
        ),
        ("preference", {"6_datasets/preference": rows_twice("datasets.pair_decision")}, "is there twice"),
        ("preference", {"5_pairs/candidate": ("chosen.run_id = rejected.run_id as", "false as")}, "compares a run with itself"),
        (
            "preference",
            {"5_pairs/candidate": ("chosen.answer_hash = rejected.answer_hash as", "false as")},
            "compares an answer with itself",
        ),
        (
            "preference",
            {
                "5_pairs/ranked": ("then 'chosen' else 'rejected'", "then 'rejected' else 'chosen'"),
                "1_policy/pairing": ("('accepted', 'rejected', ", "('rejected', 'accepted', "),
            },
            "sets rejected over accepted, which is not a preference",
        ),
        (
            "preference",
            {
                "6_datasets/preference": (
                    "decision.rejected_key = rejected.record_key",
                    "decision.chosen_key = rejected.record_key",
                )
            },
            NO_TWO,
        ),
        ("preference", {"6_datasets/preference": ("item_sha256 := chosen.item_sha256", "item_sha256 := 'x'")}, NO_TWO),
        ("preference", {"6_datasets/pair_decision": ("dataset.dataset, chr(31)", "'x', chr(31)")}, NO_TWO),
        (
            "preference",
            {
                "5_pairs/candidate": (
                    """            chosen.task_id = rejected.task_id
            and chosen.prompt_sha256 is not distinct from rejected.prompt_sha256
""",
                    "            true\n",
                )
            },
            NO_TWO,
        ),
    ],
)
def test_reread_alone_names_what_is_wrong(
    tmp_path: Path, sql: Sql, no_schema: None, name: str, breaks: dict[str, tuple[str, str]], problem: str
) -> None:
    """Each fault that a broken view plants is found in the written bytes, and the error says which row has it."""
    with pytest.raises(FirewallError, match=rf"^exports/{name}/\w+/part-00001\.jsonl: row [0-9a-f]{{64}} {problem}; "):
        export_planted(tmp_path, replaced(sql, breaks), f"export-{name}")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (spoil_jsonl, r"jsonl, row \d: it differs from the relation"),
        (spoil_both, r"parquet, row \d: it differs from the relation"),
        (break_jsonl, r"jsonl: it cannot be read back \(JSON parse error"),
        (spoil_parquet, r"parquet, row \d: it differs from the relation"),
        (damage_parquet, r"parquet: it cannot be read back \("),
        (retype_parquet, r"parquet: its columns or types are not the dataset's"),
    ],
)
def test_reread_reads_the_bytes(
    tmp_path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], word: str
) -> None:
    """What changes in either file between writing and re-reading is found, and the error names the file and the row."""
    write = export._write

    def write_then_spoil(run: Run, part: Any, versions: dict[str, str]) -> Written:
        written = write(run, part, versions)
        if part.half.ships:
            spoil(run.exports / part.stem)
        return written

    monkeypatch.setattr(export, "_write", write_then_spoil)
    with pytest.raises(AuditError, match=rf"^exports/rag/playbooks/part-00001\.{word}"):
        export_planted(tmp_path, sql, "export-rag")


def test_no_flag_opens_the_firewall(tmp_path: Path) -> None:
    """An overlay that admits everything ends with exit code 1, and nothing is published."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    overlay = tmp_path / "sql" / "1_policy"
    overlay.mkdir(parents=True)
    (overlay / "admission.sql").write_text(OPEN_ADMISSION, encoding="utf-8")
    result = command("run-all", "--root", tmp_path, "--include-partial", "--include-review")
    assert result.exit_code == 1
    assert "refuses source_category" in result.stderr
    assert not (tmp_path / "exports" / "rag").exists()
    assert not (tmp_path / "warehouse" / "etl.duckdb").exists()


def test_categories_that_are_never_admitted_stand_in_each_layer(warehouse: Warehouse) -> None:
    """The views, the schemas and the re-read name the same categories as never."""
    never: dict[str, set[str]] = {"rag": set(), "sft": set()}
    for dataset, category in warehouse.execute("select dataset, category from policy.admission where admission = 'never'"):
        never[dataset].add(category)
    assert never == {dataset.name: set(dataset.never) for dataset in DATASETS if dataset.grain == "record"}
    every = {"accepted", "partially_accepted", "rejected", "needs_human_review"}
    for dataset, column in ((DATASETS[0], "source_category"), (DATASETS[1], "quality_score")):
        allowed = contract_of(dataset).to_schema().columns[column].checks[0].statistics["allowed_values"]
        assert every - set(allowed) == never[dataset.name]


def test_rejected_text_does_not_ship_under_another_line(tmp_path: Path) -> None:
    """A text rejected on another line, an attempt that a person rejected later, and pairs that are opposed do not ship."""
    told = [
        ("a", "t", "SAMETEXT", {"verdict": "accept"}),
        ("b", "t", "SAMETEXT", {"verdict": "reject"}),
        ("c", "u", "LATER", {"verdict": "accept"}),
        ("c", "u", "LATER", {"human_override": "rejected"}),
        ("1", "v", "A", {"verdict": "accept"}),
        ("2", "v", "B", {"verdict": "reject"}),
        ("3", "v", "B", {"verdict": "accept"}),
        ("4", "v", "A", {"verdict": "reject"}),
    ]
    lines = [evidence_line(task, run_id=run, prompt="q", response=text, **grade) for run, task, text, grade in told]
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})
    assert command("run-all", "--root", tmp_path).exit_code == 0
    for dataset in DATASETS:
        assert jsonl(tmp_path / "exports" / f"{part_of(dataset.stem, 1)}.jsonl") == []


#: Tasks of which the first two share a prompt, and the last is by itself.
GROUPED = [
    evidence_line(task, run_id=f"{task}-{run}", prompt=prompt, response=f"{task} {run}", verdict=verdict)
    for task, prompt in (("one", "Fix it."), ("two", "Fix  it."), ("three", "Test it."))
    for run, verdict in (("a", "accept"), ("b", "reject"))
]

#: Splits by the task, and not by its group.
BY_TASK = ("sha256(member.group_hash)", "sha256(member.task_id)")


def export_split(folder: Path, sql: Sql, name: str, reserved: str | None = None, **settings: float) -> list[str]:
    """Run collect, score and one export over GROUPED, with a task held out; return the tasks that ship."""
    evidence = write_evidence(folder / "evidence", {"evidence.jsonl": GROUPED})
    chosen = Settings(holdout_sha256="0" * 64 if reserved else None, **settings)
    with closing(Warehouse.create(sql, chosen)) as warehouse:
        if reserved:
            warehouse.execute("insert into policy.holdout values (1, $task, null)", {"task": reserved})
        run = Run(Project.at(folder, evidence), chosen, sql, warehouse, folder / "exports")
        run_stages(run, tuple(stage for stage in STAGES if not stage.exports or stage.name == name))
    return sorted({row["task_id"] for row in jsonl(next((folder / "exports" / name.removeprefix("export-")).rglob("*.jsonl")))})


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_held_out_does_not_ship(tmp_path: Path, sql: Sql, name: str) -> None:
    """Nor does what shares its prompt. Where a view forgets that, the re-read alone refuses it."""
    assert export_split(tmp_path / "all", sql, name) == ["one", "three", "two"]
    assert export_split(tmp_path / "held out", sql, name, "one") == ["three"]
    forgetful = replaced(sql, {"4_scored/eligibility": ("where task_group.holdout_line is not null", "where false")})
    with pytest.raises(FirewallError, match=rf"^exports/{name.removeprefix('export-')}/.* is of a task that is held out; "):
        export_split(tmp_path / "forgetful", forgetful, name, "one")
    unaware = replaced(sql, {"4_scored/task_group": ("held_out.line as holdout_line", "null::bigint as holdout_line")})
    with pytest.raises(FirewallError, match="is of a task that is held out"):
        export_split(tmp_path / "unaware", unaware, name, "two")


@pytest.mark.parametrize("name", EXPORTS)
def test_no_group_is_divided(tmp_path: Path, sql: Sql, name: str) -> None:
    """A split that looks at tasks alone, and puts two that share a prompt on two sides, is refused by the re-read."""
    share = 0.35
    sides = {task: int(sha256(task.encode()).hexdigest()[:13], 16) / (1 << 52) < share for task in ("one", "two")}
    assert sides["one"] != sides["two"]
    assert export_split(tmp_path / "whole", sql, name, test_share=share) == ["one", "three", "two"]
    divided = replaced(sql, {"4_scored/task_group": BY_TASK})
    with pytest.raises(FirewallError, match="is of a group of tasks that is in test and train"):
        export_split(tmp_path / "divided", divided, name, test_share=share)
