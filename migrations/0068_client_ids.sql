-- A message without a time of its own may carry an id of its sender (HTTP Idempotency-Key); it stands in extra.clientId, so that the
-- same message sent again is found.
create index observation_client on observation_hot (datastream_id, (extra ->> 'clientId')) where extra ? 'clientId';
