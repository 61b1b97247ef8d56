-- What a partner that reads no topic is never told: who can't be paid so, and what it is asked to stop.
create index outgoing_unsent on outgoing (partner, household_id, instruction_id)
    where message_id is null and (flaw is not null or kind = 'cancel');
