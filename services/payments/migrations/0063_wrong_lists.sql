-- Which list (its version) a likeness was found in, and which wrong list a hold was released for: such a release says
-- nothing about the likeness, so that the right list holds again.
alter table screening_hit add column list text;
alter table payment_hold add column released_list text check (released_list is null or released_at is not null);
create index screening_hit_list on screening_hit (list);
