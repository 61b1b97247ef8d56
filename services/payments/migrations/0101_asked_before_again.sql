-- Before what ended is sent again by itself, its partner is asked once more. `asked`: the question's id; `confirmed_at`: when
-- it answered that this is over indeed, or when it was known that nothing has to be asked.
alter table reissue add column asked text, add column asked_at timestamptz, add column confirmed_at timestamptz;
