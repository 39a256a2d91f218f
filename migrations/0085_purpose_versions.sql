alter table purpose_register add column approval text;
alter table purpose_register add column log_index bigint;
comment on table purpose_register is 'purpose: city-operations. Every version of the register of purposes that was ever in force, the approval of two people that brought it, and its leaf in the transparency log.';
