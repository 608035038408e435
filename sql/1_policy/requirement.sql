-- One row per dataset and defect that keeps a record out of it. A dataset of pairs takes only records without the defects
-- listed for it here.
--   position: the order of the details where several defects lead to one reason
--   dataset: the dataset
--   defect: the defect, see scored.eligibility
--   reason: the reason that the dataset gives for it, see policy.reason
select
    rule.position,
    dataset.dataset,
    rule.defect,
    rule.reason,
from (
    values
    (1, null, 'missing_provenance', 'missing_provenance'),
    (2, null, 'missing_run_id', 'missing_source_run_id'),
    (3, null, 'empty_response', 'empty_content'),
    (4, 'sft', 'empty_prompt', 'empty_content'),
    (5, null, 'missing_column', 'schema_violation'),
    (6, null, 'absent_path', 'hallucinated_file_path'),
    (7, null, 'repeated_evidence', 'duplicate_id')
) as rule (position, dataset, defect, reason)
inner join policy.dataset as dataset on rule.dataset is null or rule.dataset = dataset.dataset
