-- Households and accounts (their keyed digest) that are not paid until another person lets them go.
create table payment_hold (
    hold_id text primary key,
    household_id text,
    account_digest text,
    reason text not null check (reason ~ '^[a-z0-9-]{1,40}$'),
    placed_by text not null,
    placed_at timestamptz not null,
    released_by text,
    released_at timestamptz,
    release_reason text,
    check ((household_id is null) <> (account_digest is null)),
    check ((released_by is null) = (released_at is null) and (released_by is null) = (release_reason is null)),
    constraint placer_does_not_release check (released_by <> placed_by)
);
create unique index payment_hold_household on payment_hold (household_id, reason) where released_at is null;
create unique index payment_hold_account on payment_hold (account_digest, reason) where released_at is null;
