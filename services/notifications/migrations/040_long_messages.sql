-- Long SMS whose parts come one by one. `kept` is encrypted by the master key, bound to `long_id` (a keyed hash of sender,
-- recipient and reference): parts that wait for others, and of those that were told the digest alone, so that one that
-- comes again is known. `due_at`: when what came is told as it is, or where nothing waits, when the row goes.
create table long_message (
    long_id text primary key,
    kept    bytea not null,
    waits   boolean not null,
    due_at  timestamptz not null
);
create index long_message_due on long_message (due_at);
