-- A log that was begun anew counts its leaves from 0 again. What points at leaves of a log that was put aside goes below zero then:
-- n * 2^40 + index - 2^52 in the n-th of them, so that no two leaves have one number and their order stays.
comment on column look.leaf_index is 'Place of the leaf: its index, or below zero in a log that was put aside.';
comment on column sealed_look.leaf_index is 'Place of the leaf: its index, or below zero in a log that was put aside.';
create index log_body_old_leaf on log_body_old (log_number, leaf_index);
