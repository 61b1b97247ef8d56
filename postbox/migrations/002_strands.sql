-- A key's records are all in one strand, whichever lane wrote them, so that they go out in the order of `id`.
-- null: written before there were strands.
alter table outbox add column strand integer;
create index outbox_strand on outbox (strand, id) where published_at is null;
