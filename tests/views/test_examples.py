"""The examples are complete."""

from make_reference import examples

from etl.warehouse.sql_files import Sql


def test_every_view_has_an_example() -> None:
    """Each view of the package is shown by a test in this folder; a new view needs one."""
    views = {view.qualified for view in (*Sql.packaged().views, *Sql.packaged().mappings)}
    assert {view for view, _ in examples()} == views
