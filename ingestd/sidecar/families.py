"""The metric families that the sidecar makes itself, beside those that the processes count on the board.

They come from the `View`, from each slot's header, from /proc and from the file system at the moment of the
question. A worker's CPU time is labelled with its pid: each series is then what the kernel says of one process
and never goes backwards, whoever replaces the worker or the sidecar. `sum by (worker) (rate(…))` joins them.
"""

from typing import Final

from ingestd.stats import Metric

BUILD_INFO: Final = Metric(
    "ingestd_build_info", "gauge", "Always 1; the version that runs is in the label.", ("version",)
)
START_TIME: Final = Metric(
    "ingestd_start_time_seconds", "gauge", "When the daemon started, in seconds since the UNIX epoch."
)
UP_WORKERS: Final = Metric(
    "ingestd_up_workers", "gauge", "Workers that are ready, alive and heard of within the heartbeat time-out."
)
WORKER_UP: Final = Metric(
    "ingestd_worker_up", "gauge", "1 when this worker is counted in ingestd_up_workers, else 0.", ("worker",)
)
WORKER_HEARTBEAT_AGE: Final = Metric(
    "ingestd_worker_heartbeat_age_seconds",
    "gauge",
    "Time since the worker's event loop last said that it turns.",
    ("worker",),
)
WORKER_CPU: Final = Metric(
    "ingestd_worker_cpu_seconds_total",
    "counter",
    "CPU time of the running worker process, user and system, all threads.",
    ("worker", "pid"),
)
WORKER_RESIDENT: Final = Metric(
    "ingestd_worker_resident_memory_bytes", "gauge", "Resident memory of the worker process.", ("worker",)
)
DATA_DIR_FREE: Final = Metric(
    "ingestd_data_dir_free_bytes", "gauge", "Free space of the file system that holds data_dir."
)
DATA_DIR_SIZE: Final = Metric(
    "ingestd_data_dir_size_bytes",
    "gauge",
    "Free and used space of the file system that holds data_dir, without what is kept for root.",
)
#: Why a request was answered with status 401.
HTTP_AUTH_REASONS: Final = ("no_token", "unknown_token")
HTTP_AUTH_FAILURES: Final = Metric(
    "ingestd_http_auth_failures_total",
    "counter",
    "HTTP requests refused for want of a token, since the sidecar started.",
    ("reason",),
)

SIDECAR_METRICS: Final = (
    BUILD_INFO,
    START_TIME,
    UP_WORKERS,
    WORKER_UP,
    WORKER_HEARTBEAT_AGE,
    WORKER_CPU,
    WORKER_RESIDENT,
    DATA_DIR_FREE,
    DATA_DIR_SIZE,
    HTTP_AUTH_FAILURES,
)
