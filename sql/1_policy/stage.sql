-- One row per stage, in the order in which they run.
--   position: its place in that order, from 1
--   stage: collect, score, or export- and the name of a dataset
--   dataset: the dataset that it exports; null for collect and score
select
    stage.position,
    stage.stage,
    stage.dataset,
from (values (1, 'collect', null), (2, 'score', null)) as stage (position, stage, dataset)
union all
select
    2 + dataset.position as position,
    'export-' || dataset.dataset as stage,
    dataset.dataset,
from policy.dataset as dataset
