-- One row per dataset and defect that keeps a record out of it. A dataset of pairs takes only records without the defects
-- listed for it here.
--   position: the order of the details where several defects lead to one reason
--   dataset: the dataset
--   side: chosen where a dataset of pairs minds the defect in chosen records only; null: in every record
--   defect: the defect, see scored.eligibility
--   reason: the reason that the dataset gives for it, see policy.reason
select
    rule.position,
    dataset.dataset,
    case when dataset.grain = 'pair' then rule.side end as side,
    rule.defect,
    rule.reason,
from (
    values
    (1, null, null, 'missing_provenance', 'missing_provenance'),
    (2, null, null, 'missing_run_id', 'missing_source_run_id'),
    (3, 'sft', null, 'empty_answer', 'empty_content'),
    (3, 'preference', null, 'empty_answer', 'empty_content'),
    (4, 'rag', null, 'empty_response', 'empty_content'),
    (5, 'sft', null, 'empty_prompt', 'empty_prompt'),
    (6, null, null, 'missing_column', 'schema_violation'),
    (7, 'sft', null, 'unparsed_call', 'schema_violation'),
    (7, 'preference', 'chosen', 'unparsed_call', 'schema_violation'),
    (8, null, 'chosen', 'rejected_attempt', 'contradicted'),
    (9, null, 'chosen', 'rejected_content', 'contradicted'),
    (10, null, null, 'absent_path', 'hallucinated_file_path'),
    (11, null, null, 'repeated_evidence', 'duplicate_id'),
    (12, null, null, 'repeated_response', 'repeated_response'),
    (13, null, null, 'reserved_task', 'reserved_holdout')
) as rule (position, dataset, side, defect, reason)
inner join policy.dataset as dataset on rule.dataset is null or rule.dataset = dataset.dataset
