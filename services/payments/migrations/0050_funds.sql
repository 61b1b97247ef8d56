-- Who gave a cycle's envelope, in the order in which it is drawn. `allotted` riel of a fund are given to sub-envelopes.
create table fund (
    cycle_id text not null references cycle,
    number integer not null check (number > 0),
    donor text not null check (donor ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    amount bigint not null check (amount > 0),
    allotted bigint not null default 0,
    proposed_by text[] not null,
    approved_by text not null,
    reason text,
    at timestamptz not null,
    primary key (cycle_id, number),
    constraint preparer_does_not_decide check (approved_by <> all (proposed_by)),
    constraint within_fund check (allotted between 0 and amount)
);

-- What of a cycle's count cap is given to its sub-envelopes. Whoever gives anything to one holds this row.
create table envelope (
    cycle_id text primary key references cycle,
    cap_payments bigint not null,
    allotted_payments bigint not null default 0,
    constraint within_count_cap check (allotted_payments between 0 and cap_payments)
);

-- A fund's riel, and some of the cycle's payments, in as many rows as transactions ever spent from it at once. Whoever
-- spends or frees holds one. What was committed here may be freed in another one of the same fund.
create table sub_envelope (
    cycle_id text not null references envelope,
    fund integer not null,
    number bigint generated always as identity,
    allotted bigint not null default 0,
    committed bigint not null default 0,
    released bigint not null default 0,
    allotted_payments bigint not null default 0,
    payments bigint not null default 0,
    primary key (cycle_id, number),
    foreign key (cycle_id, fund) references fund,
    constraint within_envelope check (committed - released <= allotted),
    constraint within_payments check (payments <= allotted_payments)
) with (fillfactor = 50);

-- committed - released <= allotted in each, and what all were allotted <= what was funded: so it holds for the cycle.
create function allot() returns trigger language plpgsql as $$
declare riel bigint := new.allotted - coalesce(old.allotted, 0);
    payments bigint := new.allotted_payments - coalesce(old.allotted_payments, 0);
begin
    if riel <> 0 then
        update fund set allotted = allotted + riel where (cycle_id, number) = (new.cycle_id, new.fund);
    end if;
    if payments <> 0 then
        update envelope set allotted_payments = allotted_payments + payments where cycle_id = new.cycle_id;
    end if;
    return null;
end $$;
create trigger allot after insert or update of allotted, allotted_payments on sub_envelope
    for each row execute function allot();
create trigger sub_envelope_stays before delete or truncate on sub_envelope
    for each statement execute function refuse_to_change();
create trigger envelope_stays before delete or truncate on envelope
    for each statement execute function refuse_to_change();
create trigger fund_is_final before update of cycle_id, number, donor, amount, proposed_by, approved_by, reason, at
    or delete or truncate on fund for each statement execute function refuse_to_change();

-- Riel of a payment (`covers`: of what its late settlement took) that another fund pays than its transfer names.
create table split (
    household_id text not null,
    payment_id text not null,
    covers boolean not null,
    fund integer not null,
    cycle_id text not null,
    amount bigint not null check (amount > 0),
    primary key (household_id, payment_id, covers, fund),
    foreign key (cycle_id, fund) references fund
);
create trigger split_is_final before update or delete or truncate on split
    for each statement execute function refuse_to_change();

alter table cycle add column donor text not null default 'royal-government';
alter table cycle_step add column donor text not null default 'royal-government';
-- What was there before funds had donors is the first fund of each cycle.
alter table payment add column fund integer not null default 1;
alter table transfer add column fund integer not null default 1;
insert into fund (cycle_id, number, donor, amount, proposed_by, approved_by, reason, at)
select distinct on (cycle_id) cycle_id, 1, 'royal-government', c.funded, s.prepared_by, s.actor, s.reason, s.at
from cycle c join cycle_step s using (cycle_id) where c.funded > 0 and s.step = 'approve' order by cycle_id, s.version;
insert into envelope (cycle_id, cap_payments) select cycle_id, cap_payments from cycle where funded > 0;
insert into sub_envelope (cycle_id, fund, allotted, committed, released, allotted_payments, payments)
select cycle_id, 1, committed, committed, released, payments, payments from cycle where funded > 0;
alter table cycle drop constraint within_envelope, drop constraint released_was_committed,
    drop constraint within_count_cap, drop column committed, drop column released, drop column payments;
alter table payment alter column fund drop default;
alter table transfer alter column fund drop default;
alter table cycle alter column donor drop default;
alter table cycle_step alter column donor drop default;

create function funded_by_funds() returns trigger language plpgsql as $$
begin
    if (select funded from cycle where cycle_id = new.cycle_id)
            <> (select coalesce(sum(amount), 0) from fund where cycle_id = new.cycle_id) then
        raise exception 'a cycle is funded with the sum of its funds' using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
create constraint trigger funded_by_funds after insert or update of funded on cycle
    deferrable initially deferred for each row execute function funded_by_funds();
create constraint trigger funded_by_funds after insert on fund
    deferrable initially deferred for each row execute function funded_by_funds();

-- A cycle's money: each sub-envelope adds its part.
create view spent as
    select cycle_id, coalesce(sum(committed), 0)::bigint as committed, coalesce(sum(released), 0)::bigint as released,
        coalesce(sum(payments), 0)::bigint as payments
    from cycle left join sub_envelope using (cycle_id) group by cycle_id;

-- Transfers by the fund whose riel they move.
create view fund_transfer as
    select t.cycle_id, t.fund, t.kind, t.debit, t.credit, t.at, t.amount - coalesce(s.amount, 0) as amount
    from transfer t left join (
        select household_id, payment_id, covers, sum(amount)::bigint as amount from split group by 1, 2, 3) s
        on s.household_id = t.household_id and s.payment_id = t.subject and s.covers = (t.kind = 'cover')
    union all
    select t.cycle_id, s.fund, t.kind, t.debit, t.credit, t.at, s.amount
    from split s join transfer t
        on s.household_id = t.household_id and s.payment_id = t.subject and s.covers = (t.kind = 'cover');
