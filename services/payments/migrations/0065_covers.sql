-- Who asked that the envelope pay for a late settlement, and why; another person has it done. What one person covered
-- before stays as it is.
alter table difference
    add column cover_by text,
    add column cover_reason text,
    add constraint covered_by_two
        check (resolution is distinct from 'covered' or coalesce(resolved_by <> cover_by, false)) not valid;
