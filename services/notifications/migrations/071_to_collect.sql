-- Payments their partner had ready, found by their last day: many in a row, written when they become so and taken once, when
-- it is time to remind of them. No index of `payment` holds what an update changes any more, so that its row changes in
-- place (HOT). Who updates payments and writes no rows here must have ended.
create table to_collect (
    until       date not null,
    payment_ids text[] not null
);
create index to_collect_until on to_collect (until);
insert into to_collect select until, array_agg(payment_id) from (
    select until, payment_id, (row_number() over (partition by until) - 1) / 40 as share
    from payment where state = 'accepted' and not reminded and until is not null
) waiting group by until, share;
drop index payment_to_collect;
alter table payment set (fillfactor = 50);
