-- The payee that was paid, or confirmed by a person, last: a keyed digest of name, telephone and account. Null: nobody was
-- paid yet, or before this was kept.
alter table household add column paid_to bytea;

-- Who confirmed that another payee may be paid, as of which revision of the household, and why.
create table payee_confirmation (
    household_id text not null,
    number integer not null check (number > 0),
    revision bigint not null,
    confirmed_by text not null,
    reason text not null check (reason <> ''),
    at timestamptz not null,
    primary key (household_id, number)
);
create trigger payee_confirmation_is_final before update or delete or truncate on payee_confirmation
    for each statement execute function refuse_to_change();
create index decision_payee_changed on decision (household_id) where waiting = 'payee-changed';
