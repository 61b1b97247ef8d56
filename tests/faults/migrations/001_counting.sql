create table total (key text primary key, sum bigint not null, sequence bigint not null);
-- No unique key on purpose: a doubled effect must show, not be stopped.
create table effect (id bigint not null check (id >= 0), key text not null);
create table answer (key text primary key);
