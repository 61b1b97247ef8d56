-- What happens between registrations. `reports` and `appeals` number the last of either that a household's decisions
-- rest on, `judged_on` is the last day they were made as of.
alter table household add column reports bigint not null default 0;
alter table household add column appeals bigint not null default 0;
alter table household add column judged_on date;

-- The day of a household's next milestone; neither what comes then nor of whom is kept in the clear. Households
-- registered before this column was are looked at by the first run.
alter table registration add column due_on date;
update registration set due_on = date '2000-01-01';
create index registration_due on registration (due_on, household_id) where due_on is not null;

-- Condition reports as they were heard, sealed under their event's id.
create table condition_report (
    household_id text not null,
    number bigint not null,
    event_id text not null,
    key_id text not null,
    report bytea not null,
    primary key (household_id, number)
);

-- Appeals: prepared by one person, decided by another, and then never changed. The ruling is sealed under `appeal_id`.
create table appeal (
    appeal_id text primary key,
    household_id text not null,
    number bigint,
    revision bigint not null,
    verdict text check (verdict in ('overturned', 'upheld')),
    key_id text not null,
    ruling bytea not null,
    prepared_by text not null,
    prepared_at timestamptz not null,
    decided_by text check (decided_by <> prepared_by),
    decided_at timestamptz,
    unique (household_id, number),
    check ((number is null) = (decided_by is null) and (number is null) = (verdict is null))
);

-- Days that milestones were reached up to, one row a day asked for; `finished_at` is empty while a run works on it.
create table calendar_run (
    day date primary key,
    households bigint not null default 0,
    milestones bigint not null default 0,
    rescored bigint not null default 0,
    asked_by text not null,
    asked_at timestamptz not null,
    finished_at timestamptz
);

-- Households whose milestones can't be read (a broken seal, say): their decisions stay.
create table calendar_failure (
    household_id text primary key,
    day date not null,
    reason text not null,
    at timestamptz not null
);

-- Every programme file that ever decided, by its SHA-256, and which files decided together.
create table programme_file (
    hash text primary key,
    programme text not null,
    content bytea not null,
    first_used_at timestamptz not null
);
create table catalogue (
    hash text primary key,
    programme_hashes text[] not null,
    first_used_at timestamptz not null
);
create trigger programme_file_is_final before update or delete or truncate on programme_file
    for each statement execute function refuse_to_change();
create trigger catalogue_is_final before update or delete or truncate on catalogue
    for each statement execute function refuse_to_change();
create trigger condition_report_is_final before update or truncate on condition_report
    for each statement execute function refuse_to_change();
