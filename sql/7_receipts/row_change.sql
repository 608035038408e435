-- One row per dataset and row that two published runs treat differently. Every two runs are compared, in both directions, so
-- filter by from_run_id and to_run_id. A row is known by the content of its lines.
--   from_run_id: the run before
--   to_run_id: the run now
--   dataset: the dataset
--   change: entered (it ships now), left (it no longer ships), changed (its category or reason differs), refused (its
--       line is new and does not ship), dropped (its line is gone and did not ship) or moved (only its place differs, which the
--       files name as its provenance)
--   cause: line_new, line_gone or line_moved; if both runs had the line at one place: setting, code or setting_or_code (what
--       changed), else other_lines (a duplicate, the parent of an extraction or the partner of a pair changed)
--   id: the id of the row in the dataset
--   source_path: the file of the item, in the run now, or before if this run does not have it; of a pair, that of the chosen record
--   item_number: the item in its file; of a pair, that of the chosen record
--   record_number: the number of the record among those of its item; of a pair, that of the chosen record
--   source_path_before: the file of the item in the run before; null: that run did not have it
--   item_number_before: the item in its file in the run before; null: that run did not have it
--   category_before: its category in the run before; null: that run did not have it
--   category_now: its category in the run now; null: this run does not have it
--   reason_before: why the run before did not ship it; null: it shipped it, or did not have it
--   reason_now: why the run now does not ship it; null: it ships it, or does not have it
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

-- Only states that one of the two runs saw make a difference.
state as (
    select
        stretch.from_run_id,
        stretch.to_run_id,
        history.*,
        struct_pack(
            source_path := history.source_path,
            item_number := history.item_number,
            record_number := history.record_number,
            other_source_path := history.other_source_path,
            other_item_number := history.other_item_number,
            other_record_number := history.other_record_number
        ) as place,
        stretch.from_seq between history.first_seq and coalesce(history.last_seq, stretch.from_seq) as was,
        stretch.to_seq between history.first_seq and coalesce(history.last_seq, stretch.to_seq) as is_now,
    from stretch
    inner join receipts.row_history as history
        on
            (stretch.from_seq between history.first_seq and coalesce(history.last_seq, stretch.from_seq))
            <> (stretch.to_seq between history.first_seq and coalesce(history.last_seq, stretch.to_seq))
),

row_change as (
    select
        from_run_id,
        to_run_id,
        dataset,
        evidence_id,
        other_evidence_id,
        nth,
        bool_or(was) as was,
        bool_or(is_now) as is_now,
        any_value(place) filter (where was) as place_before,
        any_value(place) filter (where is_now) as place_now,
        max(category) filter (where was) as category_before,
        max(category) filter (where is_now) as category_now,
        max(reason) filter (where was) as reason_before,
        max(reason) filter (where is_now) as reason_now,
    from state
    group by from_run_id, to_run_id, dataset, evidence_id, other_evidence_id, nth
),

-- Which lines are new or gone, by content: a pair looks up both of its records here.
line as (
    select
        from_run_id,
        to_run_id,
        evidence_id,
        bool_or(not was) as is_new,
        bool_or(not is_now) as is_gone,
    from row_change
    where other_evidence_id is null
    group by from_run_id, to_run_id, evidence_id
),

named as (
    select
        row_change.*,
        coalesce(own.is_new, false) or coalesce(other.is_new, false) as is_of_new_line,
        coalesce(own.is_gone, false) or coalesce(other.is_gone, false) as is_of_gone_line,
        case
            when is_now and reason_now is null and not (was and reason_before is null) then 'entered'
            when was and reason_before is null and not (is_now and reason_now is null) then 'left'
            when not was then 'refused'
            when not is_now then 'dropped'
            when category_before <> category_now or coalesce(reason_before, '') <> coalesce(reason_now, '') then 'changed'
            when place_before <> place_now then 'moved'
        end as change,
    from row_change
    left join line as own
        on
            row_change.from_run_id = own.from_run_id
            and row_change.to_run_id = own.to_run_id
            and row_change.evidence_id = own.evidence_id
    left join line as other
        on
            row_change.from_run_id = other.from_run_id
            and row_change.to_run_id = other.to_run_id
            and row_change.other_evidence_id = other.evidence_id
)

select
    named.from_run_id,
    named.to_run_id,
    named.dataset,
    named.change,
    case
        when named.is_of_new_line and not named.was then 'line_new'
        when named.is_of_gone_line and not named.is_now then 'line_gone'
        when named.change = 'moved' then 'line_moved'
        when altered.by_setting and altered.by_code then 'setting_or_code'
        when altered.by_setting then 'setting'
        when altered.by_code then 'code'
        else 'other_lines'
    end as cause,
    sha256(concat_ws(chr(31), named.dataset, named.evidence_id, named.other_evidence_id)) as id,
    coalesce(named.place_now, named.place_before).source_path as source_path,
    coalesce(named.place_now, named.place_before).item_number as item_number,
    coalesce(named.place_now, named.place_before).record_number as record_number,
    named.place_before.source_path as source_path_before,
    named.place_before.item_number as item_number_before,
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
