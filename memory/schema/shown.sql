-- What a page shows of a run. A photo, copies of earlier turns or thousands of events must not hide the texts beside
-- them, so they are taken out before a run is fetched. What stands in their place is read by media.py and text_ids.py
-- of memory/transcript.
--
-- A long text: of the bytes of a file the number is kept, of any other text the beginning and the number.
create or replace function {schema}.memory_shown_text(t text) returns text language sql immutable parallel safe as $$
    select case
        when left(t, 300) ~ '^(data:[^,]*,)?[A-Za-z0-9+/_-]{60}' and right(t, 1000) !~ '[^A-Za-z0-9+/_=\n\r-]'
            then 'data:' || coalesce(substring(left(t, 300) from '^data:([^;,]*)'), '') || ';bytes='
                || octet_length(t) * 3 / 4
        when octet_length(t) > 100000 then left(
            case when position(';base64,' in t) > 0 then regexp_replace(t, ';base64,[A-Za-z0-9+/_=-]+', '', 'g')
                else t end, 100000) || e'…\u001f' || octet_length(t)
        else t end
$$;
-- Of a run, of a message and of what an answer cites, what no page shows. A result is in a message and in `tools`.
create or replace function {schema}.memory_hidden(v jsonb) returns text[] language sql immutable parallel safe as $$
    select case
        when v ? 'run_id' or v ? 'messages' and v ?| array['agent_id', 'team_id', 'workflow_id', 'status'] then
            array['session_state', 'metadata', 'additional_input', 'requirements', 'reasoning_messages',
                'workflow_history', 'model_provider_data', 'compaction', 'step_requirements', 'error_requirements']
        when v ? 'role' then array['provider_data', 'compressed_content']
        when v ? 'raw' and v -> 'urls' <> '[]' and v -> 'urls' <> 'null' then array['raw']
        else '{}' end
$$;
-- As JSON text: jsonb_agg and jsonb_object_agg take time that grows with the square of what is in them. What is small is
-- taken as it is. In plpgsql, which plans once: a recursive function in SQL is planned anew within each call.
create or replace function {schema}.memory_shown(v jsonb) returns text
language plpgsql immutable parallel safe as $$
declare
    kind text := jsonb_typeof(v);
    hidden text[];
begin
    if kind = 'object' and v -> 'from_history' = 'true' then
        return '{"from_history": true}';
    elsif pg_column_size(v) < 5000 then
        return v::text;
    elsif kind = 'string' then
        return to_jsonb({schema}.memory_shown_text(v #>> '{}'))::text;
    elsif kind = 'array' then
        return '[' || (
            select string_agg(case when pg_column_size(e) < 5000 and not e @> '{"from_history": true}' then e::text
                else {schema}.memory_shown(e) end, ', ' order by n)
            from jsonb_array_elements(v) with ordinality x (e, n)) || ']';
    elsif kind = 'object' then
        hidden := {schema}.memory_hidden(v);
        return '{' || coalesce((
            select string_agg(to_jsonb(k)::text || ': ' || case when pg_column_size(e) < 5000 then e::text
                -- of the events of a run the last ones say why it failed
                when k = 'events' then {schema}.memory_shown(jsonb_path_query_array(e, '$[last - 9 to last]'))
                when k = 'tools' and v ? 'messages' and jsonb_typeof(e) = 'array'
                    then {schema}.memory_shown_tools(e, v -> 'messages')
                else {schema}.memory_shown(e) end, ', ')
            from jsonb_each(v) x (k, e) where k <> all (hidden)), '') || '}';
    end if;
    return v::text;
end $$;
create or replace function {schema}.memory_shown_tools(tools jsonb, messages jsonb) returns text
language plpgsql immutable parallel safe as $$
begin
    return '[' || (
        select string_agg({schema}.memory_shown(case
            when jsonb_typeof(t) = 'object' and t ->> 'tool_call_id' <> '' and messages @>
                jsonb_build_array(jsonb_build_object('role', 'tool', 'tool_call_id', t -> 'tool_call_id'))
            then t - 'result' else t end), ', ' order by n)
        from jsonb_array_elements(tools) with ordinality x (t, n)) || ']';
end $$;
