-- One row per stage, stat and first reason: how many records, counted now in this warehouse. The recorder reads each of the
-- four views below on its own, so that it computes nothing that belongs to a later stage.
--   stage: the stage, see policy.stage
--   stat: in, accepted, rejected, quarantined, skipped or blank
--   reason: the first reason why they were not accepted; null for in, accepted and blank
--   records: how many items (collect), records or pairs
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
