-- Who was compared with the screening list (a keyed digest of the name and the list), and what was alike (a digest of the
-- name alone): a hit is a hold, and once a person released it the same likeness does not hold again.
create table screened (
    household_id text not null,
    digest text not null,
    at timestamptz not null,
    primary key (household_id, digest)
);
create table screening_hit (
    household_id text not null,
    digest text not null,
    entry text not null,
    score integer not null check (score between 0 and 100),
    hold_id text not null,
    at timestamptz not null,
    primary key (household_id, digest, entry)
);
create index screening_hit_hold on screening_hit (hold_id);
