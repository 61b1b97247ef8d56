-- A cycle, its terms and its money, in riel. What is asked for (`proposed`) and what was approved (`funded`) differ
-- until a second person decides. `issue_after`: the job that issues what waits goes on behind this household.
create table cycle (
    cycle_id text primary key,
    programme text not null,
    programme_hash text not null,
    purpose text not null,
    period text not null,
    reference_date date not null,
    cap_household bigint not null check (cap_household > 0),
    cap_payments bigint not null check (cap_payments > 0),
    state text not null check (state in ('opened', 'submitted', 'approved', 'refused', 'closed')),
    version integer not null,
    prepared_by text[] not null,
    decided_by text,
    reason text,
    proposed bigint check (proposed > funded),
    funded bigint not null default 0,
    committed bigint not null default 0,
    released bigint not null default 0,
    payments bigint not null default 0,
    issue_after text,
    opened_at timestamptz not null default now(),
    unique (programme, period),
    constraint preparer_does_not_decide check (decided_by <> all (prepared_by)),
    constraint approved_by_someone check (state <> 'approved' or decided_by is not null or proposed is not null),
    constraint money_only_after_approval check (funded = 0 or state in ('approved', 'closed')),
    constraint within_envelope check (committed - released <= funded),
    constraint released_was_committed check (released between 0 and committed),
    constraint within_count_cap check (payments between 0 and cap_payments)
);

-- Who did what with a cycle, and why: written once, never changed.
create table cycle_step (
    cycle_id text not null,
    version integer not null,
    step text not null check (step in ('open', 'submit', 'approve', 'refuse', 'close', 'fund')),
    state text not null,
    actor text not null,
    prepared_by text[] not null,
    funded bigint not null,
    proposed bigint,
    reason text,
    at timestamptz not null,
    primary key (cycle_id, version),
    constraint preparer_does_not_decide
        check (step not in ('approve', 'refuse') or actor <> all (prepared_by))
);

-- The latest decisions of a household as one event brought them; who collects stays sealed under that event.
create table household (
    household_id text primary key,
    scored bigint not null,
    revision bigint not null,
    exit_revision bigint not null,
    commune text not null,
    decision_id text not null,
    correlation_id text not null,
    traceparent text not null,
    decided_at timestamptz,
    payee_key_id text,
    payee bytea,
    sequence bigint not null
) with (fillfactor = 80);
create index household_payee_key on household (payee_key_id);

create table decision (
    household_id text not null,
    programme text not null,
    programme_hash text not null,
    purpose text not null,
    cycle_id text,
    period text,
    outcome text not null check (outcome in ('eligible', 'refused', 'void')),
    amount bigint not null check (amount >= 0),
    waiting text,
    primary key (household_id, programme),
    check (waiting is null or outcome = 'eligible')
) with (fillfactor = 80);
create index decision_waiting on decision (cycle_id, household_id) where waiting is not null;

-- An attempt of an entitlement key (programme, period, household, purpose); `due_at`: when its partner is asked.
create table payment (
    household_id text not null,
    payment_id text not null,
    programme text not null,
    period text not null,
    purpose text not null,
    attempt integer not null check (attempt > 0),
    cycle_id text not null,
    amount bigint not null check (amount > 0),
    entitled bigint not null check (entitled >= 0),
    partner text not null,
    commune text not null,
    revision bigint not null,
    decision_id text not null,
    correlation_id text not null,
    traceparent text not null,
    state text not null check (state in
        ('issued', 'accepted', 'settled', 'failed', 'expired', 'returned', 'cancelled', 'unknown')),
    reason text,
    partner_reference text,
    inquiries integer not null default 0,
    due_at timestamptz,
    issued_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (household_id, payment_id)
) with (fillfactor = 80);
-- The last guard: one live or settled attempt of an entitlement key.
create unique index payment_one_live_attempt on payment (household_id, programme, period, purpose)
    where state in ('issued', 'accepted', 'settled', 'unknown');
create index payment_due on payment (due_at) where due_at is not null;

-- A newer decision after issue: what it differs by, for the next cycle.
create table correction (
    household_id text not null,
    payment_id text not null,
    decision_id text not null,
    amount bigint not null check (amount <> 0),
    at timestamptz not null,
    primary key (household_id, payment_id, decision_id)
);

-- What partners said, once per report id.
create table report (
    household_id text not null,
    report_id text not null,
    payment_id text not null,
    status text not null,
    amount bigint not null,
    partner_reference text,
    reason_code text,
    occurred_at timestamptz not null,
    at timestamptz not null,
    primary key (household_id, report_id)
);

-- One row is both sides of an entry, so that its postings sum to zero. (subject, kind) happens once.
create table transfer (
    household_id text not null,
    subject text not null,
    kind text not null check (kind in ('fund', 'issue', 'settle', 'release', 'return')),
    cycle_id text not null,
    debit text not null check (debit in ('funding', 'envelope', 'in-transit', 'paid')),
    credit text not null check (credit in ('funding', 'envelope', 'in-transit', 'paid')),
    amount bigint not null check (amount > 0),
    at timestamptz not null,
    primary key (household_id, subject, kind),
    check (debit <> credit)
);
create view posting as
    select cycle_id, debit as account, amount, household_id, subject, kind, at from transfer
    union all
    select cycle_id, credit, -amount, household_id, subject, kind, at from transfer;

create function refuse_to_change() returns trigger language plpgsql as $$
begin
    raise exception '% is written once and never changed: record what reverses it', tg_table_name
        using errcode = 'restrict_violation';
end $$;
create trigger transfer_is_final before update or delete or truncate on transfer
    for each statement execute function refuse_to_change();
create trigger correction_is_final before update or delete or truncate on correction
    for each statement execute function refuse_to_change();
create trigger report_is_final before update or delete or truncate on report
    for each statement execute function refuse_to_change();
create trigger cycle_step_is_final before update or delete or truncate on cycle_step
    for each statement execute function refuse_to_change();
