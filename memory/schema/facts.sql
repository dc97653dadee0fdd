-- What is read from a stored run. Anything in it may be missing or of another type, so the type of each value is
-- checked before it is used.
--
-- A whole number. The limits keep the cast to bigint from failing.
create or replace function {schema}.memory_int(v jsonb) returns bigint language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'number' then
        case when v::numeric between -9e18 and 9e18 then trunc(v::numeric)::bigint end
    end
$$;
-- A time in microseconds, null if it is none: some writers store seconds, others milliseconds, microseconds or
-- nanoseconds, which the size tells. studio/formats.py reads times in the same way.
create or replace function {schema}.memory_micros(v bigint) returns bigint language sql immutable parallel safe as $$
    select case when v >= 100000000000000000 then v / 1000 when v >= 100000000000000 then v
        when v >= 100000000000 then v * 1000 when v > 0 then v * 1000000 end
$$;
-- A time in seconds.
create or replace function {schema}.memory_seconds(v bigint) returns bigint language sql immutable parallel safe as $$
    select {schema}.memory_micros(v) / 1000000
$$;
-- A time of a run or a message, which may be a text of digits.
create or replace function {schema}.memory_time(v jsonb) returns bigint language sql immutable parallel safe as $$
    select {schema}.memory_seconds(case when jsonb_typeof(v) = 'number' then {schema}.memory_int(v)
        when v #>> '{}' ~ '^\d{1,18}(\.\d{1,18})?$' then trunc((v #>> '{}')::numeric)::bigint end)
$$;
-- When a run began: the time of its first own message, else its own, which some versions of Agno set when they start.
create or replace function {schema}.memory_began(run jsonb, stored bigint) returns bigint
language sql immutable parallel safe as $$
    select coalesce({schema}.memory_time(jsonb_path_query_first(run,
        '$.messages[*] ? (!(@.from_history == true)).created_at ? (@ > 0 || @.type() == "string")')), stored)
$$;
-- JSON that was stored as a text, as what it says.
create or replace function {schema}.memory_decoded(v jsonb) returns jsonb language plpgsql immutable parallel safe as $$
begin
    return (v #>> '{}')::jsonb;
exception when others then
    return v;
end $$;
create or replace function {schema}.memory_json(v jsonb) returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'string' then {schema}.memory_decoded(v) else v end
$$;
-- A number that counts something, never negative.
create or replace function {schema}.memory_count(v jsonb) returns bigint language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'number' then least(greatest(trunc(v::numeric), 0), 1e12)::bigint end
$$;
-- An array, empty if the value is none.
create or replace function {schema}.memory_list(v jsonb) returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'array' then v else '[]'::jsonb end
$$;
-- The runs in a column. Anything but an array is one run, which cannot be read.
create or replace function {schema}.memory_one(v jsonb) returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'array' then v when v not in ('{}', '""', 'null') then jsonb_build_array(v)
        else '[]' end
$$;
create or replace function {schema}.memory_elements(v jsonb) returns jsonb language sql immutable parallel safe as $$
    select case jsonb_typeof(v) when 'array' then v when 'string' then {schema}.memory_one({schema}.memory_decoded(v))
        else {schema}.memory_one(v) end
$$;
-- One line of at most 160 characters. Cut before white space is folded, because a text may have megabytes.
create or replace function {schema}.memory_line(v text) returns text language sql immutable parallel safe as $$
    select nullif(left(regexp_replace(left(btrim(left(v, 1000), E' \n\r\t'), 300), '\s\s+|[^\S ]', ' ', 'g'), 160), '')
$$;
-- A text without the bytes of files in it: what a data address holds, or base64 in a long word or in lines.
create or replace function {schema}.memory_words(v text) returns text language sql immutable parallel safe as $$
    select case when left(v, 1000) ~ 'base64,|[A-Za-z0-9+/_-]{100}|[A-Za-z0-9+/_-]{60}(\r?\n|\\[rn])'
        then regexp_replace(left(v, 1000), 'data:[^,\s]{0,100};base64,[A-Za-z0-9+/=_-]*|'
            || '(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[A-Za-z+/]*[0-9])'
            || '([A-Za-z0-9+/_-]{100,}|([A-Za-z0-9+/_-]{60,}(\r?\n|\\r\\n|\\n)[ \t]*)+[A-Za-z0-9+/_-]{20,})'
            || '((\r?\n|\\r\\n|\\n)[ \t]*[A-Za-z0-9+/_-]{60,})*={0,2}', '', 'g') else v end
$$;
-- The name that a thread was given.
create or replace function {schema}.memory_name(data jsonb) returns text language sql immutable parallel safe as $$
    select {schema}.memory_line({schema}.memory_words({schema}.memory_json(data) ->> 'session_name'))
$$;
-- One line of a message's content: a string, a list of parts, or other JSON.
create or replace function {schema}.memory_text(v jsonb) returns text language sql immutable parallel safe as $$
    select {schema}.memory_line({schema}.memory_words(case jsonb_typeof(v) when 'string' then v #>> '{}'
        when 'array' then (
            select coalesce(string_agg(case jsonb_typeof(p) when 'string' then p #>> '{}'
                    else coalesce(p #>> '{text,value}', p ->> 'text', case
                        when jsonb_typeof(p -> 'content') = 'string' then p ->> 'content' end) end, ' ' order by n),
                case when count(p) filter (where p ? 'type') = 0 and v <> '[]' then v::text end)
            from jsonb_array_elements(v) with ordinality as e (p, n))
        when 'object' then case when v <> '{}' then v::text end end))
$$;
-- What was said aloud, which may be all there is.
create or replace function {schema}.memory_spoken(v jsonb) returns text language sql immutable parallel safe as $$
    select {schema}.memory_line({schema}.memory_words(coalesce(
        jsonb_path_query_first(v, '$.audio_output.transcript ? (@ <> "")'),
        jsonb_path_query_first(v, '$.response_audio.transcript ? (@ <> "")'),
        jsonb_path_query_first(v, '$.audio[*].transcript ? (@ <> "")'),
        jsonb_path_query_first(v, '$.audios[*].transcript ? (@ <> "")'),
        jsonb_path_query_first(v, '$.content[*].transcript ? (@ <> "")'),
        jsonb_path_query_first(v, '$.content[*].*.transcript ? (@ <> "")')) #>> '{}'))
$$;
-- The first own message of a role that says something, or the last one.
create or replace function {schema}.memory_said(run jsonb, who text, latest boolean) returns text
language sql immutable parallel safe as $$
    select said from (
        select m from jsonb_array_elements({schema}.memory_list(run -> 'messages')) with ordinality as e (m, n)
        where m ->> 'role' = who and m -> 'from_history' is distinct from 'true'::jsonb
        order by case when latest then -n else n end offset 0) own
    cross join lateral (select coalesce({schema}.memory_text(m -> 'content'), {schema}.memory_spoken(m)) as said) s
    where said is not null limit 1
$$;
-- What a run was asked. The input of a workflow has no input_content: it is the text itself, or an object.
create or replace function {schema}.memory_title(run jsonb) returns text language sql immutable parallel safe as $$
    select coalesce({schema}.memory_text(run #> '{input,input_content}'), {schema}.memory_spoken(run -> 'input'),
        case when run -> 'input' ? 'input_content' is not true then {schema}.memory_text(run -> 'input') end,
        {schema}.memory_said(run, 'user', false))
$$;
-- What a run answered.
create or replace function {schema}.memory_preview(run jsonb) returns text language sql immutable parallel safe as $$
    select coalesce({schema}.memory_text(run -> 'content'), {schema}.memory_spoken(run),
        {schema}.memory_said(run, 'assistant', true))
$$;
-- The runs that a run of a team or a workflow holds.
create or replace function {schema}.memory_members(run jsonb) returns jsonb language sql immutable parallel safe as $$
    select {schema}.memory_list(run -> 'member_responses') || {schema}.memory_list(run -> 'step_executor_runs')
        || case when jsonb_typeof(run -> 'workflow_agent_run') = 'object'
            then jsonb_build_array(run -> 'workflow_agent_run') else '[]' end
$$;
-- The counts of the messages of one run. Copies of earlier turns and the system message are left out, text_bytes is
-- the size of all messages as jsonb. Counted by paths, which read the messages in place: to unnest them would copy
-- each one.
create or replace function {schema}.memory_own_facts(run jsonb)
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
        -- not of m.stored, which a plan may keep with a shorter header
        coalesce(pg_column_size(run -> 'messages'), 0)::bigint,
        coalesce({schema}.memory_count(run #> '{metrics,input_tokens}'), 0),
        coalesce({schema}.memory_count(run #> '{metrics,output_tokens}'), 0)
    from (select run -> 'messages' as stored offset 0) m
$$;
-- How many steps of a workflow failed without a run that did. A step that holds others fails with them, and a workflow
-- inside another with its steps.
create or replace function {schema}.memory_step_errors(run jsonb) returns integer
language sql immutable parallel safe as $$
    select case when run ? 'step_results' then greatest(0, (
            select count(*) from jsonb_path_query(run -> 'step_results', f.failed, '{}', true) s
            where jsonb_path_exists(s -> 'steps', f.failed, '{}', true) is not true)
        - (select count(*) from jsonb_array_elements({schema}.memory_members(run)) m
            where m ->> 'status' = 'ERROR' or jsonb_path_exists(m -> 'step_results', f.failed, '{}', true)))::integer
        else 0 end
    from (select jsonpath 'strict $.** ? (exists (@.step_name) && (@.success == false || @.error like_regex "."))'
        as failed) f
$$;
-- The counts of the runs inside a run, as [id, failed, messages, tool_calls, tool_errors, text_bytes, input_tokens,
-- output_tokens]; null if there are none. A workflow holds the members of its teams twice: in the team and beside it.
create or replace function {schema}.memory_inside(run jsonb) returns jsonb language sql immutable parallel safe as $$
    with recursive inside as (
        select {schema}.memory_members(run) as members, 1 as depth
        union all
        select {schema}.memory_members(m), depth + 1 from inside, jsonb_array_elements(members) m where depth < 7
    ), member as (
        select distinct m, case when coalesce(m ->> 'run_id', '') = '' then n end
        from (select m, row_number() over () as n from inside, jsonb_array_elements(members) m) every
    )
    select jsonb_agg(jsonb_build_array(coalesce(m ->> 'run_id', ''), coalesce(m ->> 'status' = 'ERROR', false),
        f.messages, f.tool_calls, f.tool_errors + {schema}.memory_step_errors(m), f.text_bytes, f.input_tokens,
        f.output_tokens))
    from member, {schema}.memory_own_facts(m) f
$$;
-- The counts of one run, and of the runs inside it.
create or replace function {schema}.memory_facts(run jsonb)
returns table (messages integer, tool_calls integer, tool_errors integer, text_bytes bigint,
               input_tokens bigint, output_tokens bigint, inside jsonb)
language sql immutable parallel safe as $$
    select f.messages, f.tool_calls, f.tool_errors + {schema}.memory_step_errors(run),
        f.text_bytes, f.input_tokens, f.output_tokens, nullif(i.inside, '[]')
    from {schema}.memory_own_facts(run) f cross join lateral (
        select case when run ?| array['member_responses', 'step_executor_runs', 'workflow_agent_run']
            then {schema}.memory_inside(run) end as inside offset 0) i
$$;
-- Whose something is. Of an id of megabytes the beginning counts, so that no list has megabytes.
create or replace function {schema}.memory_person(id text) returns text language sql immutable parallel safe as $$
    select left(id, 10000)
$$;
-- An id may be longer than an index row, so the key is a hash of it. memory/query.py computes the same.
create or replace function {schema}.memory_key(id text) returns uuid language sql stable parallel safe as $$
    select encode(substr(sha256(convert_to(id, 'UTF8')), 1, 16), 'hex')::uuid
$$;
-- What stands for an id in a list: the id, or a hash of one of more bytes. studio/ids.py returns the same.
create or replace function {schema}.memory_id(t text, longest integer) returns text
language sql stable parallel safe as $$
    select case when octet_length(t) <= longest and not starts_with(t, '~.') then t
        else '~.' || encode(substr(sha256(convert_to(t, 'UTF8')), 1, 16), 'hex') end
$$;
-- The column `runs` of a thread, null where Agno has dropped it: then the name is that of the outer row.
create or replace function {schema}.memory_column(id text) returns jsonb language sql stable parallel safe as $$
    select found.runs from (select null::jsonb as runs) dropped
    cross join lateral (select runs::jsonb as runs from {schema}.agno_sessions where session_id = id) found
$$;
