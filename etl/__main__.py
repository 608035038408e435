"""``python -m etl``."""

from etl.cli.app import app

app()
