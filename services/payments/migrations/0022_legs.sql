-- Each kind of transfer moves between its own two accounts, whoever writes it.
alter table transfer add constraint transfer_legs check ((kind, debit, credit) in (
    ('fund', 'envelope', 'funding'),
    ('issue', 'in-transit', 'envelope'),
    ('settle', 'paid', 'in-transit'),
    ('release', 'envelope', 'in-transit'),
    ('return', 'envelope', 'paid'),
    ('settle-late', 'paid', 'owed'),
    ('return-late', 'owed', 'paid'),
    ('cover', 'owed', 'envelope')));
