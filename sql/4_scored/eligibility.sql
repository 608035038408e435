-- One row per record and defect that keeps the record out of datasets, whatever they admit. Most records have none.
-- policy.requirement says which datasets refuse which defect, and for which reason.
-- key: task_id; scored.shared_content, scored.constant_response and scored.task_group whole.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   defect: missing_provenance, missing_run_id, empty_answer (no assistant message of the answer has a visible text or a call),
--       empty_response, empty_prompt, missing_column, unparsed_call, rejected_attempt and rejected_content (see scored.rejection), absent_path (a cited path is not in the manifest of known paths),
--       repeated_evidence (an identical item comes earlier), repeated_response (see scored.constant_response) or reserved_task (see
--       scored.task_group)
--   detail: the columns at fault, the positions in cited_paths, the place of the record that is rejected or came first, the
--       number of prompts, or the line of the hold-out
with incomplete as (
    select
        record.record_key,
        unnest([
            case
                when
                    policy.is_blank(record.source_path)
                    or record.item_number is null
                    or record.record_number is null
                    or policy.is_blank(record.item_sha256)
                    then struct_pack(defect := 'missing_provenance', detail := 'source_path, item_number, record_number or item_sha256')
            end,
            case
                when policy.is_blank(record.run_id) then struct_pack(defect := 'missing_run_id', detail := 'run_id')
            end,
            case
                when record.is_answer_empty then struct_pack(defect := 'empty_answer', detail := 'response')
            end,
            case
                when record.has_unparsed_call then struct_pack(defect := 'unparsed_call', detail := 'arguments of a call')
            end,
            case
                when record.response_length = 0 then struct_pack(defect := 'empty_response', detail := 'response')
            end,
            case
                when record.prompt_length = 0 then struct_pack(defect := 'empty_prompt', detail := 'prompt')
            end,
            case
                when record.source is null or record.task_id is null
                    then struct_pack(defect := 'missing_column', detail := 'source, task_id or category')
            end
        ]) as found,
    from evidence.stored_record as record
    -- few records are incomplete, so the list is made for them alone
    where
        record.is_answer_empty
        or record.has_unparsed_call
        or policy.is_blank(record.source_path)
        or record.item_number is null
        or record.record_number is null
        or policy.is_blank(record.item_sha256)
        or policy.is_blank(record.run_id)
        or record.response_length = 0
        or record.prompt_length = 0
        or record.source is null
        or record.task_id is null
),

cited as (
    select
        record.record_key,
        unnest(record.cited_paths) as path,
        generate_subscripts(record.cited_paths, 1) as position,
    from evidence.stored_record as record
    cross join policy.setting as setting
    where setting.known_paths_sha256 is not null
),

absent as (
    select
        cited.record_key,
        string_agg('cited_paths[' || cited.position || ']', ', ' order by cited.position) as positions,
    from cited
    left join policy.known_path as known on cited.path = known.path
    where
        known.path is null
        -- paths are compared as text and never opened; one that leaves the repository is absent even if a manifest lists it
        or regexp_matches(cited.path, '^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\x00')
    group by cited.record_key
),

-- Few records are repeated. To count all and number the repeated ones is cheaper than to number all.
repeated as (
    select evidence_id
    from evidence.stored_record
    group by evidence_id
    having count(*) > 1
),

numbered as (
    select
        record.record_key,
        row_number() over same_evidence as occurrence,
        first_value(policy.short_place(record.source_path, record.item_number)) over same_evidence as first_at,
    from evidence.stored_record as record
    inner join repeated on record.evidence_id = repeated.evidence_id
    window same_evidence as (
        partition by record.evidence_id order by record.source_path, record.item_number, record.record_number
    )
)

select
    record_key,
    found.defect,
    found.detail,
from incomplete
where found is not null
union all
select
    record_key,
    'absent_path' as defect,
    positions as detail,
from absent
union all
select
    record_key,
    'repeated_evidence' as defect,
    'first at ' || first_at as detail,
from numbered
where occurrence > 1
union all
from scored.rejection
union all
select
    record.record_key,
    'repeated_response' as defect,
    -- not how many: each new prompt would change what is said of all
    'its answer answers more than ' || setting.max_prompts_per_response || ' prompts' as detail,
from evidence.stored_record as record
inner join scored.constant_response as constant on record.answer_hash = constant.answer_hash
cross join policy.setting as setting
union all
select
    record.record_key,
    'reserved_task' as defect,
    'line ' || task_group.holdout_line || ' of the hold-out' as detail,
from evidence.stored_record as record
inner join scored.task_group as task_group on record.task_id = task_group.task_id
where task_group.holdout_line is not null
