-- The rules of the baseline, see read.sql: which records ship where. A record is a narrow row, and its line is its place.

create table record as
select
    hashed.*,
    digest.item,
from hashed
inner join digest on hashed.line = digest.rowid
where hashed.is_read and digest.is_good;

create macro place(line) as
'evidence.jsonl:' || (line + 1);

-- # Defects, each a small table of the lines that have it.

create table contradicted as
with rejected as (
    from record
    where category = 'rejected'
),

-- A rejection that stands in a comparison counts within it.
of_attempt as (
    select
        record.line,
        min(rejected.line) as rejected_at,
    from record
    inner join rejected on record.attempt = rejected.attempt
    where
        record.category <> 'rejected'
        and not record.is_run_blank
        and (rejected.comparison is null or rejected.comparison = record.comparison)
    group by record.line
),

of_content as (
    select
        record.line,
        min(rejected.line) as rejected_at,
    from record
    inner join rejected on record.task = rejected.task
    where
        record.category <> 'rejected'
        and (rejected.comparison is null or rejected.comparison = record.comparison)
        and (
            record.content = rejected.content
            or (record.turn = rejected.turn and record.is_talk <> rejected.is_talk and not record.is_response_blank)
        )
    group by record.line
)

select
    coalesce(of_attempt.line, of_content.line) as line,
    concat_ws(
        ', ',
        'its attempt is rejected at ' || place(of_attempt.rejected_at),
        'its content is rejected at ' || place(of_content.rejected_at)
    ) as detail,
from of_attempt
full join of_content on of_attempt.line = of_content.line;

create table duplicate_item as
with repeated as (
    select
        item,
        min(line) as first,
    from record
    group by item
    having count(*) > 1
)

select
    record.line,
    repeated.first,
from record
inner join repeated on record.item = repeated.item
where record.line > repeated.first;

create table repeated_response as
with frequent as (
    select answer
    from record
    where answer_length >= 32
    group by answer
    having count(*) > 20
),

constant as (
    select
        record.answer,
        count(distinct record.prompt) as prompts,
    from record
    inner join frequent on record.answer = frequent.answer
    group by record.answer
    having count(distinct record.prompt) > 20
)

select
    record.line,
    constant.prompts,
from record
inner join constant on record.answer = constant.answer;

create table defect as
select
    record.line,
    record.is_run_blank,
    record.is_prompt_blank,
    record.is_response_blank,
    record.is_answer_empty,
    record.has_unparsed_call,
    contradicted.detail as contradicted,
    duplicate_item.first,
    repeated_response.prompts,
from record
left join contradicted on record.line = contradicted.line
left join duplicate_item on record.line = duplicate_item.line
left join repeated_response on record.line = repeated_response.line
where
    record.is_run_blank
    or record.is_prompt_blank
    or record.is_response_blank
    or record.is_answer_empty
    or record.has_unparsed_call
    or contradicted.line is not null
    or duplicate_item.line is not null
    or repeated_response.line is not null;

-- # Equal contents: few records have any. The one that ships is the best by category, then a conversation, then the first.

create table shared_content as
select content
from record
group by content
having count(*) > 1;

create table shared_turn as
select turn
from record
where
    not is_response_blank and turn in (
        select talk.turn from record as talk
        where talk.is_talk
    )
group by turn
having bool_or(not is_talk);

create table alike as
select
    record.line,
    record.content,
    case when not record.is_response_blank then shared_turn.turn end as turn,
    record.is_talk,
    record.category,
    coalesce(defect.is_run_blank or defect.contradicted is not null or defect.first is not null or defect.prompts is not null, false)
        as is_refused,
    is_refused or coalesce(defect.is_response_blank, false) or record.category < 'partially_accepted'::category as is_refused_by_rag,
    is_refused
    or coalesce(defect.is_answer_empty or defect.is_prompt_blank or defect.has_unparsed_call, false)
    or record.category < 'accepted'::category as is_refused_by_sft,
from record
left join shared_content on record.content = shared_content.content
left join shared_turn on record.turn = shared_turn.turn
left join defect on record.line = defect.line
where shared_content.content is not null or shared_turn.turn is not null;

