-- One row per fate of a record at the pairing: the second book of export-preference; its records sum to scored.run.
select
    'export-preference' as stage,
    fate,
    count(*) as records,
from pairs.record
group by fate
