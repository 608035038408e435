-- One row per stage, stat and first reason: how many rows, as the relations of this warehouse have it now. in and accepted have no
-- reason. The recorder asks each relation here on its own, so that it need not compute what a later stage will.
select
    stage,
    stat,
    reason,
    records,
from receipts.evidence_count
union all
select
    stage,
    stat,
    reason,
    records,
from receipts.score_count
union all
select
    stage,
    stat,
    reason,
    records,
from receipts.decision_count
union all
select
    stage,
    stat,
    reason,
    records,
from receipts.pair_decision_count
