-- One row per trajectory of mini-swe-agent. It has no grade: that is in the reports of SWE-bench. An exit status that is not
-- one of the agent's own names an exception of the machine. The response is the patch, the prompt the first user message.
-- reads: *.traj.json
-- fields:
--   instance text required = /instance_id
--   model text = /info/config/model/model_name
--   exit_status text = /info/exit_status
--   submission text = /info/submission
--   cost_usd number = /info/model_stats/instance_cost
--   messages json required = /messages
with trajectory as (
    select
        *,
        list_filter(
            from_json(messages, '[{"role": "VARCHAR", "content": "VARCHAR"}]'), lambda message: message.role <> 'exit'
        ) as spoken,
    from raw.item
)

select
    source_path,
    item_number,
    'telemetry' as source_class,
    regexp_replace(source_path, '[.]traj[.]json.*$', '') as run_id,
    instance as task_id,
    model,
    list_filter(spoken, lambda message: message.role = 'user')[1].content as prompt,
    submission as response,
    to_json(spoken) as messages,
    case
        when exit_status not in ('Submitted', 'LimitsExceeded', 'TimeExceeded', 'RepeatedFormatError') then exit_status
    end as infrastructure_error,
    cost_usd,
from trajectory
