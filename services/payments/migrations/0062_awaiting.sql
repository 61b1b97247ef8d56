-- Decisions that wait. `covered`: their cycle is approved, and they pass as they arrive or stand on an approved list.
create view awaiting as
    select d.*, c.state = 'approved' and (c.approval = 'standing' or l.household_id is not null) as covered
    from decision d join cycle c using (cycle_id) left join (
        select distinct cycle_id, household_id, decision_id
        from payroll_line join payroll using (cycle_id, number) where state in ('approved', 'released')) l
        on l.cycle_id = d.cycle_id and l.household_id = d.household_id and l.decision_id = d.decision_id
    where d.waiting is not null;
