-- The prompts of a batch, in their order, with what an export needs of each; see datasets.prompt.
select
    prompt.id,
    prompt.task_id,
    prompt.prompt,
    prompt.prompt_messages,
    prompt.tools,
    prompt.answers,
    prompt.split,
    prompt.provenance,
    prompt.answer_provenance,
from datasets.prompt as prompt
inner join temp.task_prompt as of_batch on prompt.record_key = of_batch.record_key
order by of_batch.position
