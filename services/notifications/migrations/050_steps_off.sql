-- Steps of a payment that happened and were not told, with spaces between: they leave no SMS of their own any more.
alter table payment add column steps_off text not null default '';
