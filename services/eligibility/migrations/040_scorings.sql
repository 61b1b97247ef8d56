-- Every scoring ever made, one row for all that may be read of its decisions: `decisions` is JSON as it is told.
-- Written once and never changed. `decision_made` holds those from before, a row each.
create table scoring (
    household_id text not null,
    sequence bigint not null,
    revision bigint not null,
    cause_id text not null,
    traceparent text not null,
    decided_at timestamptz not null,
    decisions text not null,
    primary key (household_id, sequence)
);
create trigger scoring_is_final before update or delete or truncate on scoring
    for each statement execute function refuse_to_change();

create view every_decision as
    select household_id, sequence, programme, programme_hash, revision, cause_id, as_of, cycle_id, period, outcome,
        amount, reasons, lines, traceparent, decided_at
    from decision_made
    union all
    select s.household_id, s.sequence, made ->> 'programme', made ->> 'programme_hash', s.revision, s.cause_id,
        (made ->> 'as_of')::date, made ->> 'cycle_id', made ->> 'period', made ->> 'outcome',
        (made ->> 'amount')::bigint, made ->> 'reasons', made ->> 'lines', s.traceparent, s.decided_at
    from scoring s cross join lateral json_array_elements(s.decisions::json) as made;

create or replace view decision as
    select made.* from every_decision made join household using (household_id, sequence);
