-- SMS that are to go at once are copied, which is cheaper: what they have in common is said here.
alter table sms alter state set default 'queued';
alter table sms_due alter not_before set default now();
