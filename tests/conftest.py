"""What the tests share: a root to run in, evidence to run on, and views over given rows."""

import atexit
import gc
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from etl.base.project import Project
from etl.base.settings import Settings
from etl.base.signals import SIGNALS
from etl.cli.app import app
from etl.context import Run
from etl.ingest.conversation import normalise_rows
from etl.pipeline.stages import STAGES, run_stages
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
SAMPLE = REPOSITORY / "evidence"

#: Real evidence that lies beside the project where it is developed; tests that read it are skipped if it is absent.
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

#: The rooms of tests/, those first whose files take longest.
ROOMS = ("consumers", "laws", "roots", "views", "hostile", "cases", "unit")

#: How many seeds each of the slow random tests tries (``make test-slow SEEDS=4``: fewer).
SEEDS = int(os.environ.get("ETL_SEEDS", "12"))

#: All files in the warehouse's folder when no run is under way: what is published, its file stats, and the lock.
KEPT_OF_WAREHOUSE = {"etl.duckdb", ".etl", "lock", "published.json", "evidence.json", "receipts.arrow"}

#: What a command says when it was told to stop.
INTERRUPTED = "etl: The command was interrupted; the published version is unchanged.\n"

Line = Mapping[str, Any] | str | bytes


def write_evidence(folder: Path, files: Mapping[str, Sequence[Line]]) -> Path:
    """Write evidence files: a mapping is a line of JSON; text and bytes are lines, written unchanged. Returns the folder."""
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(_encoded(line) + b"\n" for line in lines))
    return folder


def _encoded(line: Line) -> bytes:
    if isinstance(line, bytes):
        return line
    return (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)).encode()


def evidence_line(task_id: str = "task", **fields: Any) -> dict[str, Any]:
    """Return a valid line of the ``evidence`` shape; name a field to add or change it, give None to remove it."""
    line = {
        "source_class": "verdict",
        "run_id": f"run-{task_id}",
        "task_id": task_id,
        "created_at": "2026-01-31T12:00:00Z",
        "model": "model-a",
        "prompt": f"Solve {task_id}.",
        "response": f"The answer to {task_id}.",
    } | fields
    return {name: value for name, value in line.items() if value is not None}


