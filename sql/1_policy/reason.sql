-- One row per reason for which a dataset quarantines a row. Where several apply to a row, the lowest precedence comes first.
--   precedence: its place in the order of reasons, from 1
--   name: the reason, as quarantine_reason and the receipts give it
--   meaning: what is wrong with the row
select
    reason.precedence,
    reason.name,
    reason.meaning,
from (
    values
    (1, 'missing_provenance', 'file, item number, record number or item hash is missing'),
    (2, 'missing_source_run_id', 'the agent run that made it is not named'),
    (3, 'empty_content', 'the answer has no visible text and no call; in rag, the response is blank'),
    (4, 'empty_prompt', 'the prompt is blank'),
    (5, 'schema_violation', 'a column that the dataset requires is null, or a call of the answer has arguments that are no JSON object'),
    (6, 'unsafe_sft_category', 'rejected or needs_human_review may never enter sft'),
    (7, 'unsafe_rag_category', 'rejected may never enter rag'),
    (8, 'contradicted', 'its attempt, or its content for its task, is rejected; of a pair: another prefers the reverse'),
    (9, 'invalid_preference_pairing', 'the pair has no prompt, or its categories make no preference'),
    (10, 'hallucinated_file_path', 'a cited path is absent from the manifest of known paths'),
    (11, 'duplicate_id', 'the same evidence came before, in an earlier file or item'),
    (12, 'duplicate_content', 'a better or earlier row has the same content'),
    (13, 'repeated_response', 'one response answers more than max_prompts_per_response prompts'),
    (14, 'reserved_holdout', 'its task, or one in its group, is held out for evaluation'),
    (15, 'self_pairing', 'both sides are from one run, or have one text'),
    (16, 'category_disallowed', 'the category enters only on request, and nobody asked')
) as reason (precedence, name, meaning)
