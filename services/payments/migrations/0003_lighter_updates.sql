-- A report changes a payment and its household: where their page has room and no index holds what changes, the row
-- alone is written.
alter table payment
    add live boolean not null
        generated always as (state in ('issued', 'accepted', 'settled', 'unknown')) stored;
drop index payment_one_live_attempt;
create unique index payment_one_live_attempt on payment (household_id, programme, period, purpose) where live;
alter table payment set (fillfactor = 50);
alter table household set (fillfactor = 50);

-- When to look again at payments whose partner may be silent, a row for what was written together; the payments'
-- own `due_at` then says which it still is. No reminder comes before that.
create table reminder (
    id bigint generated always as identity primary key,
    due_at timestamptz not null,
    household_ids text[] not null,
    payment_ids text[] not null
);
create index reminder_due on reminder (due_at);
insert into reminder (due_at, household_ids, payment_ids)
select max(due_at), array_agg(household_id), array_agg(payment_id)
from (select *, row_number() over (order by due_at) / 500 as part from payment where due_at is not null) p
group by part;
drop index payment_due;
