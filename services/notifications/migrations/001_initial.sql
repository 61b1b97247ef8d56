-- One SMS: what it tells (no person in the clear), to whom (sealed as its event carried it), what became of it.
-- none: it is not sent, and why. unknown: it may have been sent, and is never sent again by itself.
create table sms (
    sms_id         text primary key,
    household_id   text not null,
    payment_id     text not null,
    template       text not null,
    programme      text not null,
    partner        text not null,
    period         text not null,
    amount         bigint not null,
    until          date not null,
    event_id       text not null,
    event_type     text not null,
    key_id         text not null,
    payee          bytea,
    state          text not null
                   check (state in ('queued', 'sending', 'sent', 'failed', 'unknown', 'none')),
    reason         text,
    version        integer not null default 1,
    attempts       integer not null default 0,
    not_before     timestamptz not null default now(),
    claimed_by     text,
    claimed_at     timestamptz,
    language       text,
    encoding       text,
    segments       integer,
    correlation_id text not null,
    traceparent    text not null,
    told_at        timestamptz not null,
    finished_at    timestamptz,
    check (state <> 'none' or reason is not null),
    check (state not in ('queued', 'sending') or payee is not null),
    check (state <> 'sending' or (claimed_by is not null and claimed_at is not null))
);
-- The statistics lag behind a queue that fills and empties in seconds; vacuum early, it is cheap here.
alter table sms set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index sms_queue on sms (not_before, sms_id) where state = 'queued';
create index sms_claims on sms (claimed_at) where state = 'sending';
create index sms_household on sms (household_id);
