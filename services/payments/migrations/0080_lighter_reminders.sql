-- Hundreds of random ids don't compress: trying to costs more than the bytes.
alter table reminder alter column household_ids set storage external, alter column payment_ids set storage external;
