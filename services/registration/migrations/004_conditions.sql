-- Condition reports of households, numbered without a gap; `reference` is their business key. What is
-- reported stands sealed on the topic alone; here it is known by hashes.
create table condition_report (
    household_id   text not null,
    number         integer not null,
    reference_hash bytea not null,
    content_hash   bytea not null,
    reported_on    date not null,
    reported_by    text not null,
    at             timestamptz not null,
    traceparent    text not null,
    primary key (household_id, number)
);
create index condition_report_reference on condition_report (household_id, reference_hash, number);
create trigger condition_report_is_final before update or truncate on condition_report
    for each statement execute function refuse_to_change();
