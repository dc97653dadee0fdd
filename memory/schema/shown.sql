-- What a page shows of a run. A photo, copies of earlier turns or thousands of events must not hide the texts beside
-- them, so they are taken out before a run is fetched. memory/transcript/values.py reads what stands in their place.
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
create or replace function {schema}.memory_shown(v jsonb) returns jsonb language sql immutable parallel safe as $$
    select case
        when jsonb_typeof(v) = 'object' and v -> 'from_history' = 'true' then '{"from_history": true}'
        when pg_column_size(v) < 20000 then v
        else case jsonb_typeof(v)
            when 'string' then to_jsonb({schema}.memory_shown_text(v #>> '{}'))
            when 'array' then (select jsonb_agg({schema}.memory_shown(e) order by n)
                from jsonb_array_elements(v) with ordinality x (e, n))
            when 'object' then (
                -- of the events of a run the last ones say why it failed
                select jsonb_object_agg(k, {schema}.memory_shown(
                    case when k = 'events' then jsonb_path_query_array(e, '$[last - 9 to last]') else e end))
                from jsonb_each(v) x (k, e)
                where not v ? 'run_id' or k not in ('session_state', 'metadata', 'additional_input', 'requirements',
                    'reasoning_messages', 'workflow_history'))
            else v end
        end
$$;
