"""Addresses of an agent's pages, below `agents/<agent_id>/`."""

from django.urls import URLPattern, URLResolver, path

from memory.pages import deletion, files, memory_settings, threads, transcript, user, users

urlpatterns: list[URLPattern | URLResolver] = [
    path("memory/", memory_settings.memory, name="memory"),
    path("memory/restore/", memory_settings.restore, name="memory-restore"),
    path("threads/", threads.threads, name="threads"),
    path("threads/<any:session_id>/", transcript.transcript, name="thread"),
    path("threads/<any:session_id>/export/", files.thread_export, name="thread-export"),
    path("threads/<any:session_id>/runs/<any:run_id>/", files.thread_run, name="thread-run"),
    path("users/", users.users, name="users"),
    path("users/<any:user_id>/", user.user, name="user"),
    # not below threads/, where any word may be the id of a thread
    path("delete-threads/", deletion.threads_delete, name="threads-delete"),
    path("delete-threads/now/", deletion.threads_delete_now, name="threads-delete-now"),
]
