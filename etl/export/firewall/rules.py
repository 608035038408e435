"""The rules of the re-read: the product's own definitions of a category, where no overlay can change what a name means.

They stand in a database in memory of their own. Of the run's warehouse they read the tables of evidence and settings alone;
where an overlay decides categories, also the categories that it gives.
"""

from etl.context import Run
from etl.warehouse.connection import REREAD, Warehouse
from etl.warehouse.sql_files import Sql
from etl.warehouse.statements import read_sql

#: The views that decide the category of a record, each after those that it reads; all are the package's own.
BEFORE_CATEGORY = (
    *("policy.category", "policy.verdict", "scored.graded_attempt", "scored.attempt_override"),
    *("scored.signal", "scored.graded", "scored.decided"),
)
CATEGORY = "scored.run"

#: The views of the groups of tasks: what is held out, and what a split may not divide.
GROUPS = ("scored.holdout_task", "scored.task_group")

#: The view of the records, over the tables that hold them.
RECORD = "evidence.record"

#: The rows of that view, as the run computed them.
MATERIALISED = f'raw.main."{CATEGORY}"'

#: What decides how texts are compared, see ``Sql.replaced``. It has been used when evidence was collected.
COMPARING = frozenset({"sql/macros.sql", "sql/tables.sql", "sql/raw.sql", "evidence.incoming"})


def rules_of(run: Run) -> Warehouse:
    """Return a cursor on the rules, which ``make_rules`` made, with tables of its own for the rows that it judges."""
    own, _ = run.warehouse.apart(REREAD)
    for table in ("written", "wanted"):
        own.execute(read_sql(__file__, table))
    return own


def make_rules(run: Run) -> None:
    """Make the rules, for the first dataset of a run: ``main.judged`` has all categories then.

    From then on ``evidence.record`` has the records alone that a cursor wants, so that only their texts are read.
    """
    own, stored = run.warehouse.apart(REREAD)
    if own.one("select count(*) from duckdb_tables() where database_name = 're-read' and table_name = 'judged'"):
        return
    own.execute(Sql.packaged()["macros"])
    for schema in ("evidence", "scored"):
        own.execute(f"create schema {schema}")
    records, texts = "main.whole_record", f"{stored}.evidence.long_text"
    for table in ("setting", "holdout"):
        own.execute(f"create view policy.{table} as from {stored}.policy.{table}")
    own.execute(f"create view {records} as from {stored}.evidence.stored_record")
    own.execute(f"create view evidence.stored_record as from {records}")
    own.execute(f"create view evidence.long_text as from {texts}")
    _create_packaged(own, RECORD)
    if COMPARING & run.sql.replaced.keys():
        own.execute(read_sql(__file__, "compared_again"))
        records = "main.compared_record"
        own.execute(f"create or replace view evidence.stored_record as from {records}")
    for view in BEFORE_CATEGORY:
        _create_packaged(own, view)
    if {*BEFORE_CATEGORY, CATEGORY} & run.sql.replaced.keys():
        own.execute(f"create view main.given_run as from {MATERIALISED}")
        own.execute(read_sql(__file__, "decided"))
    else:
        _create_packaged(own, CATEGORY)
    for view in GROUPS:
        _create_packaged(own, view)
    own.execute(read_sql(__file__, "judged"))
    for table in ("written", "wanted"):
        own.execute(read_sql(__file__, table))
    for view, relation in (("stored_record", records), ("long_text", texts)):
        wanted = "semi join temp.wanted as wanted using (record_key)"
        own.execute(f"create or replace view evidence.{view} as from {relation} {wanted}")
    own.execute(read_sql(__file__, "named"))
    own.close()


def _create_packaged(own: Warehouse, view: str) -> None:
    own.execute(f"create view {view} as\n{Sql.packaged().view(view).body}")
