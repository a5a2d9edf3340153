"""The processes and what they need: memory, loop, database, journal, other workers."""

from typing import Final

from scripts.dashboards.panels import RATE, Dashboard, now, over

INFRASTRUCTURE: Final = Dashboard(
    uid="codex2api-infrastructure",
    title="codex2api: Infrastructure",
    rows=(
        (
            "Now",
            (
                now("Replicas", 'sum(up{@,job="codex2api"})'),
                now("Database", "min(codex2api_store_up{@})", alarm=-1),
                now("Other workers", "min(codex2api_shared_up{@})", alarm=-1),
                now("Journal", "min(codex2api_journal_healthy{@})", alarm=-1),
                now("Records lost", "sum(codex2api_journal_lost_total{@})", alarm=1),
                now("Rows refused", "sum(codex2api_journal_refused_total{@})", alarm=1),
                now("Log lines dropped", "sum(codex2api_log_lines_dropped_total{@})", alarm=1),
            ),
        ),
        (
            "The process",
            (
                over(
                    "CPU",
                    (
                        f"sum by (instance) (rate(process_cpu_seconds_total{{@}}{RATE}))",
                        "{{instance}}",
                    ),
                ),
                over(
                    "Memory",
                    ("sum by (instance) (process_resident_memory_bytes{@})", "{{instance}}"),
                    unit="bytes",
                ),
                over("Open files", ("sum by (instance) (process_open_fds{@})", "{{instance}}")),
                over(
                    "Loop lag",
                    ("max by (instance) (codex2api_loop_lag_seconds{@})", "{{instance}}"),
                    unit="s",
                    alarm=0.25,
                ),
            ),
        ),
        (
            "The books",
            (
                over(
                    "Records to be moved",
                    ("sum by (instance) (codex2api_journal_depth{@})", "{{instance}}"),
                ),
                over(
                    "Age of the oldest",
                    ("max by (instance) (codex2api_journal_age_seconds{@})", "{{instance}}"),
                    unit="s",
                    alarm=300,
                ),
                over(
                    "Last word of other workers",
                    ("max by (instance) (codex2api_shared_sync_age_seconds{@})", "{{instance}}"),
                    unit="s",
                ),
                over(
                    "Database and others",
                    ("min(codex2api_store_up{@})", "database"),
                    ("min(codex2api_shared_up{@})", "others"),
                    top=1,
                ),
            ),
        ),
        (
            "Upstream",
            (
                over(
                    "Attempts under way",
                    ("sum by (instance) (codex2api_leases{@})", "{{instance}}"),
                ),
                over(
                    "Connections",
                    ("sum by (state) (codex2api_upstream_connections{@})", "{{state}}"),
                    stacked=True,
                ),
                over(
                    "Cancelled and still going on",
                    ("sum by (instance) (codex2api_late_requests{@})", "{{instance}}"),
                ),
                over(
                    "Versions",
                    ("count by (version) (codex2api_build_info{@})", "{{version}}"),
                    stacked=True,
                ),
            ),
        ),
    ),
)
