-- Calls back that were refused whole: forged, expired, or no message at all. The newest of each partner are kept as
-- they came, so that they can be looked at; nothing of them is booked. `body` may be only its beginning.
create table refused_callback (
    partner text not null,
    digest text not null,
    action text not null,
    why text not null,
    body bytea not null,
    times integer not null default 1,
    first_at timestamptz not null,
    last_at timestamptz not null,
    primary key (partner, digest)
);
create index refused_callback_last on refused_callback (partner, last_at);
