"""The stages in their order, and the loop over them. The observer is handed in: no stage reports about itself.

A stage imports what it works with when it runs: a run in which nothing changed needs none of it.
"""

from collections.abc import Callable, Collection
from contextlib import ExitStack, nullcontext

from etl.base.datasets import DATASETS, Dataset
from etl.base.errors import UsageError
from etl.base.memory import ROOM_FOR_TWO, process_limit
from etl.base.threads import Background
from etl.context import Observer, Proof, Run, Stage


def _collect(run: Run) -> None:
    from etl.ingest.collect import collect

    collect(run)
    if not run.warehouse.one("select sum(record_count) from evidence.file"):
        raise UsageError(f"{run.project.evidence}: it holds no item that is not blank, and no file that is none; add evidence.")


def _score(run: Run) -> None:
    """Compute once each record's category and defects, the groups of tasks, and which contents are shared."""
    run.warehouse.materialise("scored.run")
    run.warehouse.materialise("scored.task_group")
    run.warehouse.materialise("scored.shared_content")
    run.warehouse.materialise("scored.shared_turn")
    run.warehouse.materialise("scored.eligibility")


def _export_stage(dataset: Dataset) -> Stage:
    """Return the stage that exports a dataset."""

    def body(run: Run) -> Proof:
        from etl.export.export import export

        _score(run)  # where that stage was reused: without its rows each query would compute them again
        if dataset.grain == "pair":
            run.warehouse.materialise("pairs.eligible")
            run.warehouse.materialise("pairs.ranked")
            run.warehouse.materialise("pairs.candidate")
        return export(run, dataset)

    return Stage(dataset.stage, body, (dataset.reads,), uses=dataset.relations, counts=dataset.counts[0], dataset=dataset)


STAGES = (
    Stage(
        "collect",
        _collect,
        writes=("evidence.record",),
        uses=("evidence.file", "evidence.skipped_summary"),
        counts="receipts.evidence_count",
    ),
    Stage(
        "score",
        _score,
        ("evidence.record",),
        writes=("scored.run",),
        uses=("scored.unknown_verdict", "scored.grade", "scored.holdout_match"),
        counts="receipts.score_count",
    ),
    *map(_export_stage, DATASETS),
)


def stages_named(names: Collection[str]) -> tuple[Stage, ...]:
    """Return the named stages in their order, all if none is named; export-all means the exports. Raises UsageError."""
    known = [*(stage.name for stage in STAGES), "export-all"]
    for name in names:
        if name not in known:
            raise UsageError(f"There is no stage {name!r}; the stages are {', '.join(known)}.")
    all_exports = "export-all" in names
    return tuple(stage for stage in STAGES if not names or stage.name in names or (all_exports and stage.exports))


def run_stages(
    run: Run,
    stages: tuple[Stage, ...] = STAGES,
    observe: Observer = lambda _stage: nullcontext(),
    at_last: Callable[[], object] | None = None,
) -> None:
    """Run the stages in order; the files of each are proven and recorded while the next stage runs, where memory allows.

    ``at_last`` runs while the last stage is proven. The first stage that fails stops all, and its error is raised, although
    the next stage may have begun by then, and failed too.
    """
    has_room = process_limit(run.settings.memory_limit) >= ROOM_FOR_TWO
    with Background(depth=1) as background:
        for stage in stages:
            with ExitStack() as watched:
                watched.enter_context(observe(stage))
                proof = stage.body(run)
                background.give(_prove, proof, watched.pop_all())
            if not has_room:
                background.wait()
        if at_last:
            at_last()


def _prove(proof: Proof | None, watched: ExitStack) -> None:
    with watched:
        if proof:
            proof()
