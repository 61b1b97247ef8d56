-- SMS that came in. `sender` and `text` are encrypted by the master key, bound to the message; `text` is null where it
-- travelled under the household's own key, or says nothing. Who asked for help against violence has no row here.
create table message (
    message_id   text primary key,
    kind         text not null check (kind in ('stop', 'start', 'help', 'complaint', 'other')),
    household_id text,
    sender       bytea not null,
    text         bytea,
    language     text not null,
    received_at  timestamptz not null
);
create index message_household on message (household_id) where household_id is not null;
create index message_age on message (received_at);

-- Which messages came, of every kind alike, so that one that a gateway tells again is one.
create table message_seen (
    message_id text primary key,
    on_date    date not null
);
create index message_seen_age on message_seen (on_date);

-- How often a number (by a hash of that day's own) was answered on a day, so that two machines never answer each other for ever.
create table answered (
    number_hash bytea not null,
    on_date     date not null,
    answers     integer not null,
    unknown     integer not null,
    primary key (number_hash, on_date)
);

-- Requests for help against violence, sealed to the protection role's key and padded: nothing else is known of them.
create table protection_request (
    request_id text primary key,
    sealed     bytea not null,
    on_date    date not null
);
-- Who read them, and when. Rows are only ever added.
create table protection_reading (
    reading_id bigint generated always as identity primary key,
    reader     text not null,
    requests   integer not null,
    at         timestamptz not null default now()
);
create function refuse_to_change() returns trigger language plpgsql as $$
begin
    raise exception '% is written once and never changed', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger protection_reading_is_final before update or delete or truncate on protection_reading
    for each statement execute function refuse_to_change();

-- An answer to an SMS that came in belongs to no household: its words and number wait encrypted in `answer`, and are
-- gone once it has ended.
alter table sms add column answer bytea;
