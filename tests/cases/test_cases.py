"""Each folder beside this module is a case: a small input, and what must come of it.

``expected.txt`` says it in a sentence, and then in checks of one run: ``exit N``, ``sql QUERY => ROWS`` (rows joined by " ; ",
columns by ", ") and ``sh COMMAND``. The evidence lies in ``evidence/``, or ``make.sh`` writes it; ``args`` has more options
of run-all, in which ``@`` is the case's folder, and ``overlay/`` is the root's sql/. A case with ``steps.sh`` runs that
instead. Scripts call what ``helpers.sh`` has. ``pytest -m slow`` runs all; ETL_MOUNTS=1 adds those that mount something, as
root.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ask import query
from conftest import REPOSITORY, etl

HERE = Path(__file__).parent
CASES = sorted(file.parent.name for file in HERE.glob("*/expected.txt"))

#: Those that run with the other quick tests: one for each kind of check and of evidence.
QUICK = {
    *("blank-lines", "crlf", "gz-members", "known-paths-quoted", "malformed-among-good", "score-shapes", "surrogates"),
    *("alias-of-one-file", "ts-offset-applied", "row-over-a-block"),
    *("content-parts", "preference-null"),
}


def _case(name: str) -> object:
    marks = [] if name in QUICK else [pytest.mark.slow]
    if (HERE / name / "needs-mount").is_file():
        marks.append(pytest.mark.skipif("ETL_MOUNTS" not in os.environ, reason="ETL_MOUNTS=1 lets it mount something"))
    return pytest.param(name, marks=marks)


class Case:
    """A case in a fresh root."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.root, self.evidence = folder, scratch / "root", scratch / "root" / "evidence"
        command = scratch / "etl"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m etl "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        own = {"ETL": command, "PY": sys.executable, "ROOT": self.root, "EV": self.evidence, "CASE": folder}
        own |= {"ASK": HERE / "ask.py", "PYTHONPATH": REPOSITORY}
        self.environment = os.environ | {name: str(value) for name, value in own.items()}
        self.root.mkdir()
        if (folder / "evidence").is_dir():
            shutil.copytree(folder / "evidence", self.evidence, symlinks=True)
        else:
            self.evidence.mkdir()
        if (folder / "overlay").is_dir():
            shutil.copytree(folder / "overlay", self.root / "sql")

    def text(self, name: str) -> str:
        """Return the text of a file of the case; nothing, where it has none."""
        file = self.folder / name
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def shell(self, script: str, *before: str) -> str:
        """Run a script with the helpers; return what it printed where it failed."""
        command = [*before, "bash", "-c", f'. "{HERE}/helpers.sh"; {script}']
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=self.environment, cwd=self.root, check=False
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()[-1000:]
        return f"{script[:200]}: exit {done.returncode}: {said}" if done.returncode else ""

    def run(self) -> int:
        """Run everything; return the exit code."""
        arguments = [part.replace("@", f"{self.folder}/") for part in self.text("args").split()]
        return etl("run-all", "--root", self.root, *arguments).exit_code

    def fault(self, check: str, exit_code: int) -> str:
        """Return what is wrong where a check of expected.txt does not hold."""
        kind, _, what = check.partition(" ")
        if kind == "exit" and exit_code != int(what):
            return f"exit {exit_code}, not {what}"
        if kind == "sql":
            sql, _, wanted = what.rpartition(" => ")
            found = " ; ".join(", ".join(row) for row in query(self.root, sql))
            return f"{sql} gave {found!r}, not {wanted!r}" if found != wanted.strip() else ""
        return self.shell(what) if kind == "sh" else ""


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that is gone afterwards: what removes old temporary folders fails at one that is too deep for it."""
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path], check=True)


@pytest.mark.parametrize("name", [_case(name) for name in CASES])
def test_case(name: str, scratch: Path) -> None:
    """What comes of the case is what is expected."""
    case = Case(HERE / name, scratch)
    if steps := case.text("steps.sh"):
        mounts = ["unshare", "-m"] if (case.folder / "needs-mount").is_file() else []
        assert case.shell(steps, *mounts) == ""
        return
    if make := case.text("make.sh"):
        assert case.shell(f"set -e; {make}") == ""
    exit_code = case.run()
    faults = [case.fault(check, exit_code) for check in case.text("expected.txt").split("\n")]
    assert not [fault for fault in faults if fault]
