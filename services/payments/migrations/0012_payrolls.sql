-- Two ways to approve before money moves: `standing` lets decisions pass as they arrive, `payroll` frozen lists only.
-- `asks_standing`: it is proposed that late joiners pass as they arrive, too, and a second person decides.
alter table cycle add column approval text not null default 'standing' check (approval in ('standing', 'payroll'));
alter table cycle add column asks_standing boolean not null default false;
alter table cycle drop constraint approved_by_someone;
alter table cycle add constraint approved_by_someone
    check (state <> 'approved' or decided_by is not null or proposed is not null or asks_standing);
alter table cycle_step drop constraint cycle_step_step_check;
alter table cycle_step add constraint cycle_step_step_check
    check (step in ('open', 'submit', 'approve', 'refuse', 'close', 'fund', 'let-in'));

-- A list of what waits, frozen and approved by its content. `approvers`: how many people it takes.
create table payroll (
    cycle_id text not null references cycle,
    number integer not null check (number > 0),
    state text not null check (state in ('freezing', 'frozen', 'approved', 'released', 'refused')),
    prepared_by text[] not null check (cardinality(prepared_by) > 0),
    approvers integer check (approvers between 1 and 3),
    households bigint not null default 0,
    riel bigint not null default 0,
    digest text,
    freeze_after text not null default '',
    begun_at timestamptz not null,
    frozen_at timestamptz,
    primary key (cycle_id, number),
    check ((state = 'freezing') = (digest is null)),
    check ((digest is null) = (approvers is null) and (digest is null) = (frozen_at is null))
);
create unique index payroll_one_undecided on payroll (cycle_id) where state in ('freezing', 'frozen');

create table payroll_line (
    cycle_id text not null,
    number integer not null,
    household_id text not null,
    amount bigint not null check (amount > 0),
    decision_id text not null,
    payee_digest text not null,
    primary key (cycle_id, number, household_id),
    foreign key (cycle_id, number) references payroll
);

-- Who decided what on which content, and why: written once, never changed.
create table payroll_decision (
    cycle_id text not null,
    number integer not null,
    actor text not null,
    verdict text not null check (verdict in ('approve', 'refuse')),
    digest text not null,
    reason text not null check (reason <> ''),
    at timestamptz not null,
    primary key (cycle_id, number, actor),
    foreign key (cycle_id, number) references payroll
);

create trigger payroll_line_is_final before update or delete or truncate on payroll_line
    for each statement execute function refuse_to_change();
create trigger payroll_decision_is_final before update or delete or truncate on payroll_decision
    for each statement execute function refuse_to_change();
create trigger payroll_stays before delete or truncate on payroll
    for each statement execute function refuse_to_change();

create function payroll_line_only_while_freezing() returns trigger language plpgsql as $$
begin
    if exists (select from lines join payroll p using (cycle_id, number) where p.state <> 'freezing') then
        raise exception 'a payroll that is frozen takes no more lines' using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
create trigger payroll_line_only_while_freezing after insert on payroll_line
    referencing new table as lines for each statement execute function payroll_line_only_while_freezing();

create function payroll_decision_by_another() returns trigger language plpgsql as $$
declare p payroll;
begin
    select * into p from payroll where (cycle_id, number) = (new.cycle_id, new.number) for update;
    if p.state <> 'frozen' then
        raise exception 'only a frozen payroll is decided on' using errcode = 'restrict_violation';
    elsif new.actor = any(p.prepared_by) then
        raise exception 'who prepared a payroll does not decide on it' using errcode = 'restrict_violation';
    elsif new.digest <> p.digest then
        raise exception 'a decision is on the content that was frozen' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger payroll_decision_by_another before insert on payroll_decision
    for each row execute function payroll_decision_by_another();

create function payroll_only_as_decided() returns trigger language plpgsql as $$
declare said integer;
begin
    if old.state <> 'freezing' and (new.digest, new.households, new.riel, new.approvers, new.prepared_by)
            is distinct from (old.digest, old.households, old.riel, old.approvers, old.prepared_by) then
        raise exception 'a payroll that is frozen does not change' using errcode = 'restrict_violation';
    end if;
    if new.state in ('approved', 'released') then
        select count(*) into said from payroll_decision
            where (cycle_id, number) = (new.cycle_id, new.number) and verdict = 'approve';
        if said < new.approvers or old.state not in ('frozen', 'approved', 'released') then
            raise exception 'it takes % people to approve this payroll', new.approvers
                using errcode = 'restrict_violation';
        end if;
    end if;
    return null;
end $$;
create constraint trigger payroll_only_as_decided after insert or update on payroll
    for each row execute function payroll_only_as_decided();
