-- A call to a partner may end in doubt: `tried_at` is written before it is made, and then it is asked about first.
alter table partner_message add tried_at timestamptz;

-- A partner that is down, or held by a person (`by`): what waits for it waits, and others proceed.
create table partner_pause (
    partner text primary key,
    reason text not null,
    by text,
    since timestamptz not null
);
