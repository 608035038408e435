-- Lets evidence.record have the records that rows of temp.written name, and no others.
insert into temp.wanted
select
    judged.record_key,
    bool_or(written.prompt_messages is not null),
    bool_or(written.answer_messages is not null),
from main.judged as judged
inner join temp.written as written on judged.place = written.place
group by judged.record_key
