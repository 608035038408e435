-- One row per dataset and defect of a record that it does not take, with the reason that it gives. A pair takes a record only
-- without the defects that its dataset names here. position orders the defects that have one reason.
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
