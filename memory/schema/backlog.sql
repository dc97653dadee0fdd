-- For a schema that has threads already: the upkeep counts them in batches.
insert into {schema}.memory_backlog (session_id) select session_id from {schema}.agno_sessions on conflict do nothing;
