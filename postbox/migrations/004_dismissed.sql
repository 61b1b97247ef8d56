-- Messages that a person dismissed: they will never be handled, and are kept byte for byte with who said so and why.
create table dismissed (
    id bigint primary key,
    key text,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    record_key bytea,
    record_value bytea,
    headers bytea not null,
    reason text not null,
    attempts integer not null,
    parked_at timestamptz not null,
    dismissed_by text not null,
    why text not null,
    dismissed_at timestamptz not null default now()
);
create function refuse_to_undo() returns trigger language plpgsql as $$
begin
    raise exception '% is written once and never changed', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger dismissed_is_final before update or delete or truncate on dismissed
    for each statement execute function refuse_to_undo();
