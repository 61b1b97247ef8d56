-- A household and how it stands by its latest decisions. `sequence` counts its scorings, `basis` names what the last
-- one rests on (revision, programme hashes, cycles, days); at or below `exit_revision` it is scored no more.
create table household (
    household_id text primary key,
    revision bigint not null,
    exit_revision bigint not null,
    registered_at timestamptz,
    sequence bigint not null,
    standing text check (standing in ('eligible', 'refused', 'forgotten')),
    riel bigint not null check (riel >= 0),
    in_cycle boolean not null,
    basis text not null
);

-- The latest event of a household, kept apart from what every batch locks. Persons and payee stay sealed under
-- `event_id`; they are opened again when a cycle opens.
create table registration (
    household_id text primary key,
    event_id text not null,
    commune text not null,
    area_type text not null,
    level text not null,
    person_key_id text not null,
    persons bytea not null,
    payee_key_id text not null,
    payee bytea not null,
    correlation_id text not null,
    traceparent text not null
);
alter table registration alter column persons set storage external;
alter table registration alter column payee set storage external;

-- Every decision ever made, written once and never changed. `reasons` and `lines` are JSON, without conditions.
create table decision_made (
    household_id text not null,
    sequence bigint not null,
    programme text not null,
    programme_hash text not null,
    revision bigint not null,
    cause_id text not null,
    as_of date not null,
    cycle_id text,
    period text,
    outcome text not null check (outcome in ('eligible', 'refused')),
    amount bigint not null check (amount >= 0),
    reasons text not null,
    lines text not null,
    traceparent text not null,
    decided_at timestamptz not null,
    primary key (household_id, sequence, programme)
);

-- The decisions that hold: those of each household's last scoring.
create view decision as select made.* from decision_made made join household using (household_id, sequence);

create table cycle (
    cycle_id text primary key,
    programme text not null,
    period text not null,
    reference_date date not null,
    version bigint not null,
    opened_at timestamptz not null,
    ended_at timestamptz,
    cause_id text not null
);

-- Households to score again because a cycle changed: `since` limits it to those registered later, `after` is how far
-- it got. A chunk's decisions and `after` are written together, so it goes on where it was stopped.
create table caseload (
    cycle_id text not null,
    version bigint not null,
    cause_id text not null,
    since timestamptz,
    households bigint not null,
    seen bigint not null default 0,
    scored bigint not null default 0,
    after text not null default '',
    created_at timestamptz not null,
    finished_at timestamptz,
    primary key (cycle_id, version)
);

-- Households of a caseload that can't be scored (a broken seal, say): their earlier decisions stay.
create table caseload_failure (
    cycle_id text not null,
    version bigint not null,
    household_id text not null,
    reason text not null,
    at timestamptz not null,
    primary key (cycle_id, version, household_id)
);

create function refuse_to_change() returns trigger language plpgsql as $$
begin
    raise exception '% is written once and never changed', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger decision_made_is_final before update or delete or truncate on decision_made
    for each statement execute function refuse_to_change();
