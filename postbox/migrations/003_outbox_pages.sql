-- What a row of the outbox says is kept in pages beside it: half the work of one large value that is cut up elsewhere.
do $$ begin
    if exists (select from outbox where published_at is null) then
        raise exception 'messages wait to be published: let the version that wrote them publish them first';
    end if;
end $$;
delete from outbox;
alter table outbox drop column messages, alter column strand set not null;
create table outbox_page (
    outbox_id bigint not null,
    number integer not null,
    part bytea not null,
    primary key (outbox_id, number)
);
alter table outbox_page alter column part set storage plain;

-- The whole of what a row says, as packing.py wrote it.
create function outbox_messages(of_id bigint) returns bytea language sql stable as
    $$ select string_agg(part, '' order by number) from outbox_page where outbox_id = of_id $$;
