-- For a schema that has threads already: the upkeep counts them in batches, and index rows without a thread.
insert into {schema}.memory_backlog (session_id, last_at)
select session_id, coalesce(updated_at, created_at) from {schema}.agno_sessions
union all select session_id, 0 from {schema}.memory_thread
union all select session_id, 0 from {schema}.memory_participant on conflict do nothing;
