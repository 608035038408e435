-- The rows of evidence.incoming of the items of which no record has a problem.
with refused as (
    select * from incoming
    where problem is not null
)

select row.*
from incoming as row
anti join refused
    on row.source_path = refused.source_path and row.item_number = refused.item_number
