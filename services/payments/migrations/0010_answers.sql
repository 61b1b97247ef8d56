-- Which opening of a cycle eligibility must answer: the number of that step. Only what changes decisions counts.
alter table cycle add column opening integer not null default 1;
update cycle c set opening = s.version
from (select cycle_id, max(version) as version from cycle_step where step = 'open' group by cycle_id) s
where c.cycle_id = s.cycle_id;

-- What eligibility said of a cycle's partitions: whoever has read below `answered_below` there has all its answers.
create table answer (
    cycle_id text not null,
    partition integer not null,
    opening bigint not null,
    partitions integer not null,
    answered_below bigint not null,
    unanswered bigint not null,
    at timestamptz not null,
    primary key (cycle_id, partition)
);
