"""Demo data: four agents, and some 300 threads of three of them as Agno stored them.

agents.json names the agents, with their settings and who saved them how many days ago. A line of a .jsonl file
is one thread: `session` is its row of agno_sessions, `runs` are its rows of agno_runs, times are as recorded.

load.py moves a thread from `recorded_at` to now. Whole days if its last activity was more than a day before, so
that hours stay what they were; else exactly, so that the newest ended minutes ago. It moves epoch seconds under
a name with _at or _time, and ISO dates wherever they stand. A date that somebody speaks is a mark, counted from
the day the thread began: `{{day+3}}`, `{{month-2}}`, `{{year-1}}`. dates.json writes it in the line's `lang`, else
in English.

To add a thread, append a line with its rows and the epoch second of recording: the later that is after the last
activity, the older the thread looks. Replace spoken dates by marks.
"""
