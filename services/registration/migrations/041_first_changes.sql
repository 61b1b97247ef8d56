-- How a household was first registered stands with it: one row less. `registered_by` is null where a file brought it, whose
-- caller is known. Null all of it where it stands in household_change, as before.
alter table household
    add column registered_at timestamptz,
    add column registered_by text,
    add column row_number    integer,
    add column traceparent   text;
create index household_by_hand on household (household_id) where import_id is null and registered_at is not null;

create view every_change as
select household_id, 1 as revision, 'registered' as kind, h.registered_at as at, coalesce(h.registered_by, i.caller) as actor,
       null as reason, h.import_id, h.row_number, h.traceparent
from household h left join import i on i.import_id = h.import_id where h.registered_at is not null
union all
select household_id, revision, kind, at, actor, reason, import_id, row_number, traceparent from household_change;
