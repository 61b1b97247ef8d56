-- What ministries were told of a household, numbered; `referrals` is the last number.
alter table household add column referrals bigint not null default 0;

-- Referrals made, each with the decision it came with. `mark` names what it rests on by a digest under the household's
-- own key, so that it tells nobody anything, and nothing once that key is destroyed. `service` is empty of a ministry
-- that offers something sensitive. `withdrawn_number` is the number under which its ministry was told that it is withdrawn.
create table referral (
    household_id text not null,
    number bigint not null,
    recipient text not null,
    service text,
    mark bytea not null,
    decision_id text not null,
    made_at timestamptz not null,
    withdrawn_number bigint,
    withdrawn_at timestamptz,
    primary key (household_id, number),
    check ((withdrawn_number is null) = (withdrawn_at is null))
);
create index referral_made on referral (made_at desc, household_id, number);
