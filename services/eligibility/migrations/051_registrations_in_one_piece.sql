-- A registration of more than 2 kB, as one in five is, stays in its row: moved out it is written as two rows more.
alter table registration set (toast_tuple_target = 8160);
