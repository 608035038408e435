"""The documents that commands answer with: plans, checks, replays, differences, gates; each can be had with ``--json``."""

from typing import Any, Literal

from etl.documents import Count, Document, Sha256


class Step(Document):
    """What would become of one stage, and why; ``made_by`` is the run whose output would be reused."""

    stage: str
    action: Literal["run", "reuse"]
    reason: str
    made_by: str | None = None


class Plan(Document):
    """What a run would do now. ``published_run_id`` is null where no published run can be reused."""

    schema_version: Literal[1] = 1
    published_run_id: str | None
    steps: list[Step]

    @property
    def stale(self) -> list[Step]:
        """The stages that must run."""
        return [step for step in self.steps if step.action == "run"]


class Check(Document):
    """One thing that was looked at, how it is, and what to do if it is not well.

    ``unchecked`` is no failure: a file is gone or grew since, or was replaced by a newer run.
    """

    what: str
    status: Literal["ok", "warn", "failed", "unchecked"]
    detail: str

    def __init__(self, what: str, status: str, detail: str) -> None:
        fields: dict[str, Any] = {"what": what, "status": status, "detail": detail}
        super().__init__(**fields)


class Book(Document):
    """The book of one stage, as a dry run foresees it."""

    stage: str
    records_in: Count
    accepted: Count
    rejected: Count
    quarantined: Count
    skipped: Count
    blank: Count


class KeyPair(Document):
    """Where a new pair of keys is, and what signatures call it."""

    private: str
    public: str
    keyid: Sha256


class Comparison(Document):
    """One output of a run beside the same output of its replay; ``difference`` says where they differ first."""

    path: str
    is_equal: bool
    difference: str | None


class Replay(Document):
    """What came of running a run again. With other code or another engine, a difference proves nothing."""

    schema_version: Literal[1] = 1
    run_id: str
    same_code: bool
    same_engine: bool
    outputs: list[Comparison]

    @property
    def is_equal(self) -> bool:
        """Whether every output came out the same."""
        return all(output.is_equal for output in self.outputs)


class DiffCount(Document):
    """How many rows of a dataset changed in one way, for one cause; the words are those of ``receipts.difference``."""

    dataset: str
    change: str
    cause: str
    rows: Count


class DiffRow(Document):
    """One row that two runs treat differently; the place is null for a pair, a category or reason where there is none."""

    dataset: str
    change: str
    cause: str
    id: str
    source_path: str | None
    line_number: int | None
    category_before: str | None
    category_now: str | None
    reason_before: str | None
    reason_now: str | None


class SettingChange(Document):
    """A setting that two runs had differently."""

    name: str
    before: bool | int | float | str | None
    now: bool | int | float | str | None


class Diff(Document):
    """What two published runs treat differently."""

    schema_version: Literal[1] = 1
    from_run_id: str
    to_run_id: str
    same_code: bool
    settings: list[SettingChange]
    counts: list[DiffCount]
    sample: list[DiffRow]


class Gate(Document):
    """One promise of the product, tried on the bundled fixture, and what was seen."""

    name: str
    passed: bool
    detail: str


class Acceptance(Document):
    """What came of trying every promise on the bundled fixture."""

    schema_version: Literal[1] = 1
    fixture_sha256: Sha256
    gates: list[Gate]

    @property
    def passed(self) -> bool:
        """Whether every gate is open."""
        return all(gate.passed for gate in self.gates)
