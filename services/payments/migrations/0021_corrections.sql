-- `carried`: riel of earlier corrections within the amount (below zero: recovered from the household). Of a payment,
-- amount - carried + its corrections = entitled.
alter table payment add carried bigint not null default 0;
create index payment_differing on payment (household_id) where entitled <> amount;

-- Overpayments that need not be given back: proposed by one person, decided by another, then never changed.
create table write_off (
    household_id text not null,
    programme text not null,
    number integer not null,
    amount bigint not null check (amount > 0),
    state text not null check (state in ('proposed', 'approved', 'refused')),
    proposed_by text not null,
    reason text not null,
    decided_by text,
    decision_reason text,
    at timestamptz not null default now(),
    decided_at timestamptz,
    primary key (household_id, programme, number),
    constraint preparer_does_not_decide check (decided_by <> proposed_by),
    check ((state = 'proposed') = (decided_by is null))
);
create unique index write_off_one_open on write_off (household_id, programme) where state = 'proposed';
create function refuse_to_change_decided() returns trigger language plpgsql as $$
begin
    if old.state <> 'proposed' then
        raise exception '% was decided and is never changed', tg_table_name using errcode = 'restrict_violation';
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger write_off_is_final before update or delete on write_off
    for each row execute function refuse_to_change_decided();
