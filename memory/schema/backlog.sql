-- For a schema that has threads already: the upkeep counts them in batches, and index rows without a thread.
insert into {schema}.memory_backlog (session_id)
select session_id from {schema}.agno_sessions union select session_id from {schema}.memory_thread
union select session_id from {schema}.memory_participant on conflict do nothing;
