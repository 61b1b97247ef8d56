-- A shock's households are taken in order of their ids by sorting them: the commune alone is indexed, at a sixth of the size.
drop index registration_commune;
create index registration_commune on registration (commune);
