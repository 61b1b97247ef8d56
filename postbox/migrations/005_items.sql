-- A record may hold many messages: `item` is a message's number there, from 1 on; 0 is the record itself.
alter table parked add column item integer not null default 0;
alter table parked drop constraint parked_topic_partition_offset_key;
alter table parked add unique (topic, partition, "offset", item);
alter table dismissed add column item integer not null default 0;

-- The bytes of such a record, byte for byte and once, while one of its messages is parked or was dismissed.
create table bundle (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    record_value bytea not null,
    primary key (topic, partition, "offset")
);
