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
    (3, null, null, 'empty_response', 'empty_content'),
    (4, 'sft', null, 'empty_prompt', 'empty_prompt'),
    (5, null, null, 'missing_column', 'schema_violation'),
    (6, null, 'chosen', 'rejected_attempt', 'contradicted'),
    (7, null, 'chosen', 'rejected_content', 'contradicted'),
    (8, null, null, 'absent_path', 'hallucinated_file_path'),
    (9, null, null, 'repeated_evidence', 'duplicate_id'),
    (10, null, null, 'repeated_response', 'repeated_response')
) as rule (position, dataset, side, defect, reason)
inner join policy.dataset as dataset on rule.dataset is null or rule.dataset = dataset.dataset
