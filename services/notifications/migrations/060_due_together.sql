-- SMS that wait for the same time stand in one row, and one that is being sent stands in `sms_claim` alone: its own row
-- changes once, when it has ended. Who looks for single SMS in `sms_due` must have ended.
create table due_together (
    priority   smallint not null,
    not_before timestamptz not null,
    sms_ids    text[] not null
);
insert into due_together select priority, not_before, array[sms_id] from sms_due;
drop table sms_due;
alter table due_together rename to sms_due;
create index sms_due_order on sms_due (priority, not_before);
alter table sms_due set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
