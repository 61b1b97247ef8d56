-- What only one household may hold, in one word: its kind's letter and what is written. Households by the 16 bytes of their ids.
create table claim (
    claim        text primary key,
    household_id uuid not null
);
insert into claim (claim, household_id)
select case kind when 'equity_card' then 'c' when 'national_id' then 'n' else 'a' end || value, household_id::uuid
from identity order by 1;
drop table identity;
