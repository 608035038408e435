-- Every comparison of a run with its prior one, and what each condition said of it; see drift.comparison.
--   $run: the id of the run
--   $kinds: the kinds of counters in the order in which people want to see them
select * exclude (run_id, position)
from drift.comparison
where run_id = $run
order by position, list_position($kinds, kind), stat, counter
