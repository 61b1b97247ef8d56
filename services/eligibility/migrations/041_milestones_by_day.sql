-- Whoever is due on a day is taken in any order, so the day alone is indexed: half the cost of keeping it.
drop index registration_due;
create index registration_due on registration (due_on) where due_on is not null;
