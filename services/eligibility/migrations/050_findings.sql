-- What scorings come to: their decisions as they are told (JSON), once for all households that come to the same.
-- `digest` (SHA-256) finds a text; two processes that meet it first may keep one each, so that neither waits.
-- Written once and never changed.
create table finding (
    id bigint generated always as identity primary key,
    digest bytea not null,
    decisions text not null
);
create index finding_digest on finding (digest);
create trigger finding_is_final before update or delete or truncate on finding
    for each statement execute function refuse_to_change();

-- `decisions` is what a scoring from before says itself.
alter table scoring add column finding bigint, alter column decisions drop not null,
    add check ((decisions is null) <> (finding is null));

create or replace view every_decision as
    select household_id, sequence, programme, programme_hash, revision, cause_id, as_of, cycle_id, period, outcome,
        amount, reasons, lines, traceparent, decided_at
    from decision_made
    union all
    select s.household_id, s.sequence, made ->> 'programme', made ->> 'programme_hash', s.revision, s.cause_id,
        (made ->> 'as_of')::date, made ->> 'cycle_id', made ->> 'period', made ->> 'outcome',
        (made ->> 'amount')::bigint, made ->> 'reasons', made ->> 'lines', s.traceparent, s.decided_at
    from scoring s left join finding f on f.id = s.finding
        cross join lateral json_array_elements(coalesce(s.decisions, f.decisions)::json) as made;
