-- A payee is kept only while a decision of the household waits, so most households have none to look up.
drop index household_payee_key;
create index household_payee_key on household (payee_key_id) where payee_key_id is not null;
-- Payments opens payees alone: what it kept of persons' keys goes.
delete from household_key where purpose <> 'payee';
