-- What decisions are about, by a digest of it: a few a cycle, whoever is decided on.
create table matter (
    matter_id text primary key,
    programme text not null,
    programme_hash text not null,
    purpose text not null,
    cycle_id text,
    period text
);

-- What a household's latest event decided and waits for nothing: riel by matter, 0 where it was refused. `decided_by` is that
-- event's sequence: what an older process writes over it counts no more. Rows of `decision` are what waits, what is void,
-- and what was written before.
alter table household add column decided json, add column decided_by bigint;
create view every_decision as
    select household_id, programme, programme_hash, purpose, cycle_id, period, outcome, amount, decision_id, revision,
        waiting
    from decision
    union all
    select h.household_id, m.programme, m.programme_hash, m.purpose, m.cycle_id, coalesce(m.period, ''),
        case when d.value = '0' then 'refused' else 'eligible' end, d.value::bigint, h.decision_id, h.revision, null
    from household h cross join lateral json_each_text(h.decided) d join matter m on m.matter_id = d.key
    where h.decided_by = h.scored;