create macro beaten_in(candidate) as table
    with best as (
        select
            content,
            turn,
            is_talk,
            line,
        from query_table(candidate)
        qualify row_number() over (partition by content order by category desc, is_talk desc, line asc) = 1
    ),

    talks as (
        select
            turn,
            min(line) as line,
        from best
        where is_talk and turn is not null
        group by turn
    )

    select
        alike.line,
        coalesce(talks.line, best.line) as first,
    from alike
    left join best on alike.content = best.content
    left join talks on alike.turn = talks.turn and not alike.is_talk
    where talks.line is not null or alike.line <> best.line;

create view rag_candidate as
from alike
where not is_refused_by_rag;

create view sft_candidate as
from alike
where not is_refused_by_sft;

create table rag_beaten as
from beaten_in('rag_candidate');

create table sft_beaten as
from beaten_in('sft_candidate');

-- # Decisions. Most records have no defect, and then the category alone decides.

create macro present(reasons) as
list_filter(reasons, lambda reason: reason is not null);

create table decision as
with found as (
    select
        record.line,
        record.category::varchar as category,
        defect.* exclude (line),
        rag_beaten.first as rag_first,
        sft_beaten.first as sft_first,
    from record
    left join defect on record.line = defect.line
    left join rag_beaten on record.line = rag_beaten.line
    left join sft_beaten on record.line = sft_beaten.line
)

select
    line,
    category,
    case
        when is_run_blank is null and rag_first is null
            then case category
                when 'rejected' then ['unsafe_rag_category'] when 'needs_human_review' then ['category_disallowed'] else []
            end
        else present([
            case when is_run_blank then 'missing_source_run_id' end,
            case when is_response_blank then 'empty_content' end,
            case when category = 'rejected' then 'unsafe_rag_category' end,
            case when contradicted is not null then 'contradicted' end,
            case when first is not null then 'duplicate_id' end,
            case when rag_first is not null then 'duplicate_content' end,
            case when prompts is not null then 'repeated_response' end,
            case when category = 'needs_human_review' then 'category_disallowed' end
        ])
    end as rag_reasons,
    case
        when is_run_blank is null and sft_first is null
            then case category
                when 'accepted' then [] when 'partially_accepted' then ['category_disallowed'] else ['unsafe_sft_category']
            end
        else present([
            case when is_run_blank then 'missing_source_run_id' end,
            case when is_answer_empty then 'empty_content' end,
            case when is_prompt_blank then 'empty_prompt' end,
            case when has_unparsed_call then 'schema_violation' end,
            case when category in ('rejected', 'needs_human_review') then 'unsafe_sft_category' end,
            case when contradicted is not null then 'contradicted' end,
            case when first is not null then 'duplicate_id' end,
            case when sft_first is not null then 'duplicate_content' end,
            case when prompts is not null then 'repeated_response' end,
            case when category = 'partially_accepted' then 'category_disallowed' end
        ])
    end as sft_reasons,
    contradicted,
    first,
    prompts,
    rag_first,
    sft_first,
from found;

create macro detail(reason, category, contradicted, first, beaten_by) as
case reason
    when 'missing_source_run_id' then 'run_id'
    when 'empty_content' then 'response'
    when 'empty_prompt' then 'prompt'
    when 'schema_violation' then 'arguments of a call'
    when 'contradicted' then contradicted
    when 'duplicate_id' then 'first at ' || place(first)
    when 'duplicate_content' then 'same content as ' || place(beaten_by)
    when 'repeated_response' then 'its answer answers more than 20 prompts'
    else category
end;

-- # Pairs: within a group (a task, a prompt, tools and a comparison), the five best of each side.

create table ranked as
with eligible as (
    select
        record.*,
        hash(task, asked, tools, comparison) as party,
    from record
    left join defect on record.line = defect.line
    where
        record.category <> 'needs_human_review'
        and (
            defect.line is null
            or not (
                defect.is_run_blank
                or defect.is_answer_empty
                or defect.first is not null
                or defect.prompts is not null
                or (record.category = 'accepted' and (defect.has_unparsed_call or defect.contradicted is not null))
            )
        )
),

repeated as (
    select
        line,
        row_number() over (partition by party, category, content order by line) as occurrence,
    from eligible
    where content in (from shared_content)
),

