-- One row per dataset, in the order of export. etl/checks has the contract of each.
--   position: its place in the order of export, from 1
--   dataset: its name
--   stem: the folder of its parts under exports/; its file there, without the ending, where it is one file
--   grain: what one of its rows is made from: record, or pair (a chosen and a rejected record)
select
    dataset.position,
    dataset.dataset,
    dataset.stem,
    dataset.grain,
from (
    values
    (1, 'rag', 'rag/playbooks', 'record'),
    (2, 'sft', 'sft/instruction_response', 'record'),
    (3, 'preference', 'preference/chosen_rejected', 'pair')
) as dataset (position, dataset, stem, grain)
