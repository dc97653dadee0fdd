"""The storage of messages for the next page: a cookie, or the session for what does not fit into one."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class StrictCookieStorage(CookieStorage):
    # with the prefix __Host- under HTTPS, as the other cookies
    cookie_name = settings.MESSAGE_COOKIE_NAME


class Storage(FallbackStorage):
    storage_classes = (StrictCookieStorage, SessionStorage)
