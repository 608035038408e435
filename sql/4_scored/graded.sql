-- One row per record that grades meet: what the rules from infrastructure_error to markers say of its own signals and those of the
-- grades together. Few records have grades of their own, so only these are looked at signal by signal.
-- key: record_key; scored.graded_attempt whole.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   category: the category; needs_human_review where signals of one rule lead to different ones; null: there is no signal
--   rule: the rule that decides: infrastructure_error, verdict, score, grounded_fraction or markers; null: there is no signal
--   is_by_grade: whether a grade has a signal of that rule
--   comparisons: the comparisons of the grades that have one, each once; empty: they have none
--   decided_in: the comparison in which all signals of that rule stand; null: they do not stand in one
--   score: the lowest score of all; null: there is none
--   reasons: all signals of the grades, each with its place, such as "verdict: reject at verdicts.jsonl:3"; grades_disagree
with target as (
    select
        record.record_key,
        met.grade_key,
    from scored.graded_attempt as met
    inner join evidence.stored_record as record on met.task_id = record.task_id and met.run_id = record.run_id
    where met.counts and record.source_class <> 'grade'
    union all
    select
        met.lone_key as record_key,
        met.grade_key,
    from scored.graded_attempt as met
    where met.counts and met.lone_key is not null
),

origin as (
    select
        record_key,
        grade_key as from_key,
        true as is_by_grade,
    from target
    union all
    select distinct
        record_key,
        record_key as from_key,
        false as is_by_grade,
    from target
),

signal as (
    select
        origin.record_key,
        origin.is_by_grade,
        signal.comparison,
        signal.score,
        signal.has_success,
        signal.has_failure,
        signal.is_verdict_known,
        signal.source_path,
        signal.item_number,
        signal.record_number,
        signal.reasons,
        unnest([
            struct_pack(precedence := 1, rule := 'infrastructure_error', category := signal.by_infrastructure_error),
            struct_pack(precedence := 2, rule := 'verdict', category := signal.by_verdict),
            struct_pack(precedence := 3, rule := 'score', category := signal.by_score),
            struct_pack(precedence := 4, rule := 'grounded_fraction', category := signal.by_grounded_fraction),
            struct_pack(precedence := 5, rule := 'markers', category := signal.by_markers)
        ]) as of_rule,
    from origin
    inner join scored.signal as signal on origin.from_key = signal.record_key
),

deciding as ( -- the signals of the first rule that has one; an unknown word is none beside a known one
    select
        record_key,
        is_by_grade,
        comparison,
        has_success,
        has_failure,
        of_rule.rule,
        of_rule.category,
    from signal
    where of_rule.category is not null
    qualify
        of_rule.precedence = min(of_rule.precedence) over (partition by record_key)
        and (
            of_rule.rule <> 'verdict'
            or is_verdict_known = bool_or(is_verdict_known) over (partition by record_key, of_rule.rule)
        )
),

decided as (
    select
        record_key,
        any_value(rule) as rule,
        case
            when any_value(rule) <> 'markers' and count(distinct category) > 1 then 'needs_human_review'
            when any_value(rule) <> 'markers' then any_value(category)
            when bool_or(has_success) and bool_or(has_failure) then 'partially_accepted'
            when bool_or(has_success) then 'accepted'
            else 'rejected'
        end as category,
        any_value(rule) <> 'markers' and count(distinct category) > 1 as is_disputed,
        bool_or(is_by_grade) as is_by_grade,
        coalesce(list(distinct comparison order by comparison) filter (where is_by_grade and comparison is not null), [])
            as comparisons,
        case when count(comparison) = count(*) and count(distinct comparison) = 1 then any_value(comparison) end as decided_in,
    from deciding
    group by record_key
),

said as (
    select
        record_key,
        min(score) as score,
        flatten(list(
            list_transform(reasons, lambda reason: reason || ' at ' || policy.short_place(source_path, item_number))
            order by source_path, item_number, record_number
        ) filter (where is_by_grade)) as reasons,
    from signal
    where of_rule.precedence = 1
    group by record_key
)

select
    said.record_key,
    decided.category,
    decided.rule,
    coalesce(decided.is_by_grade, false) as is_by_grade,
    coalesce(decided.comparisons, []) as comparisons,
    decided.decided_in,
    said.score,
    case when decided.is_disputed then list_append(said.reasons, 'grades_disagree') else said.reasons end as reasons,
from said
left join decided on said.record_key = decided.record_key
