-- Only the keys of payees are kept from now on: a key that is kept must also see its destruction.
delete from household_key where purpose <> 'payee';
