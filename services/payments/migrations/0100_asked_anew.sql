-- How often there was reason to go through what waits in a cycle from its start: a job that began before does not end it.
alter table cycle add column issue_asked bigint not null default 0;
