-- Counter-entries of wrongly booked ones: proposed by one person, decided by another, once each, then never changed.
create table reversal (
    number bigint generated always as identity primary key,
    household_id text not null,
    subject text not null,
    kind text not null check (kind = 'settle'),
    cycle_id text not null,
    amount bigint not null check (amount > 0),
    state text not null check (state in ('proposed', 'approved', 'refused')),
    proposed_by text not null,
    reason text not null check (reason <> ''),
    decided_by text,
    decision_reason text,
    at timestamptz not null,
    decided_at timestamptz,
    constraint preparer_does_not_decide check (decided_by <> proposed_by),
    check ((state = 'proposed') = (decided_by is null))
);
create unique index reversal_once on reversal (household_id, subject, kind) where state <> 'refused';
create trigger reversal_is_final before update or delete on reversal
    for each row execute function refuse_to_change_decided();

alter table transfer
    drop constraint transfer_kind_check,
    add constraint transfer_kind_check check (kind in ('fund', 'issue', 'settle', 'release', 'return', 'settle-late',
        'return-late', 'cover', 'reverse-settle')),
    drop constraint transfer_legs,
    add constraint transfer_legs check ((kind, debit, credit) in (
        ('fund', 'envelope', 'funding'),
        ('issue', 'in-transit', 'envelope'),
        ('settle', 'paid', 'in-transit'),
        ('release', 'envelope', 'in-transit'),
        ('return', 'envelope', 'paid'),
        ('settle-late', 'paid', 'owed'),
        ('return-late', 'owed', 'paid'),
        ('cover', 'owed', 'envelope'),
        ('reverse-settle', 'in-transit', 'paid')));
create function transfer_reversed_by_two() returns trigger language plpgsql as $$
begin
    if not exists (select from reversal where household_id = new.household_id and subject = new.subject
            and 'reverse-' || kind = new.kind and amount = new.amount and state = 'approved') then
        raise exception 'an entry is reversed once two people agreed to it' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger transfer_reversed_by_two before insert on transfer
    for each row when (new.kind = 'reverse-settle') execute function transfer_reversed_by_two();
