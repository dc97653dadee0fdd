-- What is read from a stored run. Anything in it may be missing or of another type, so the type of each value is
-- checked before it is used.
--
-- A whole number. The limits keep the cast to bigint from failing.
create or replace function {schema}.memory_int(v jsonb) returns bigint language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'number' then
        case when v::numeric between -9e15 and 9e15 then trunc(v::numeric)::bigint end
    end
$$;
-- A number that counts something, never negative.
create or replace function {schema}.memory_count(v jsonb) returns bigint language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'number' then least(greatest(trunc(v::numeric), 0), 1e12)::bigint end
$$;
-- An array, empty if the value is none.
create or replace function {schema}.memory_list(v jsonb) returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'array' then v else '[]'::jsonb end
$$;
-- One line of at most 160 characters. Cut before white space is folded, because a text may have megabytes.
create or replace function {schema}.memory_line(v text) returns text language sql immutable parallel safe as $$
    select nullif(left(regexp_replace(left(btrim(left(v, 1000), E' \n\r\t'), 300), '\s\s+|[^\S ]', ' ', 'g'), 160), '')
$$;
-- One line of a message's content, which is a string or a list of parts.
create or replace function {schema}.memory_text(v jsonb) returns text language sql immutable parallel safe as $$
    select {schema}.memory_line(case jsonb_typeof(v) when 'string' then v #>> '{}' when 'array' then (
        select string_agg(case jsonb_typeof(p) when 'string' then p #>> '{}' else p ->> 'text' end, ' ' order by n)
        from jsonb_array_elements(v) with ordinality as e (p, n)) end)
$$;
-- The first own message of a role, or the last one.
create or replace function {schema}.memory_said(run jsonb, who text, latest boolean) returns text
language sql immutable parallel safe as $$
    select {schema}.memory_text(m -> 'content')
    from jsonb_array_elements({schema}.memory_list(run -> 'messages')) with ordinality as e (m, n)
    where m ->> 'role' = who and m -> 'from_history' is distinct from 'true'::jsonb
    order by case when latest then -n else n end limit 1
$$;
-- What a run was asked. The input of a workflow has no input_content: it is the text itself.
create or replace function {schema}.memory_title(run jsonb) returns text language sql immutable parallel safe as $$
    select coalesce({schema}.memory_text(run #> '{input,input_content}'), {schema}.memory_text(run -> 'input'),
        {schema}.memory_said(run, 'user', false))
$$;
-- What a run answered.
create or replace function {schema}.memory_preview(run jsonb) returns text language sql immutable parallel safe as $$
    select coalesce({schema}.memory_text(run -> 'content'), {schema}.memory_said(run, 'assistant', true))
$$;
-- The counts of one run. Copies of earlier turns and the system message are left out, text_bytes is the size of
-- all messages as jsonb. Counted by paths, which read the messages in place: to unnest them would copy each one.
create or replace function {schema}.memory_run_facts(run jsonb)
returns table (messages integer, tool_calls integer, tool_errors integer, text_bytes bigint,
               input_tokens bigint, output_tokens bigint)
language sql immutable parallel safe as $$
    select case when jsonb_typeof(m.stored) = 'array' then jsonb_array_length(jsonb_path_query_array(m.stored,
            '$[*] ? (@.type() == "object" && !(@.role == "system") && !(@.from_history == true)).type()')) else 0 end,
        greatest(case when m.stored @> '[{"role": "tool"}]' then jsonb_array_length(jsonb_path_query_array(m.stored,
                '$[*] ? (@.type() == "object" && @.role == "tool" && !(@.from_history == true)).type()')) end,
            case when jsonb_typeof(run -> 'tools') = 'array' then jsonb_array_length(run -> 'tools') end, 0),
        case when m.stored @> '[{"tool_call_error": true}]' then jsonb_array_length(jsonb_path_query_array(m.stored,
            '$[*] ? (@.type() == "object" && @.tool_call_error == true && !(@.role == "system")
                && !(@.from_history == true)).type()')) else 0 end,
        coalesce(pg_column_size(m.stored), 0)::bigint,
        coalesce({schema}.memory_count(run #> '{metrics,input_tokens}'), 0),
        coalesce({schema}.memory_count(run #> '{metrics,output_tokens}'), 0)
    from (select run -> 'messages' as stored offset 0) m
$$;
-- An id may be longer than an index row, so the key is a hash of it. memory/query.py computes the same.
create or replace function {schema}.memory_key(id text) returns uuid language sql stable parallel safe as $$
    select encode(substr(sha256(convert_to(id, 'UTF8')), 1, 16), 'hex')::uuid
$$;
-- The column `runs` of a thread, null where Agno has dropped it: then the name is that of the outer row.
create or replace function {schema}.memory_column(id text) returns jsonb language sql stable parallel safe as $$
    select found.runs from (select null::jsonb as runs) dropped
    cross join lateral (select runs::jsonb as runs from {schema}.agno_sessions where session_id = id) found
$$;