once as (
    from eligible
    where line not in (
        select repeated.line from repeated
        where repeated.occurrence > 1
    )
),

with_rejected as (
    select distinct party
    from once
    where category = 'rejected'
)

select
    *,
    category = 'accepted' as is_chosen,
    row_number() over (
        partition by party, category = 'accepted'
        order by score desc nulls last, created_at asc nulls last, item asc
    ) as rank,
from once
where category <> 'partially_accepted' or party not in (from with_rejected)
qualify rank <= 5;

create table pair as
with paired as (
    select
        chosen.task,
        chosen.line as chosen,
        rejected.line as rejected,
        chosen.category as chosen_category,
        rejected.category as rejected_category,
        chosen.is_prompt_blank,
        chosen.attempt = rejected.attempt as is_one_run,
        chosen.answer = rejected.answer as is_one_answer,
        chosen.content = rejected.content
        or (chosen.turn = rejected.turn and chosen.is_talk <> rejected.is_talk and not chosen.is_response_blank) as is_one_content,
        row_number() over (
            partition by chosen.task
            order by
                greatest(chosen.rank, rejected.rank) asc,
                chosen.rank + rejected.rank asc,
                chosen.rank asc,
                chosen.score - rejected.score desc nulls last,
                chosen.item asc,
                rejected.item asc
        ) as place,
    from ranked as chosen
    inner join ranked as rejected on chosen.party = rejected.party
    where chosen.is_chosen and not rejected.is_chosen
),

-- What a content is called, and what those with the same content are called: its own hash, and the turn of the other kind.
name as (
    select
        line,
        content as called,
        content as alike,
    from ranked
    where content in (from shared_content)
    union all
    select
        line,
        hash(turn, is_talk) as called,
        hash(turn, not is_talk) as alike,
    from ranked
    where not is_response_blank and turn in (from shared_turn)
),

comparable as (
    select
        paired.task,
        paired.chosen,
        paired.rejected,
        paired.place,
        chosen.called as chosen_called,
        chosen.alike as chosen_alike,
        rejected.called as rejected_called,
        rejected.alike as rejected_alike,
    from paired
    inner join name as chosen on paired.chosen = chosen.line
    inner join name as rejected on paired.rejected = rejected.line
),

first_such as (
    select
        task,
        chosen_called,
        rejected_called,
        min(place) as place,
    from comparable
    group by task, chosen_called, rejected_called
),

like_others as (
    select
        comparable.chosen,
        comparable.rejected,
        coalesce(bool_or(same.place < comparable.place), false) as is_repeated,
        count(reverse.place) > 0 as is_reversed,
    from comparable
    left join first_such as same
        on
            comparable.task = same.task
            and comparable.chosen_alike = same.chosen_called
            and comparable.rejected_alike = same.rejected_called
    left join first_such as reverse
        on
            comparable.task = reverse.task
            and comparable.chosen_alike = reverse.rejected_called
            and comparable.rejected_alike = reverse.chosen_called
    group by comparable.chosen, comparable.rejected
),

refused as (
    select
        paired.*,
        present([
            case when like_others.is_reversed and not paired.is_one_content then 'contradicted' end,
            case when paired.is_prompt_blank then 'invalid_preference_pairing' end,
            case when like_others.is_repeated then 'duplicate_content' end,
            case when paired.is_one_run or paired.is_one_answer then 'self_pairing' end
        ]) as reasons,
        array_to_string(present([
            case when like_others.is_reversed and not paired.is_one_content then 'another pair prefers the reverse' end,
            case when paired.is_prompt_blank then 'prompt is blank' end,
            case when like_others.is_repeated then 'a better pair has the same contents' end,
            case when paired.is_one_run then 'both sides are of one run' end,
            case when paired.is_one_answer then 'both sides have one answer' end
        ]), ', ') as detail,
    from paired
    left join like_others on paired.chosen = like_others.chosen and paired.rejected = like_others.rejected
)

select
    chosen,
    rejected,
    chosen_category::varchar as chosen_category,
    rejected_category::varchar as rejected_category,
    reasons,
    detail,
from refused
qualify len(reasons) > 0 or row_number() over (partition by task, len(reasons) = 0 order by place) <= 5;
