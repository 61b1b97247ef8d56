-- Who is forgotten is found by household: its key's record names it.
drop index contact_key;
