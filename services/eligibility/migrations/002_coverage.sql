-- Who was reached on a day, counted in chunks: `after` is how far it got. `counts` are the sums so far (JSON, of
-- nobody by name) and emptied at the end, so that what is kept is the report, which shows no small count.
create table coverage (
    as_of date primary key,
    households bigint not null,
    seen bigint not null default 0,
    unreadable bigint not null default 0,
    after text not null default '',
    counts text not null default '{}',
    report text,
    started_at timestamptz not null,
    finished_at timestamptz
);
