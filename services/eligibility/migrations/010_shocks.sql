-- Shocks as declared, and the day each was ended on, if it was: from then on it holds no more. `version` is the last
-- event told of it: 1 as declared, one more for each end.
create table shock (
    name text primary key,
    kind text not null check (kind in ('flood', 'inflation', 'lockdown')),
    communes text[] not null,
    first_day date not null,
    last_day date check (last_day >= first_day),
    ended_on date,
    version bigint not null,
    declared_by text not null,
    declared_at timestamptz not null,
    ended_by text,
    ended_at timestamptz,
    check ((ended_on is null) = (ended_by is null) and (ended_on is null) = (ended_at is null))
);

-- Households of a shock's communes to score again because it was declared or ended: those without a cycle as of
-- `judged_on`, where it is one of the days concerned. `after` is how far it got, written with each chunk's decisions.
create table shock_job (
    name text not null references shock,
    version bigint not null,
    cause_id text not null,
    judged_on date,
    households bigint not null,
    seen bigint not null default 0,
    scored bigint not null default 0,
    after text not null default '',
    created_at timestamptz not null,
    finished_at timestamptz,
    primary key (name, version)
);

-- Households of a shock that can't be scored (a broken seal, say): their earlier decisions stay.
create table shock_failure (
    name text not null,
    version bigint not null,
    household_id text not null,
    reason text not null,
    at timestamptz not null,
    primary key (name, version, household_id)
);

create index registration_commune on registration (commune, household_id);
