-- One row per trace of OpenTelemetry's GenAI spans (OTLP JSON), which are spread over lines and files in any order. The last
-- chat span has the whole conversation, a log event the grade; an error.type is the machine's. The first user text stands
-- for the task, the trace where no text was recorded.
-- reads: *.jsonl
-- grain: source
with entry as ( -- spans and log events
    select
        struct_pack(source_path, item_number) as place,
        unnest(list_concat(
            json_extract(json, '$.resourceSpans[*].scopeSpans[*].spans[*]'),
            json_extract(json, '$.resourceLogs[*].scopeLogs[*].logRecords[*]')
        )) as entry,
        entry ->> '$.traceId' as trace,
        (entry ->> '$.endTimeUnixNano')::bigint as ended,
        json_extract_string(entry, '$.attributes[*].key') as keys,
        map(keys, json_extract_string(entry, '$.attributes[*].value.*')) as attribute,
    from raw.item
),

trace as (
    select
        trace as run_id,
        min(place) filter (where ended is not null) as own,
        list(distinct place) as parts,
        make_timestamp(max(ended) // 1000) as created_at,
        any_value(attribute['gen_ai.request.model']) as model,
        any_value(attribute['gen_ai.evaluation.score.value'])::double as score,
        any_value(attribute['error.type']) as infrastructure_error,
        arg_max(attribute, ended) filter (where attribute['gen_ai.operation.name'] = 'chat') as chat,
        from_json(chat['gen_ai.input.messages'], '[{"role": "VARCHAR", "parts": "JSON"}]') as said,
        list_filter(said, lambda message: message.role = 'user')[1].parts ->> '$[0].content' as prompt,
        chat['gen_ai.output.messages'] ->> '$[#-1].parts[#-1].content' as response,
    from entry
    group by trace
)

select
    unnest(own),
    row_number() over (partition by own order by run_id) as record_number,
    'telemetry' as source_class,
    coalesce(prompt, run_id) as task_id,
    * exclude (own, chat, said),
from trace
where own is not null
