-- The single window. Persons are in the clear in this database and nowhere else.
create table household (
    household_id text primary key,
    reference    text not null,
    revision     integer not null,
    state        text not null check (state in ('registered', 'exited')),
    commune      text not null,
    area_type    text not null,
    level        text not null,
    content_hash bytea not null,
    persons      text not null,
    payee        text not null,
    person_key   text not null,
    payee_key    text not null,
    import_id    text
);

-- What only one household may hold at a time; given back when it exits.
create table identity (
    kind         text not null check (kind in ('equity_card', 'national_id', 'account')),
    value        text not null,
    household_id text not null,
    primary key (kind, value)
);
create index identity_household on identity (household_id);

-- Who changed what and when; no persons, so that it outlives them.
create table household_change (
    household_id text not null,
    revision     integer not null,
    kind         text not null check (kind in ('registered', 'revised', 'exited')),
    at           timestamptz not null,
    actor        text not null,
    reason       text,
    import_id    text,
    row_number   integer,
    traceparent  text not null,
    primary key (household_id, revision)
);
create index household_change_by_hand on household_change (kind) where import_id is null;

-- One row per request id: the same request gets its first answer again.
create table request (
    caller       text not null,
    request_id   text not null,
    content_hash bytea not null,
    household_id text not null,
    revision     integer not null,
    at           timestamptz not null,
    primary key (caller, request_id)
);

create table import (
    import_id    text primary key,
    file_name    text not null,
    format       text not null check (format in ('csv', 'xlsx', 'parquet')),
    size_bytes   bigint not null,
    sha256       text not null,
    columns      text[] not null,
    rows_total   bigint,
    state        text not null check (state in ('waiting', 'running', 'finished', 'failed')),
    row_number   integer not null default 0,
    rows_done    integer not null default 0,
    registered   integer not null default 0,
    quarantined  integer not null default 0,
    duplicates   integer not null default 0,
    unchanged    integer not null default 0,
    error        text,
    remedy       text,
    caller       text not null,
    area         text not null,
    created_at   timestamptz not null,
    started_at   timestamptz,
    finished_at  timestamptz
);
create index import_open on import (created_at) where state in ('waiting', 'running');

-- Rows that were not registered, as they stood in the file. The same row is kept once.
create table quarantine (
    quarantine_id bigint generated always as identity primary key,
    row_hash      bytea not null unique,
    outcome       text not null check (outcome in ('quarantined', 'duplicate')),
    import_id     text not null references import,
    row_number    integer not null,
    household_id  text,
    commune       text,
    flaws         text not null,
    original      text not null,
    imported_by   text not null,
    at            timestamptz not null,
    resolved_at   timestamptz,
    resolved_by   text
);
create index quarantine_import on quarantine (import_id, quarantine_id);
create index quarantine_open_household on quarantine (household_id) where resolved_at is null;

-- A duplicate whose first household the caller may not see: a number to quote instead.
create table duplicate_case (
    case_number        bigint generated always as identity primary key,
    household_id       text not null,
    first_household_id text not null,
    kind               text not null,
    opened_by          text not null,
    opened_at          timestamptz not null,
    unique (household_id, first_household_id, kind)
);
