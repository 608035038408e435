"""Writes the reference pages from what the product itself says: comments in the warehouse, fields of settings and documents."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from inspect import cleandoc, getsource
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from etl.base.configuration import NAMES
from etl.base.settings import Settings
from etl.context import source_of
from etl.ingest.directives import directives_of
from etl.inspect.diff import Diff
from etl.inspect.health import SettingInForce
from etl.pipeline.plan import Plan, StageCount
from etl.pipeline.replay import Replay
from etl.pipeline.selftest import Acceptance
from etl.receipts.attestation.signing import Envelope, KeyPair
from etl.receipts.models import Check, Document, DriftReport, Head, Pin, ReleaseReceipt, RunSummary, StageReceipt
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

HERE = Path(__file__).parent

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: The JSON documents that the product writes, by name.
DOCUMENTS: dict[str, type[Document]] = {
    "acceptance": Acceptance,
    "check": Check,
    "diff": Diff,
    "drift-report": DriftReport,
    "envelope": Envelope,
    "head": Head,
    "key-pair": KeyPair,
    "pin": Pin,
    "plan": Plan,
    "release-receipt": ReleaseReceipt,
    "replay": Replay,
    "run-summary": RunSummary,
    "setting-in-force": SettingInForce,
    "stage-count": StageCount,
    "stage-receipt": StageReceipt,
}

_SCHEMAS = {
    "policy": "What is decided: settings, words, admissions. Change a rule here.",
    "raw": "What a mapping reads and makes while a run collects; empty in a published warehouse.",
    "sources": (
        "One mapping per source: what its fields are, and where they stand in an item. A mapping runs while its source is\n"
        "collected; it is no view of the warehouse."
    ),
    "evidence": "What was observed: records, skipped lines, files.",
    "scored": "The category of each record, and the defects that keep it out of datasets.",
    "pairs": "Which record is preferred over which.",
    "datasets": "Every candidate row of each dataset, and why it does not ship.",
    "receipts": "What was recorded of each run, and the same counts as the warehouse has them now.",
    "drift": "Each run compared with an earlier one; [How drift decides](drift.md) explains the rules.",
}


def file_of(name: str) -> str:
    """Return the name of the file with a document's schema."""
    return f"{name}.schema.json"


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document as it is written."""
    schema = DOCUMENTS[name].model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": DIALECT, "$id": file_of(name), "title": DOCUMENTS[name].__name__} | schema


def schema_text(name: str) -> str:
    """Return the text of the file with a document's schema."""
    return json.dumps(schema_of(name), ensure_ascii=False, indent=2) + "\n"


def data_dictionary() -> str:
    """Return the page that lists every relation of the warehouse with its comment, and its columns with type and meaning."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "etl.duckdb"
        sql = Sql.of(Path(folder) / "no-overlay")
        Warehouse.create(sql, Settings(), file).finish(sql)
        with PublishedWarehouse.open(file) as warehouse:
            return _dictionary_of(warehouse)


def _dictionary_of(warehouse: Warehouse) -> str:
    relations = warehouse.execute(
        "select schema_name, view_name, 'view', comment from duckdb_views() where not internal "
        "union all select schema_name, table_name, 'table', comment from duckdb_tables() order by all"
    )
    page = [
        "# Data dictionary",
        "",
        "Every relation of `warehouse/etl.duckdb`. This page is made from the comments in the warehouse (`make docs`), which",
        "are the headers of the files under `sql/`; a test holds them equal. [Examples](examples.md) show what each view gives",
        "for a few rows. In the warehouse itself:",
        "",
        "```sql",
        "select schema_name, view_name, comment from duckdb_views() where not internal;",
        "select column_name, comment from duckdb_columns() where schema_name = 'scored' and table_name = 'run';",
        "```",
        "",
    ]
    for schema, meaning in _SCHEMAS.items():
        page += [f"## {schema}", "", meaning, ""]
        for mapping in Sql.packaged().mappings if schema == "sources" else ():
            page += [f"### {mapping.qualified}", "", f"*mapping* · {_escaped(directives_of(mapping).comment)}", ""]
            page += ["| field | type | required | at |", "|---|---|---|---|"]
            for field in directives_of(mapping).fields:
                required = "yes" if field.is_required else ""
                page.append(f"| {field.name} | {field.type} | {required} | /{'/'.join(field.tokens)} |")
            page.append("")
        for owner, name, kind, comment in relations:
            if owner == schema:
                page += [f"### {schema}.{name}", "", f"*{kind}* · {_escaped(comment)}", ""]
                page += _columns_of(warehouse, schema, name)
                page.append("")
    return "\n".join(page)


def _columns_of(warehouse: Warehouse, schema: str, name: str) -> list[str]:
    """Return the lines of a relation's table: each column with its type and meaning."""
    columns = warehouse.execute(
        "select column_name, data_type, comment from duckdb_columns() "
        "where schema_name = ? and table_name = ? order by column_index",
        [schema, name],
    )
    rows = [f"| {column} | {kind} | {_escaped(meaning)} |" for column, kind, meaning in columns]
    return ["| column | type | meaning |", "|---|---|---|", *rows]


