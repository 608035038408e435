-- One row per mapped line of the source that is being collected: the columns of evidence.record, and problem (null: it becomes a record).
-- The checks that hold for every source, whatever its mapping does: a task, a known class and override, a clock that can be read.
with timed as (
    select
        line.source,
        line.line_sha256,
        mapped.* exclude (source, line_sha256),
        regexp_extract(
            upper(mapped.created_at),
            '^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:[.][0-9]{1,9})?)?'
            || ' ?(Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?$',
            ['day', 'minute', 'second', 'zone']
        ) as clock,
    from raw.line as line
    inner join raw.mapped as mapped
        on line.source_path = mapped.source_path and line.line_number = mapped.line_number
),

-- DuckDB drops an offset when it casts to timestamp, and takes the session's zone where none is given. Neither may happen:
-- the text is completed (no time is midnight, no offset is UTC), cast with its offset, and read as UTC.
clocked as (
    select
        timed.*,
        make_timestamp(epoch_us(try_cast(
            concat(
                clock.day,
                'T',
                coalesce(nullif(clock.minute, ''), '00:00'),
                coalesce(nullif(clock.second, ''), ':00'),
                coalesce(nullif(clock.zone, ''), 'Z')
            ) as timestamptz
        ))) as created_at_utc,
    from timed
)

select
    sha256(concat(
        source, chr(31), coalesce(run_id, ''), chr(31), coalesce(task_id, ''), chr(31), line_sha256
    )) as evidence_id,
    source,
    source_class,
    source_path,
    line_number,
    line_sha256,
    run_id,
    task_id,
    created_at_utc as created_at,
    model,
    file,
    prompt,
    response,
    messages,
    verdict,
    score,
    grounded_fraction,
    success_markers,
    failure_markers,
    human_override,
    cited_paths,
    latency_ms,
    cost_usd,
    prompt_tokens,
    completion_tokens,
    case
        when starts_with(problem, 'missing_') then problem
        when policy.is_blank(task_id) then 'missing_task_id'
        when problem is not null then problem
        when source_class is null then 'missing_source_class'
        when source_class not in ('verdict', 'telemetry', 'experiment', 'extraction') then 'bad_source_class'
        when
            human_override not in ('accepted', 'partially_accepted', 'rejected', 'needs_human_review')
            then 'bad_human_override'
        when
            created_at is not null
            and coalesce(
                created_at_utc not between timestamp '0001-01-01' and timestamp '9999-12-31 23:59:59.999999', true
            )
            then 'bad_created_at'
        when not isfinite(score) then 'bad_score'
        when not isfinite(grounded_fraction) then 'bad_grounded_fraction'
        when not isfinite(latency_ms) then 'bad_latency_ms'
        when not isfinite(cost_usd) then 'bad_cost_usd'
    end as problem,
from clocked
