-- How many people must approve what was asked of a cycle last, and who has. A yes that is not the last yet is a step of
-- its own, so that nobody's can be changed.
alter table cycle
    add column approvers integer not null default 1 check (approvers between 1 and 3),
    add column approved_by text[] not null default '{}';

create function cycle_step_by_another() returns trigger language plpgsql as $$
declare asked integer;
begin
    select max(version) into asked from cycle_step
        where cycle_id = new.cycle_id and step in ('submit', 'fund', 'let-in');
    if exists (select from cycle_step where cycle_id = new.cycle_id and step = 'approve'
            and version > asked and actor = new.actor) then
        raise exception 'who approved this does not decide on it again' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger cycle_step_by_another before insert on cycle_step
    for each row when (new.step in ('approve', 'refuse')) execute function cycle_step_by_another();

create function cycle_only_as_approved() returns trigger language plpgsql as $$
declare asked integer; said integer;
begin
    select max(version) into asked from cycle_step
        where cycle_id = new.cycle_id and step in ('submit', 'fund', 'let-in');
    if tg_op = 'UPDATE' and new.approvers <> old.approvers and asked is distinct from new.version then
        raise exception 'how many people approve is said when it is asked' using errcode = 'restrict_violation';
    end if;
    if tg_op = 'UPDATE' and new.funded > old.funded and new.funded is distinct from old.proposed then
        raise exception 'nobody asked for this envelope' using errcode = 'restrict_violation';
    end if;
    if tg_op = 'INSERT' or new.funded > old.funded or (new.state = 'approved' and
            (old.state <> 'approved' or new.approval <> old.approval)) then
        select count(distinct actor) into said from cycle_step where cycle_id = new.cycle_id
            and step = 'approve' and version > asked and actor <> all (new.prepared_by);
        if said < new.approvers then
            raise exception 'it takes % people to approve this', new.approvers using errcode = 'restrict_violation';
        end if;
    end if;
    return null;
end $$;
create trigger cycle_only_as_approved after update on cycle for each row
    when (new.funded > old.funded or new.approvers <> old.approvers or new.state <> old.state
        or new.approval <> old.approval)
    execute function cycle_only_as_approved();
create trigger cycle_inserted_as_approved after insert on cycle for each row
    when (new.state = 'approved' or new.funded > 0) execute function cycle_only_as_approved();
