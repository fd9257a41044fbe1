"""How gunicorn serves the product: `gunicorn --config python:connector.gunicorn_settings`.

Three settings come from the environment: DUEBRIDGE_BIND (where to listen), DUEBRIDGE_WEB_PROCESSES and
DUEBRIDGE_WEB_THREADS (how many, and threads in each). The names below are gunicorn's own.
"""

from __future__ import annotations

import os

bind = os.environ.get("DUEBRIDGE_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("DUEBRIDGE_WEB_PROCESSES", "2"))
worker_class = "gthread"
threads = int(os.environ.get("DUEBRIDGE_WEB_THREADS", "8"))
# Each process opens its own database connections; loaded before the fork, they would be shared.
preload_app = False
# Longer than any outside call may take, so that a request under way at SIGTERM is answered.
timeout = 60
graceful_timeout = 40
# The proxy in front keeps its connections open.
keepalive = 75
# Heartbeats of the processes; a disk that stalls must not look like a process that hangs.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - gunicorn makes a private file there
# Requests are logged by the product, which knows what must not stand in a log.
accesslog = None
errorlog = "-"
loglevel = "warning"
control_socket_disable = True
