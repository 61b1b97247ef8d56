-- Complaints, as they stand. `number` is what people are told. `text` is as a registrar or the household wrote it; null
-- where it came by SMS from a number that is no one household's: then notifications keeps it, under `message_id`.
create table grievance (
    grievance_id text primary key,
    number       text not null unique,
    household_id text,
    message_id   text unique,
    commune      text not null,
    channel      text not null check (channel in ('sms', 'window')),
    category     text not null,
    text         text,
    decision_id  text,
    state        text not null check (state in
        ('opened', 'acknowledged', 'in_work', 'resolved', 'rejected', 'reopened', 'closed')),
    level        smallint not null check (level between 1 and 4),
    due_on       date not null,
    assigned_to  text,
    opened_at    timestamptz not null,
    sequence     integer not null
);
create index grievance_household on grievance (household_id) where household_id is not null;
create index grievance_late on grievance (due_on, grievance_id)
    where state in ('opened', 'acknowledged', 'in_work', 'reopened') and level < 4;
create sequence grievance_number;

-- Every step of every complaint: who, when and why. Rows are only ever added.
create table grievance_step (
    grievance_id text not null references grievance,
    sequence     integer not null,
    step         text not null,
    state        text not null,
    level        smallint not null,
    due_on       date not null,
    actor        text not null,
    note         text,
    at           timestamptz not null,
    primary key (grievance_id, sequence)
);
create trigger grievance_step_is_final before update or delete or truncate on grievance_step
    for each statement execute function refuse_to_change();
