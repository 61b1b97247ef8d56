-- How often a partner was asked not to pay a payment any more, and who asked (null: the household left, or another
-- attempt was paid).
alter table payment add cancels integer not null default 0;
create table cancellation (
    household_id text not null,
    payment_id text not null,
    number integer not null,
    asked_by text,
    reason text not null,
    at timestamptz not null,
    primary key (household_id, payment_id, number)
);
create trigger cancellation_is_final before update or delete or truncate on cancellation
    for each statement execute function refuse_to_change();
