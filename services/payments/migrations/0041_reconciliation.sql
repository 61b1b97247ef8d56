-- What a person found out about a difference, and accepted: it is closed as long as its riel stay the same.
create table reconciled (
    kind text not null,
    partner text not null,
    subject text not null,
    riel bigint not null,
    reason text not null,
    closed_by text not null,
    closed_at timestamptz not null,
    primary key (kind, partner, subject, riel)
);
create trigger reconciled_is_final before update or delete or truncate on reconciled
    for each statement execute function refuse_to_change();
