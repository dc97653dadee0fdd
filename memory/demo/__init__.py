"""Demo data: four agents, and some 300 recorded threads of three of them.

agents.json has the agents and the changes of their settings. Each line of a .jsonl file is a thread as Agno stored it:
`session` is its row of agno_sessions, `runs` are its rows of agno_runs.

load.py moves the times of a thread so that `recorded_at` becomes now. If the last activity is more than a day before
`recorded_at`, it moves by whole days, so that the time of day stays; else exactly, so that the newest threads ended
minutes ago. Moved are epoch seconds under names with _at or _time, and ISO dates anywhere. Dates in what people say
are marks, counted from the day on which the thread began: `{{day+3}}`, `{{month-2}}`, `{{year-1}}`. They are
written in the thread's `lang` with the words of dates.json, in English without one.

To add a thread, append a line with its rows and with `recorded_at` in epoch seconds. The later `recorded_at` is after
the last activity, the older the thread looks. Replace dates in texts by marks.
"""
