-- A payment may settle after it had failed or expired. `late`: its money had been taken back, so that it is owed to the
-- partner; `settled_late`: another attempt of the key had been issued meanwhile. `superseded`: another attempt counts.
alter table payment
    add late boolean not null default false,
    add superseded boolean not null default false,
    drop constraint payment_state_check,
    add constraint payment_state_check check (state in ('issued', 'accepted', 'settled', 'settled_late', 'failed',
        'expired', 'returned', 'cancelled', 'unknown'));
alter table transfer
    drop constraint transfer_kind_check,
    add constraint transfer_kind_check check (kind in ('fund', 'issue', 'settle', 'release', 'return', 'settle-late',
        'return-late', 'cover')),
    drop constraint transfer_debit_check,
    add constraint transfer_debit_check check (debit in ('funding', 'envelope', 'in-transit', 'paid', 'owed')),
    drop constraint transfer_credit_check,
    add constraint transfer_credit_check check (credit in ('funding', 'envelope', 'in-transit', 'paid', 'owed'));

-- Entitlement keys whose latest attempt definitely ended: tried again when due (null: only when a person asks for it,
-- or a newer decision comes), and what hinders it. Written under the lock of the household's row.
create table reissue (
    household_id text not null,
    programme text not null,
    period text not null,
    purpose text not null,
    cycle_id text not null,
    waiting text not null default 'time',
    ordered_by text,
    due_at timestamptz,
    ended_at timestamptz not null,
    primary key (household_id, programme, period, purpose)
);
create index reissue_due on reissue (due_at) where due_at is not null;

-- What partners paid and nobody expected, until a person has found out and decided.
create table difference (
    household_id text not null,
    payment_id text not null,
    report_id text not null,
    kind text not null check (kind in ('settled-late', 'settled-twice')),
    cycle_id text not null,
    partner text not null,
    partner_reference text,
    amount bigint not null check (amount > 0),
    at timestamptz not null,
    resolution text check (resolution in ('covered', 'closed')),
    resolved_by text,
    resolved_at timestamptz,
    reason text,
    primary key (household_id, payment_id, report_id),
    check ((resolution is null) = (resolved_by is null) and (resolution is null) = (reason is null))
);

-- The payee is kept as long as something may have to be paid by it, sealed as it came; the destroyed key says whose.
drop index household_payee_key;
