-- Adds to main.written the records that written_rows names.
--   $side: which record of each row it is
--   $carried: what the rows carry, see main.written
insert into main.written
select
    id,
    $side,
    hash(provenance.source_path, provenance.item_number, provenance.record_number),
    hash(provenance.item_sha256),
    case when list_contains($carried, 'source') then hash(source) end,
    case when list_contains($carried, 'task_id') then hash(task_id) end,
    case when list_contains($carried, 'run_id') then hash(run_id) end,
    case when list_contains($carried, 'model') then hash(model) end,
    case when list_contains($carried, 'title') then hash(title) end,
    case when list_contains($carried, 'prompt') then hash(prompt) end,
    case when list_contains($carried, 'response') then hash(response) end,
    case when list_contains($carried, 'category') then hash(category) end,
    case when list_contains($carried, 'created_at') then hash(epoch_us(created_at)) end,
    case when list_contains($carried, 'pair_created_at') then hash(epoch_us(pair_created_at)) end,
    case when list_contains($carried, 'reason') then hash(reason) end,
from written_rows
