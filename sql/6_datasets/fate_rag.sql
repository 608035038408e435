-- One row per scored record: its fate in the rag dataset. quarantine_reason says why it does not ship; null: it ships.
-- It holds no text and nothing that the record tells, so that rows are judged and counted in little memory; the dataset's view adds that.
with candidate as (
    select
        run.record_key,
        run.source_path,
        run.line_number,
        run.evidence_id,
        run.category,
        defect.absent_paths,
        defect.duplicate_of,
        coalesce(admission.admission, 'never') as admission,
        list_filter(
            [
                case when defect.missing_provenance then 'missing_provenance' end,
                case when defect.missing_source_run_id then 'missing_source_run_id' end,
                case when defect.empty_response then 'empty_content' end,
                case when defect.schema_violation or run.category is null then 'schema_violation' end,
                case when coalesce(admission.admission, 'never') = 'never' then 'unsafe_rag_category' end,
                case when defect.absent_paths is not null then 'hallucinated_file_path' end,
                case when defect.duplicate_of is not null then 'duplicate_id' end,
                case
                    when admission.admission = 'opt_in' and not setting.include_review then 'category_disallowed'
                end
            ],
            lambda reason: reason is not null
        ) as quarantine_reasons,
    from scored.run as run
    inner join scored.defect as defect on run.record_key = defect.record_key
    cross join policy.setting as setting
    left join policy.admission as admission
        on admission.dataset = 'rag' and run.category = admission.category
)

select
    sha256(concat('rag', chr(31), evidence_id)) as id,
    category,
    quarantine_reasons[1] as quarantine_reason,
    quarantine_reasons,
    case quarantine_reasons[1]
        when 'missing_provenance' then 'source_path, line_number or line_sha256'
        when 'missing_source_run_id' then 'run_id'
        when 'empty_content' then 'response'
        when 'schema_violation' then 'source, task_id or category'
        when 'hallucinated_file_path' then absent_paths
        when 'duplicate_id' then 'first at ' || duplicate_of
        when 'unsafe_rag_category' then category
        when 'category_disallowed' then category
    end as detail,
    record_key,
    source_path,
    line_number,
from candidate
