-- A household's last scoring stands with the household, as most are scored once: its number, the revision it is of, and what
-- a row of `scoring` says. It is moved there before another takes its place; those from before are there already.
alter table household
    add column scored_sequence bigint, add column scored_revision bigint, add column cause_id text,
    add column traceparent text, add column decided_at timestamptz, add column finding bigint,
    add check (num_nulls(scored_sequence, scored_revision, cause_id, traceparent, decided_at, finding) in (0, 6));

create function refuse_to_change_scoring() returns trigger language plpgsql as $$
begin
    raise exception 'a scoring is written once and never changed' using errcode = 'restrict_violation';
end $$;
create trigger last_scoring_is_final before update on household for each row
    when (not coalesce(new.scored_sequence > old.scored_sequence, old.scored_sequence is null)
        and (new.scored_sequence, new.scored_revision, new.cause_id, new.traceparent, new.decided_at, new.finding)
            is distinct from
            (old.scored_sequence, old.scored_revision, old.cause_id, old.traceparent, old.decided_at, old.finding))
    execute function refuse_to_change_scoring();
create trigger household_stays before delete or truncate on household
    for each statement execute function refuse_to_change_scoring();

create or replace view every_decision as
    select household_id, sequence, programme, programme_hash, revision, cause_id, as_of, cycle_id, period, outcome,
        amount, reasons, lines, traceparent, decided_at
    from decision_made
    union all
    select s.household_id, s.sequence, made ->> 'programme', made ->> 'programme_hash', s.revision, s.cause_id,
        (made ->> 'as_of')::date, made ->> 'cycle_id', made ->> 'period', made ->> 'outcome',
        (made ->> 'amount')::bigint, made ->> 'reasons', made ->> 'lines', s.traceparent, s.decided_at
    from (
        select household_id, sequence, revision, cause_id, traceparent, decided_at, decisions, finding from scoring
        union all
        select household_id, scored_sequence, scored_revision, cause_id, traceparent, decided_at, null, finding
        from household where finding is not null) s
        left join finding f on f.id = s.finding
        cross join lateral json_array_elements(coalesce(s.decisions, f.decisions)::json) as made;
