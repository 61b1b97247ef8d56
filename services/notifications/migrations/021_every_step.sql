-- Whom to tell, as last registered: sealed as its event (`event_id`) carried it. A number is kept as a keyed hash
-- alone, so that shared phones and opt-outs are found; one that is forgotten keeps its row and nothing of it.
create table contact (
    household_id  text primary key,
    revision      integer not null,
    commune       text not null,
    reach         text not null check (reach in ('sms', 'no-phone', 'no-wish', 'forgotten')),
    event_id      text not null,
    key_id        text not null,
    payee         bytea,
    number_hash   bytea,
    fallback_hash bytea,
    check (reach = 'forgotten' or payee is not null)
);
create index contact_number on contact (number_hash) where number_hash is not null;
create index contact_key on contact (key_id);
create index contact_commune on contact (commune) where reach = 'no-phone';

-- A payment as it was told: what it is by payment.issued.v1, how it stands by payment.updated.v1, in any order.
create table payment (
    payment_id     text primary key,
    household_id   text not null,
    programme      text,
    partner        text,
    period         text,
    amount         bigint,
    until          date,
    state          text not null default 'issued',
    sequence       integer not null default 0,
    reminded       boolean not null default false,
    event_id       text not null,
    correlation_id text not null,
    traceparent    text not null
);
create index payment_to_collect on payment (until) where state = 'accepted' and not reminded;

-- How a household stood when it was last scored.
create table standing (
    household_id text primary key,
    sequence     integer not null,
    standing     text not null
);

-- What an SMS says is read when it is sent: `not_before` puts it off (`waiting`), the lowest `priority` goes first.
alter table sms
    drop column programme, drop column partner, drop column period, drop column amount, drop column until,
    drop column event_type, drop column key_id, drop column payee,
    alter column payment_id drop not null,
    add column on_date date,
    add column priority smallint not null default 0;
alter table sms drop constraint sms_state_check;
alter table sms add constraint sms_state_check
    check (state in ('waiting', 'queued', 'sending', 'sent', 'failed', 'unknown', 'none'));
drop index sms_queue;
create index sms_queue on sms (priority, not_before, sms_id) where state in ('queued', 'waiting');
