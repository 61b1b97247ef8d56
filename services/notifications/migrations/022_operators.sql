-- The operator whose number an SMS was handed over for, as the number's prefix says.
alter table sms add column operator text;
