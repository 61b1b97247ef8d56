-- What payments must be told once a cycle is answered, a row for each partition of the households' topic: who was
-- registered before `registered_below` belongs to the cycle. `told_at` is empty until all of them are answered.
create table answer (
    cycle_id text not null,
    opening bigint not null,
    partition integer not null,
    registered_below bigint not null,
    answered_below bigint,
    unanswered bigint,
    told_at timestamptz,
    primary key (cycle_id, opening, partition),
    check ((told_at is null) = (answered_below is null) and (told_at is null) = (unanswered is null))
);
