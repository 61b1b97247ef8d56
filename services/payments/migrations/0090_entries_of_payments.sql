-- What every payment moves stands in its own row: its issue where it is `posted`, its settlement at `settled_at`. All
-- else, and what was posted before, is in `transfer`.
alter table payment
    add posted boolean not null default false,
    add settled_at timestamptz;
create trigger payment_entries_are_final
    before update of household_id, payment_id, cycle_id, amount, fund, issued_at, posted or delete or truncate on payment
    for each statement execute function refuse_to_change();
create trigger payment_settles_once after update on payment
    for each row when (old.settled_at <> new.settled_at or (old.settled_at is not null and new.settled_at is null))
    execute function refuse_to_change();

create view every_transfer as
    select household_id, subject, kind, cycle_id, debit, credit, amount, at, fund from transfer
    union all
    select household_id, payment_id, 'issue', cycle_id, 'in-transit', 'envelope', amount, issued_at, fund
    from payment where posted
    union all
    select household_id, payment_id, 'settle', cycle_id, 'paid', 'in-transit', amount, settled_at, fund
    from payment where settled_at is not null;

create function refuse_to_post_twice() returns trigger language plpgsql as $$
begin
    if exists (select from every_transfer where household_id = new.household_id and subject = new.subject
            and kind = new.kind) then
        raise exception 'this entry stands in its payment' using errcode = 'unique_violation';
    end if;
    return new;
end $$;
create trigger transfer_is_not_the_payments before insert on transfer
    for each row when (new.kind in ('issue', 'settle')) execute function refuse_to_post_twice();

create or replace view posting as
    select cycle_id, debit as account, amount, household_id, subject, kind, at from every_transfer
    union all
    select cycle_id, credit, -amount, household_id, subject, kind, at from every_transfer;

create or replace view fund_transfer as
    select t.cycle_id, t.fund, t.kind, t.debit, t.credit, t.at, t.amount - coalesce(s.amount, 0) as amount
    from every_transfer t left join (
        select household_id, payment_id, covers, sum(amount)::bigint as amount from split group by 1, 2, 3) s
        on s.household_id = t.household_id and s.payment_id = t.subject and s.covers = (t.kind = 'cover')
    union all
    select t.cycle_id, s.fund, t.kind, t.debit, t.credit, t.at, s.amount
    from split s join every_transfer t
        on s.household_id = t.household_id and s.payment_id = t.subject and s.covers = (t.kind = 'cover');
