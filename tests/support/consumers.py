"""Runs a script where a consumer of the files is installed: in an environment of its own, beside that of the tests."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from conftest import SAMPLE

#: The evidence that consumers are tested with.
EVIDENCE = Path(os.environ.get("ETL_EVIDENCE", SAMPLE))

CHECKOUT = Path(__file__).parent.parent.parent


def run_in(environment: str, script: str, *arguments: object) -> Any:
    """Run a script of tests/consumers in .venv-ENVIRONMENT, and return the JSON document of its last line."""
    python = CHECKOUT / f".venv-{environment}/bin/python"
    assert python.is_file(), f"{python} is not there: make test-consumers-all makes it"
    command = [str(python), str(CHECKOUT / "tests/consumers" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""}, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