@pytest.fixture(autouse=True, scope="session")
def own_cache_of_templates(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Keep templates of the warehouse out of the user's cache; all workers share one folder."""
    here = tmp_path_factory.getbasetemp()
    folder = (here if worker_id == "master" else here.parent) / "cache"
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder / "evidence-etl"


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_this_machine() -> None:
    """Take variables of the environment away that are settings, or would be named as being none."""
    for variable in [name for name in os.environ if name.startswith("ETL_")]:
        del os.environ[variable]


@pytest.fixture
def sql() -> Sql:
    """Give the package's SQL, without an overlay."""
    return Sql.of(Path("/nonexistent"))


@pytest.fixture
def warehouse(sql: Sql) -> Iterator[Warehouse]:
    """Give an empty warehouse in memory, with default settings; insert rows into evidence.record and query the views."""
    opened = Warehouse.create(sql, Settings())
    yield opened
    opened.close()


def set_settings(warehouse: Warehouse, **settings: Any) -> None:
    """Replace the settings of a warehouse."""
    warehouse.replace("policy.setting", pa.Table.from_pylist([Settings(**settings).row()]))


def insert_records(warehouse: Warehouse, *records: Mapping[str, Any]) -> None:
    """Insert rows into evidence.record; a column that a row does not name gets a plausible value, distinct for each row."""
    start = warehouse.one("select count(*) from evidence.record") + 1
    rows = [
        {
            "evidence_id": f"{number:064x}",
            "source": "evidence",
            "source_class": "verdict",
            "source_path": "evidence.jsonl",
            "item_number": number,
            "record_number": 1,
            "item_sha256": f"{number:064x}",
            "run_id": f"run-{number}",
            "task_id": "task",
            "prompt": "prompt",
            "response": f"response {number}",
        }
        | dict(record)
        for number, record in enumerate(records, start=start)
    ]
    for _, alike in groupby(rows, key=lambda row: row.keys()):
        insert_with_content(warehouse, pa.Table.from_pylist([*alike]))


#: Rows of evidence.stored_record with what collect computes from their texts: in steps, as a macro is written out at its name.
_WITH_CONTENT = """
with heard as (
    select
        *,
        policy.said(messages, prompt_end, answer_end) as said,
    from given
),

turned as (
    select
        * replace (
            coalesce(prompt::varchar, policy.prompt_of(said)) as prompt,
            coalesce(response::varchar, policy.response_of(said)) as response
        ),
    from heard
),

normalised as (
    select
        *,
        policy.normalised(prompt) as normal_prompt,
        policy.normalised(response) as normal_response,
        policy.normal_said(said) as normal,
    from turned
),

hashed as (
    select
        *,
        policy.turn(normal_prompt, normal_response) as turn,
        policy.conversed(said, normal) as conversed,
    from normalised
)

select
    * exclude (said, normal_prompt, normal_response, normal, turn, conversed),
    unnest(policy.content(prompt, turn, conversed, tools)),
    policy.text_bytes(prompt, response, messages, tools) as text_bytes,
from hashed
"""


def insert_with_content(warehouse: Warehouse, rows: pa.Table) -> None:
    """Insert records, with what collect computes from their texts; messages and tools are JSON text."""
    conversations = {name: rows[name] if name in rows.column_names else pa.nulls(len(rows)) for name in ("messages", "tools")}
    texts = pa.table({name: column.cast(pa.string()) for name, column in conversations.items()})
    normal = normalise_rows(texts, [False] * len(rows), 64, 1_000_000)
    if not normal.num_rows:
        normal = pa.table([pa.nulls(len(rows), field.type) for field in normal.schema], schema=normal.schema)
    assert normal["problem"].null_count == len(rows), normal["detail"].to_pylist()
    given = rows.drop_columns([name for name in conversations if name in rows.column_names])
    for name in ("messages", "prompt_end", "answer_end", "tools"):
        given = given.append_column(name, normal[name])
    if "record_key" not in given.column_names:
        first = warehouse.one("select coalesce(max(record_key), 0) from evidence.stored_record") + 1
        given = given.append_column("record_key", pa.array(range(first, first + len(rows)), pa.int64()))
    with warehouse.lent("given", given):
        warehouse.execute(f"insert into evidence.stored_record by name {_WITH_CONTENT}")


@pytest.fixture
def collected(tmp_path: Path, sql: Sql) -> Iterator[Callable[..., Warehouse]]:
    """Give a function that takes evidence files and returns a warehouse in memory, with the evidence collected and scored."""
    opened: list[Warehouse] = []

    def collect(
        files: Mapping[str, Sequence[Line]] | Path, known_paths: Sequence[str] | None = None, **settings: Any
    ) -> Warehouse:
        folder = files if isinstance(files, Path) else write_evidence(tmp_path / f"evidence-{len(opened)}", files)
        folder.mkdir(parents=True, exist_ok=True)
        if known_paths is not None:
            settings["known_paths_sha256"] = "0" * 64
        chosen = Settings(**settings)
        warehouse = Warehouse.create(sql, chosen)
        opened.append(warehouse)
        if known_paths:
            warehouse.insert("policy.known_path", pa.table({"path": list(known_paths)}))
        run = Run(Project.at(tmp_path, folder), chosen, sql, warehouse, tmp_path / "exports")
        run_stages(run, tuple(stage for stage in STAGES if not stage.exports))
        return warehouse

    yield collect
    for warehouse in opened:
        warehouse.close()


@dataclass(frozen=True)
class Result:
    """What a command did: its exit code and its output."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The command's stdout as one JSON document."""
        return json.loads(self.stdout)


def etl(*arguments: str | Path) -> Result:
    """Run the command in this process, which handles signals afterwards as before."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


def copy_of(make: Callable[[Path], object], root: Path) -> Path:
    """Copy into ``root`` what ``make`` leaves in a root of its own, which is made once per process; return ``root``."""
    return Path(shutil.copytree(_made(make), root, dirs_exist_ok=True))


def publish_sample(root: Path) -> None:
    """Publish the bundled sample."""
    assert etl("run-all", "--root", root, "--evidence", SAMPLE).exit_code == 0


@cache
def _made(make: Callable[[Path], object]) -> Path:
    folder = tempfile.mkdtemp(prefix="etl-made-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make(Path(folder))
    return Path(folder)


def jsonl(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file."""
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def insert_runs(warehouse: Warehouse, runs: Sequence[tuple[int, Sequence[int]]]) -> None:
    """Insert the receipts of published runs: how many records each collected, and how many it skipped for each reason.

    The reasons are reason-00, reason-01 and so on; a reason without records is left out, as in a receipt.
    """
    ids = [f"run-{seq:06d}" for seq in range(1, len(runs) + 1)]
    collected = [records_in for records_in, _ in runs]
    skipped = [sum(counts) for _, counts in runs]
    accepted = [records_in - lines for records_in, lines in zip(collected, skipped, strict=True)]
    reasons = [
        (run_id, f"reason-{at:02d}", records)
        for run_id, (_, counts) in zip(ids, runs, strict=True)
        for at, records in enumerate(counts)
        if records
    ]
    hashes = ("inputs_hash", "outputs_hash", "code_hash", "settings_hash")
    versions = ("etl_version", "duckdb_version", "python_version")
    run = {"run_id": ids, "seq": range(1, len(runs) + 1), "run_hash": ids, "summary_sha256": ids}
    stage = {
        "run_id": ids,
        "records_in": collected,
        "records_out": accepted,
        "accepted": accepted,
        "skipped": skipped,
        **dict.fromkeys((*hashes, *versions), ids),
    }
    reason = dict(zip(("run_id", "reason", "records"), zip(*reasons, strict=True), strict=bool(reasons)))
    time = "timestamp '2026-01-31 12:00:00'"
    constants = {
        "run": f"{time} as started_at, true as published, true as overall_passed",
        "stage": f"'collect' as stage, 1 as position, 'ok' as status, {time} as recorded_at, true as passed, "
        "0 as rejected, 0 as quarantined, 0 as blank, 0 as duration_ms",
        "reason": "'collect' as stage, 'skipped' as stat",
    }
    for table, columns in (("run", run), ("stage", stage), ("reason", reason)):
        if columns:
            with warehouse.lent("given", pa.table({name: list(values) for name, values in columns.items()})):
                warehouse.execute(f"insert into receipts.{table} by name select *, {constants[table]} from given")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the rooms whose files take longest, so that no worker is left with a long one at the end."""
    items.sort(key=lambda item: ROOMS.index(item.path.relative_to(TESTS).parts[0]))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Start no workers for a single file: they would take longer to start than most files take to run."""
    return 0 if len(config.args) == 1 and ".py" in config.args[0] else None


def pytest_unconfigure() -> None:
    """Remove hypothesis's callback on garbage collection: it would keep modules alive, and nanobind would report them."""
    gc.callbacks[:] = [callback for callback in gc.callbacks if not callback.__module__.startswith("hypothesis")]
