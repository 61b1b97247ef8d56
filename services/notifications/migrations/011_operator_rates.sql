-- When each operator may be given its next segment: what all processes together have handed over keeps to its rate.
create table operator_rate (
    operator text primary key,
    next_at  timestamptz not null default now()
);
