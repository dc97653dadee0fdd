#!/usr/bin/env python
import os
import sys

from studio import running

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
    running.run(sys.argv)
