-- A household's id is drawn when it is registered and says nothing of its reference, by which it is looked up.
create unique index household_reference on household (reference);

-- Who is not registered has no id: refused rows and duplicates are known by their reference.
alter table quarantine rename column household_id to reference;
alter index quarantine_open_household rename to quarantine_open_reference;
update quarantine set reference = nullif(left(original::json ->> 'reference', 65), '');
update quarantine set reference = null where length(reference) > 64;

alter table duplicate_case rename column household_id to reference;
update duplicate_case c set reference = h.reference from household h where h.household_id = c.reference;
