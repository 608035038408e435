"""The stages in their order, and the loop over them. Who watches is handed in: no stage reports about itself.

What a stage works with is imported when it runs: a run in which nothing changed needs none of it.
"""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext

from etl.base.datasets import DATASETS, Dataset
from etl.base.memory import ROOM_FOR_TWO, process_limit
from etl.base.threads import Background
from etl.context import Observer, Proof, Run, Stage

#: The columns of scored.run that are asked for later: by views, by the firewall, and by the recorder, whom an overlay does not
#: change. To compute the others too would take a third longer.
SCORED = (
    *("record_key", "source_path", "line_number", "line_sha256", "evidence_id", "run_id", "task_id"),
    *("category", "rule"),
)


def _collect(run: Run) -> None:
    from etl.ingest.collect import collect

    collect(run)


def score(run: Run) -> None:
    """Compute every record's category and defects once; the later stages read the result under the views' own names."""
    run.progress("score", 0, 2)
    # an overlay's views may ask for any column
    run.warehouse.materialise("scored.run", ("*",) if run.sql.has_overlay else SCORED)
    run.progress("score", 1, 2)
    run.warehouse.materialise("scored.eligibility")
    run.progress("score", 2, 2)


def _with_scores(run: Run) -> Run:
    """Return the run with what score computes at hand, also where it was carried over: else each query would compute it."""
    if not run.warehouse.is_materialised("scored.run"):
        score(run)
    return run


def _compute_pairs(run: Run) -> None:
    """Compute the pairs once."""
    if not run.warehouse.is_materialised("pairs.candidate"):
        run.warehouse.materialise("pairs.ranked")
        run.warehouse.materialise("pairs.candidate")


def _exporting(dataset: Dataset) -> Stage:
    """Return the stage that exports a dataset."""

    def body(run: Run) -> Proof:
        from etl.export.export import export

        run = _with_scores(run)
        if dataset.grain == "pair":
            _compute_pairs(run)
        return export(run, dataset)

    return Stage(
        dataset.stage, body, (dataset.reads,), uses=dataset.relations, counts=dataset.counts[0], dataset=dataset
    )


STAGES = (
    Stage(
        "collect",
        _collect,
        writes=("evidence.record",),
        uses=("evidence.file", "evidence.skipped_summary"),
        counts="receipts.evidence_count",
    ),
    Stage("score", score, ("evidence.record",), writes=("scored.run",), counts="receipts.score_count"),
    *map(_exporting, DATASETS),
)


def run_stages(
    run: Run,
    stages: tuple[Stage, ...] = STAGES,
    observe: Observer = lambda _stage: nullcontext(),
    at_last: Callable[[], object] | None = None,
) -> None:
    """Run the stages in order; what one wrote is read back and recorded while the next one runs, where memory is not small.

    While the last one is proven, ``at_last`` runs, or after it. The first stage that fails stops them, and its error is
    raised: the next one, or what comes at last, may have begun by then, and failed too.
    """
    has_room = process_limit(run.settings.memory_limit) >= ROOM_FOR_TWO
    with Background(depth=1) as behind:
        for stage in stages:
            with ExitStack() as watched:
                watched.enter_context(observe(stage))
                proof = stage.body(run)
                behind.give(_prove, proof, watched.pop_all())
            if not has_room:
                behind.wait()
        if at_last:
            at_last()


def _prove(proof: Proof | None, watched: ExitStack) -> None:
    with watched:
        if proof:
            proof()
