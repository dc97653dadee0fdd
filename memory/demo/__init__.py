"""Demo data: four agents with some 300 believable threads, in the very shapes that Agno stores.

content/ holds what is said. A conversation is a list of turns: `user` (wordings to choose from),
`calls` (tools, with `args` or an `error`), `members` (work given to another agent), `reply`, or a
`status` with `text` (ERROR) or `hold` (PAUSED, the tool that waits); `by` 1 is the second speaker.
`{{name}}` stands for a fact of facts.py, `[[this|that]]` for one of several words.

cast.py names the agents, support.py, research.py and webhooks.py plan their threads, sessions.py and
runs.py play them, writer.py copies the rows, stage.py does all of it for one agent.
"""
