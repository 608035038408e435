-- One row per dataset and row that two published runs treat differently: filter by from_run_id and to_run_id, as all pairs of
-- runs are here. change: entered (ships now), left (no longer ships), changed (another category or reason), refused (a new line
-- that does not ship), dropped (a line that did not ship is gone). cause: line_new, line_gone; or, for a line that both runs had,
-- setting, code, setting_or_code, and other_lines (duplicates, parents and partners of a pair) where neither changed.
with stretch as (
    select
        before.run_id as from_run_id,
        before.seq as from_seq,
        after.run_id as to_run_id,
        after.seq as to_seq,
    from receipts.run as before
    cross join receipts.run as after
    where before.published and after.published and before.seq <> after.seq
),

altered as (
    select
        stretch.from_run_id,
        stretch.to_run_id,
        before.stage,
        before.code_hash <> after.code_hash as by_code,
        before.settings_hash <> after.settings_hash as by_setting,
    from stretch
    inner join receipts.stage as before on stretch.from_run_id = before.run_id
    inner join receipts.stage as after on stretch.to_run_id = after.run_id and before.stage = after.stage
),

-- A state that both runs saw, or neither, is no difference.
record_state as (
    select
        stretch.from_run_id,
        stretch.to_run_id,
        state.*,
        stretch.from_seq between state.first_seq and coalesce(state.last_seq, stretch.from_seq) as was,
        stretch.to_seq between state.first_seq and coalesce(state.last_seq, stretch.to_seq) as is_now,
    from stretch
    inner join receipts.record_state as state
        on
            (stretch.from_seq between state.first_seq and coalesce(state.last_seq, stretch.from_seq))
            <> (stretch.to_seq between state.first_seq and coalesce(state.last_seq, stretch.to_seq))
),

pair_state as (
    select
        stretch.from_run_id,
        stretch.to_run_id,
        state.*,
        stretch.from_seq between state.first_seq and coalesce(state.last_seq, stretch.from_seq) as was,
        stretch.to_seq between state.first_seq and coalesce(state.last_seq, stretch.to_seq) as is_now,
    from stretch
    inner join receipts.pair_state as state
        on
            (stretch.from_seq between state.first_seq and coalesce(state.last_seq, stretch.from_seq))
            <> (stretch.to_seq between state.first_seq and coalesce(state.last_seq, stretch.to_seq))
),

record_change as (
    select
        from_run_id,
        to_run_id,
        evidence_id,
        nth,
        bool_or(was) as was,
        bool_or(is_now) as is_now,
        max_by(source_path, first_seq) as source_path,
        max_by(line_number, first_seq) as line_number,
        max(category) filter (where was) as category_before,
        max(category) filter (where is_now) as category_now,
        max(rag_reason) filter (where was) as rag_reason_before,
        max(rag_reason) filter (where is_now) as rag_reason_now,
        max(sft_reason) filter (where was) as sft_reason_before,
        max(sft_reason) filter (where is_now) as sft_reason_now,
    from record_state
    group by from_run_id, to_run_id, evidence_id, nth
),

-- Whether a line came or went, by its content: what a pair needs to know of its sides.
line as (
    select
        from_run_id,
        to_run_id,
        evidence_id,
        bool_or(not was) as is_new,
        bool_or(not is_now) as is_gone,
    from record_change
    group by from_run_id, to_run_id, evidence_id
),

pair_change as (
    select
        state.from_run_id,
        state.to_run_id,
        state.id,
        bool_or(state.was) as was,
        bool_or(state.is_now) as is_now,
        coalesce(bool_or(chosen.is_new), false) or coalesce(bool_or(rejected.is_new), false) as is_new,
        coalesce(bool_or(chosen.is_gone), false) or coalesce(bool_or(rejected.is_gone), false) as is_gone,
        max(state.rejected_category) filter (where state.was) as category_before,
        max(state.rejected_category) filter (where state.is_now) as category_now,
        max(state.reason) filter (where state.was) as reason_before,
        max(state.reason) filter (where state.is_now) as reason_now,
    from pair_state as state
    left join line as chosen
        on
            state.from_run_id = chosen.from_run_id
            and state.to_run_id = chosen.to_run_id
            and state.chosen_evidence_id = chosen.evidence_id
    left join line as rejected
        on
            state.from_run_id = rejected.from_run_id
            and state.to_run_id = rejected.to_run_id
            and state.rejected_evidence_id = rejected.evidence_id
    group by state.from_run_id, state.to_run_id, state.id
),

row_change as (
    select
        'rag' as dataset,
        from_run_id,
        to_run_id,
        sha256(concat('rag', chr(31), evidence_id)) as id,
        source_path,
        line_number,
        was,
        is_now,
        not was as is_new,
        not is_now as is_gone,
        category_before,
        category_now,
        rag_reason_before as reason_before,
        rag_reason_now as reason_now,
    from record_change
    union all
    select
        'sft' as dataset,
        from_run_id,
        to_run_id,
        sha256(concat('sft', chr(31), evidence_id)) as id,
        source_path,
        line_number,
        was,
        is_now,
        not was as is_new,
        not is_now as is_gone,
        category_before,
        category_now,
        sft_reason_before as reason_before,
        sft_reason_now as reason_now,
    from record_change
    union all
    select
        'preference' as dataset,
        from_run_id,
        to_run_id,
        id,
        null::varchar as source_path,
        null::bigint as line_number,
        was,
        is_now,
        is_new,
        is_gone,
        category_before,
        category_now,
        reason_before,
        reason_now,
    from pair_change
),

named as (
    select
        *,
        case
            when is_now and reason_now is null and not (was and reason_before is null) then 'entered'
            when was and reason_before is null and not (is_now and reason_now is null) then 'left'
            when not was then 'refused'
            when not is_now then 'dropped'
            when category_before <> category_now or coalesce(reason_before, '') <> coalesce(reason_now, '') then 'changed'
        end as change,
    from row_change
)

select
    named.from_run_id,
    named.to_run_id,
    named.dataset,
    named.change,
    case
        when named.is_new and not named.was then 'line_new'
        when named.is_gone and not named.is_now then 'line_gone'
        when altered.by_setting and altered.by_code then 'setting_or_code'
        when altered.by_setting then 'setting'
        when altered.by_code then 'code'
        else 'other_lines'
    end as cause,
    named.id,
    named.source_path,
    named.line_number,
    named.category_before,
    named.category_now,
    named.reason_before,
    named.reason_now,
from named
inner join altered
    on
        named.from_run_id = altered.from_run_id
        and named.to_run_id = altered.to_run_id
        and altered.stage = 'export-' || named.dataset
where named.change is not null
