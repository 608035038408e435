"""The stages in their order, and the loop over them. Who watches is handed in: no stage reports about itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

from etl.checks import DATASETS
from etl.collect import collect
from etl.export import Proof, export
from etl.memory import ROOM_FOR_TWO, process_limit
from etl.run import Run
from etl.threads import Behind


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: what it does, the relations of one grain that it reads and writes, and the files it writes (stems).

    What writes files returns what reads them back.
    """

    name: str
    body: Callable[[Run], Proof | None]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()


#: Called with the stage around its body and its proof.
Observer = Callable[[Stage], AbstractContextManager[None]]

KEY = "source_path, line_number"

#: The columns of scored.run that are asked for later: by views, by the firewall, and by the recorder, whom an overlay does not
#: change. To compute the others too would take a third longer.
SCORED = (
    *("record_key", "source_path", "line_number", "line_sha256", "evidence_id", "run_id", "task_id"),
    *("category", "rule"),
)


def score(run: Run) -> None:
    """Compute every record's category and defects once; the later stages read the result under the views' own names."""
    run.progress("score", 0, 2)
    # an overlay's views may ask for any column
    run.warehouse.materialise("scored.run", ("*",) if run.sql.has_overlay else SCORED)
    run.progress("score", 1, 2)
    run.warehouse.materialise("scored.defect")
    run.progress("score", 2, 2)


def _with_scores(run: Run) -> Run:
    """Return the run with what score computes at hand, also where it was carried over: else each query would compute it."""
    if not run.warehouse.is_materialised("scored.run"):
        score(run)
    return run


def _exporter(name: str) -> Callable[[Run], Proof]:
    return lambda run: export(_with_scores(run), name)


def export_preference(run: Run) -> Proof:
    """Compute the pairs once, then export them."""
    _with_scores(run)
    run.warehouse.materialise("pairs.best")
    run.warehouse.materialise("pairs.candidate")
    return export(run, "preference")


_STEMS = {dataset.name: (dataset.stem, dataset.quarantine_stem) for dataset in DATASETS}

STAGES = (
    Stage("collect", collect, writes=("evidence.record",)),
    Stage("score", score, reads=("evidence.record",), writes=("scored.run",)),
    Stage("export-rag", _exporter("rag"), reads=("scored.run",), exports=_STEMS["rag"]),
    Stage("export-sft", _exporter("sft"), reads=("scored.run",), exports=_STEMS["sft"]),
    Stage("export-preference", export_preference, reads=("pairs.candidate",), exports=_STEMS["preference"]),
)


def run_all(
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
    with Behind(depth=1) as behind:
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
