-- Deletes the states in receipts.row_history that ended before the last published runs began.
--   $runs: how many published runs are kept
delete from receipts.row_history
where last_seq < (
    select min(kept.seq)
    from (
        select seq
        from receipts.run
        where published
        order by seq desc
        limit $runs
    ) as kept
)
