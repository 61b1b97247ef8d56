-- Positions are the truth; Kafka's committed offsets are only a hint. `last_record` is a checksum of the record
-- before `next_offset`, so that a log that was cut short and written on is recognised.
create table position (
    topic text not null,
    partition integer not null,
    next_offset bigint not null default 0,
    last_record bigint,
    stopped text,
    updated_at timestamptz not null default now(),
    primary key (topic, partition)
);

-- One row per batch and lane; published rows are kept a while, so that a shortened log can be refilled.
create table outbox (
    id bigint generated always as identity primary key,
    lane text not null,
    next_offset bigint,
    message_count integer not null,
    messages bytea not null,
    created_at timestamptz not null default now(),
    published_at timestamptz
);
alter table outbox alter column messages set storage external;
create index outbox_unpublished on outbox (lane, id) where published_at is null;
create index outbox_published on outbox (published_at) where published_at is not null;

-- A message that could not be handled, byte for byte. `wait` is tried again by itself until its deadline,
-- `behind` waits for an earlier one of its key, `park` waits for a person.
create table parked (
    id bigint generated always as identity primary key,
    key text,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    record_key bytea,
    record_value bytea,
    headers bytea not null,
    handling text not null check (handling in ('wait', 'behind', 'park')),
    reason text not null,
    attempts integer not null default 1,
    parked_at timestamptz not null default now(),
    retry_at timestamptz,
    deadline timestamptz,
    traceparent text,
    unique (topic, partition, "offset")
);
create index parked_key on parked (key, id);
create index parked_retry on parked (retry_at) where retry_at is not null;

-- While a key is held, later messages of it are set aside in order.
create table hold (
    key text primary key,
    reason text not null,
    since timestamptz not null default now()
);

-- Who may call: bearer tokens, hashed; `area` is a gazetteer prefix, '' the whole nation.
create table caller (
    name text primary key,
    token_sha256 bytea not null unique,
    actions text[] not null,
    area text not null default '',
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
