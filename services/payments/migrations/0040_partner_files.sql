-- What a partner that reads no topic is to be told. `token`: the instruction, sealed to us, until it was told;
-- `message_id`: the file or call it went out in, null while it waits,
-- empty where it can't be told at all (`flaw`).
create table outgoing (
    household_id text not null,
    instruction_id text not null,
    partner text not null,
    payment_id text not null,
    kind text not null,
    amount bigint not null check (amount >= 0),
    token bytea,
    flaw text,
    queued_at timestamptz not null,
    message_id text,
    primary key (household_id, instruction_id)
);
create index outgoing_waiting on outgoing (partner, instruction_id) where message_id is null;
create index outgoing_message on outgoing (message_id, instruction_id) where message_id is not null;
create index outgoing_payment on outgoing (payment_id);

-- A file or call to a partner: what is in it was written down before it was made, so that it is made once.
create table partner_message (
    message_id text primary key,
    partner text not null,
    kind text not null check (kind in ('pay', 'ask')),
    payments integer not null check (payments > 0),
    riel bigint not null,
    state text not null check (state in ('claimed', 'told')),
    created_at timestamptz not null,
    told_at timestamptz
);
create index partner_message_open on partner_message (partner, created_at) where state = 'claimed';

-- A file of a partner, known by its bytes: loaded twice it changes nothing. `rows_done`: where the job stands.
create table partner_file (
    partner text not null,
    sha256 text not null,
    message text not null,
    state text not null check (state in ('received', 'done', 'refused')),
    reason text,
    remedy text,
    size_bytes bigint not null,
    rows_total integer,
    rows_done integer not null default 0,
    rows_booked integer not null default 0,
    rows_known integer not null default 0,
    rows_parked integer not null default 0,
    loaded_by text not null,
    loaded_at timestamptz not null,
    finished_at timestamptz,
    primary key (partner, sha256)
);
create index partner_file_open on partner_file (loaded_at) where state = 'received';

-- A row that could not be booked, and why. It can be tried again, unless it is `flawed` in itself.
create table partner_row (
    partner text not null,
    sha256 text not null,
    position integer not null,
    payment_id text,
    status text,
    amount bigint,
    reference text,
    reason_code text,
    occurred_at timestamptz,
    why text not null,
    flawed boolean not null,
    parked_at timestamptz not null,
    tried_at timestamptz,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    primary key (partner, sha256, position)
);
create index partner_row_open on partner_row (partner, sha256, position) where resolved_at is null;

-- A bank's statement or notice, and what moved on the account.
create table statement (
    partner text not null,
    statement_id text not null,
    account text not null,
    sha256 text not null,
    message text not null,
    sequence bigint,
    day date,
    opening bigint,
    closing bigint,
    primary key (partner, account, statement_id)
);
create table bank_line (
    partner text not null,
    sha256 text not null,
    position integer not null,
    account text not null,
    statement_id text not null,
    payment_id text,
    batch text,
    amount bigint not null,
    incoming boolean not null,
    returned boolean not null,
    booked boolean not null,
    day date,
    fee bigint not null,
    reference text,
    reason text,
    primary key (partner, sha256, position)
);
create index bank_line_payment on bank_line (payment_id) where payment_id is not null;
