-- What the gateway said later of an SMS it may have taken. awaited: until receipt_until; null: none was asked for.
alter table sms
    add column receipt text check (receipt in ('awaited', 'delivered', 'failed', 'unknown')),
    add column receipt_code text,
    add column receipt_until timestamptz,
    add check (receipt <> 'awaited' or receipt_until is not null);
create index sms_receipts on sms (receipt_until) where receipt = 'awaited';

-- A gateway that gives ids of its own (SMPP): which part of which SMS each is, and what was said of it.
create table gateway_message (
    gateway_message_id text primary key,
    sms_id             text not null references sms,
    receipt            text check (receipt in ('delivered', 'failed'))
);
create index gateway_message_sms on gateway_message (sms_id);

-- Receipts that nothing could be made of yet, or never: ids and codes only, neither number nor text.
create table receipt_parked (
    id          text not null,
    of_gateway  boolean not null,
    status      text not null,
    code        text,
    reason      text not null,
    copies      integer not null default 1,
    received_at timestamptz not null default now(),
    primary key (id, of_gateway, status)
);
create index receipt_parked_age on receipt_parked (received_at);
