-- Data keys of households, wrapped by the master key. A destroyed key stays as a row without key material.
create table household_key (
    household_id  text not null,
    key_id        text primary key,
    purpose       text not null,
    state         text not null check (state in ('active', 'destroyed')),
    wrapped       bytea,
    master_key_id text,
    check ((state = 'active') = (wrapped is not null and master_key_id is not null)),
    check (state = 'active' or wrapped is null)
);
