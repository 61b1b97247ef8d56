-- Searches for households that look like one. One runs at a time, step by step, and resumes at its step.
create table duplicate_search (
    search_id    text primary key,
    state        text not null check (state in ('waiting', 'running', 'finished', 'failed')),
    least_bits   real not null,
    step         integer not null default 0,
    steps_total  integer,
    persons      bigint,
    pairs_new    integer not null default 0,
    model        text,
    error        text,
    remedy       text,
    caller       text not null,
    area         text not null,
    created_at   timestamptz not null,
    finished_at  timestamptz
);
create index duplicate_search_open on duplicate_search (created_at) where state in ('waiting', 'running');

-- Two households that look like one, the first registered first. Reasons are words and numbers of members:
-- names and dates stand in household alone.
create table duplicate_pair (
    pair_id            bigint generated always as identity primary key,
    first_household_id text not null,
    later_household_id text not null,
    bits               real not null,
    likeness           text not null,
    search_id          text not null references duplicate_search,
    found_at           timestamptz not null,
    unique (first_household_id, later_household_id)
);
create index duplicate_pair_later on duplicate_pair (later_household_id);

-- What a person decided about a pair, and took back. Rows are only ever added; the last one of a pair stands.
create table duplicate_decision (
    decision_id         bigint generated always as identity primary key,
    pair_id             bigint not null references duplicate_pair,
    decision            text not null check (decision in ('same', 'moved', 'different', 'undone')),
    decided_by          text not null,
    at                  timestamptz not null,
    exited_household_id text,
    exit_revision       integer
);
create index duplicate_decision_pair on duplicate_decision (pair_id, decision_id);

create function refuse_to_change() returns trigger language plpgsql as $$
begin
    raise exception '% is written once and never changed', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger duplicate_decision_is_final before update or delete or truncate on duplicate_decision
    for each statement execute function refuse_to_change();
