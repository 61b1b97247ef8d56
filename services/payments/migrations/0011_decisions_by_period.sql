-- One decision of each programme and period stands at a time ('' where it is for no cycle), by the event that made it:
-- what waits in one cycle goes on waiting when the next opens.
alter table decision add column decision_id text not null default '';
alter table decision add column revision bigint not null default 0;
update decision d set decision_id = h.decision_id, revision = h.revision, period = coalesce(d.period, '')
from household h where h.household_id = d.household_id;
alter table decision alter column period set not null;
alter table decision alter column decision_id drop default;
alter table decision alter column revision drop default;
alter table decision drop constraint decision_pkey;
alter table decision add primary key (household_id, programme, period);
