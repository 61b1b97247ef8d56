-- Which SMS wait, apart from what they are: claiming and finishing one changes nothing that an index of `sms` holds, so
-- that its row changes in place (HOT). Who looks for waiting SMS in `sms` itself must have ended.
create table sms_due (
    sms_id     text not null,
    priority   smallint not null,
    not_before timestamptz not null
);
create index sms_due_order on sms_due (priority, not_before, sms_id);
alter table sms_due set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
insert into sms_due select sms_id, priority, not_before from sms where state in ('queued', 'waiting');

-- Which SMS are being sent: one row a claim, gone once what became of them is written.
create table sms_claim (
    claimed_by text primary key,
    claimed_at timestamptz not null,
    sms_ids    text[] not null
);
insert into sms_claim select claimed_by, min(claimed_at), array_agg(sms_id) from sms where state = 'sending' group by 1;

drop index sms_queue;
drop index sms_claims;
alter table sms set (fillfactor = 50);