def _escaped(text: str) -> str:
    """Return a comment such that Markdown shows it as it stands, also in a cell of a table."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _meanings_of_fields(kind: type) -> dict[str, str]:
    """Return the text below each field of a class, by the field's name."""
    (tree,) = ast.parse(getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: cleandoc(text.value.value)
        for field, text in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


#: The flags of settings, and the meaning of what is configured beside them.
_FLAGS = {
    "include_partial": "`--include-partial`",
    "include_review": "`--include-review`",
    "follow_links": "`--follow-links`",
    "drift_threshold": "`--threshold`",
    "evidence": "`--evidence DIR`",
    "known_paths": "`--known-paths FILE`",
    "holdout": "`--holdout FILE`",
}
_PLACES = {
    "evidence": ("ROOT/evidence", "The evidence folder."),
    "known_paths": ("null", "The repository's paths, as git ls-files prints them; null: cited paths are not checked."),
    "holdout": ("null", "Tasks that no dataset may have, a task_id a line, or JSON Lines; null: no task is reserved."),
}


def settings_page() -> str:
    """Return the page that lists every setting with its default and meaning."""
    page = [
        "# Settings",
        "",
        "Set in `etl.toml`, over it with the environment variable `ETL_` and the name in capitals, over both with",
        "`--set NAME=VALUE` or the flag that is named: [how to configure a root](how-to/configure.md). Made from the code",
        "(`make docs`); a test holds them equal.",
        "",
        "| setting | default | meaning | flag |",
        "|---|---|---|---|",
    ]
    meanings = _meanings_of_fields(Settings)
    for name in NAMES:
        if name in _PLACES:
            default, meaning = _PLACES[name]
        else:
            value = Settings.model_fields[name].default
            default, meaning = "null" if value is None else str(value).lower(), meanings[name]
        page.append(f"| `{name}` | {default} | {meaning} | {_FLAGS.get(name, '')} |")
    page += [
        "",
        "The views read them as the one row of `policy.setting`; `known_paths` and `holdout` stand there as hashes. The",
        "settings of sources are rows of `policy.source_setting`. The settings hash that receipts and Parquet files carry is",
        "over the settings that can change what the stage makes: those that a view names which the stage reads",
        "(`policy.dependency`), those of sources where a mapping or a view reads them, and those that reading evidence",
        "depends on.",
        "[How drift decides](drift.md) says what its settings do.",
        "",
    ]
    return "\n".join(page)


def examples() -> list[tuple[str, list[str]]]:
    """Return the view of each example in ``tests/views``, and the lines that show the example.

    The tests are read, not run. Each is a sentence and then calls, of which the last says what the view gives; another
    statement in one raises AttributeError.
    """
    found = []
    for file in sorted((HERE.parent / "tests" / "views").glob("test_*_views.py")):
        for test in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(test, ast.FunctionDef):
                sentence, *calls = (statement.value for statement in test.body)
                shown = [_escaped(sentence.value), "", *(line for call in calls for line in _step(call))]
                what = ast.literal_eval(calls[-1].args[1])
                is_mapping = ast.unparse(calls[-1].func) == "maps"
                found.append((Sql.packaged().source(source_of(what)).qualified if is_mapping else what, shown))
    return found


def _step(call: ast.Call) -> list[str]:
    """Return the lines that show one call of an example: of ``set_settings``, or of a function of tests/support/tables.py."""
    function = ast.unparse(call.func)
    if function == "set_settings":
        return [f"With `{', '.join(map(ast.unparse, call.keywords))}`:", ""]
    where, text, *table = map(ast.literal_eval, call.args[1:])
    if table:  # of maps: the lines of a source, and what its mapping gives
        lines = ["```json", *cleandoc(text).splitlines(), "```"]
        return [f"`{where}`", "", *lines, "", "**gives**", "", *_table(table[0]), ""]
    shown = _table(text) if function in {"given", "gives"} else ["```json", *cleandoc(text).splitlines(), "```"]
    return [f"**gives** `{where}`" if function == "gives" else f"`{where}`", "", *shown, ""]


def _table(text: str) -> list[str]:
    """Return an example's table, one line for its columns and one for each row, as a table of Markdown."""
    rows = [[_escaped(cell.strip()) for cell in line.split("|")] for line in cleandoc(text).splitlines()]
    header, *lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return [header, "|---" * len(rows[0]) + "|", *lines]


def examples_page() -> str:
    """Return the page that shows the example of each view."""
    page = [
        "# Examples",
        "",
        "For each view: what is given, and what the view gives then. An empty cell is null. Columns of a given table that",
        "an example does not name have plausible values; a long line of JSON is broken. The examples are the tests in",
        "`tests/views`, from which this page is made (`make docs`). The [data dictionary](data-dictionary.md) says what each",
        "column means.",
        "",
    ]
    by_view = examples()
    for schema, meaning in _SCHEMAS.items():
        of_schema = [(view, lines) for view, lines in by_view if view.startswith(f"{schema}.")]
        if of_schema:
            page += [f"## {schema}", "", meaning, ""]
        for view, shown in groupby(sorted(of_schema, key=itemgetter(0)), key=itemgetter(0)):
            page += [f"### {view}", "", *(line for _, lines in shown for line in lines)]
    return "\n".join(page)


def card_page() -> str:
    """Return the page that shows the dataset card of the sample, without what each run has anew."""
    split = ("--set", "validation_share=0.1", "--set", "test_share=0.1")
    with TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        for command in (("run-all", "--evidence", str(HERE.parent / "evidence"), *split), ("export", "--for", "hf")):
            subprocess.run([sys.executable, "-m", "etl", *command, "--root", str(root)], check=True, capture_output=True)
        card = (root / "releases/hf/README.md").read_text(encoding="utf-8")
    for varies in (r"\b[0-9a-f]{64}\b", r"\d{8}T\d{6}Z-\d{4}", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"):
        card = re.sub(varies, "…", card)
    told = "`etl export --for hf` writes it as `README.md` of the bundle. Hashes, times and the run's name stand as … here."
    return f"# The dataset card of the sample\n\n{told}\n\n````markdown\n{card.rstrip()}\n````\n"


PAGES: dict[str, Callable[[], str]] = {
    "card-of-the-sample.md": card_page,
    "data-dictionary.md": data_dictionary,
    "examples.md": examples_page,
    "settings.md": settings_page,
    **{f"schemas/{file_of(name)}": partial(schema_text, name) for name in DOCUMENTS},
}

if __name__ == "__main__":
    for page_name, make in PAGES.items():
        (HERE / page_name).write_text(make(), encoding="utf-8")
        sys.stdout.write(f"docs/{page_name}\n")
