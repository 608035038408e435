-- One row per dataset, in the order in which they are exported: its name, the stem of its files under exports/, and what a row of
-- it is made from: a record, or a pair of records. etl/checks has the contract of each.
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
