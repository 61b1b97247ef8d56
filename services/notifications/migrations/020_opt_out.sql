-- Numbers that asked for silence (STOP), by their keyed hash: never the number. START deletes the row.
create table opt_out (
    number_hash bytea primary key,
    since       timestamptz not null default now()
);
