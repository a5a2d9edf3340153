"""What everybody looks at first: calls, failures, speed, tokens and money."""

from typing import Final

from scripts.dashboards.panels import Dashboard, now, over, rate, shares

FAILED: Final = (
    'code=~"upstream_.*|stream_incomplete|pool_.*|overloaded|store_unavailable'
    '|usage_limit_reached|internal_error"'
)
HEALTHS: Final = 'health=~"ready|probing"'
OVERVIEW: Final = Dashboard(
    uid="codex2api-overview",
    title="codex2api: Overview",
    rows=(
        (
            "Now",
            (
                now("Calls a second", rate("requests_total"), unit="reqps"),
                now(
                    "Calls that fail",
                    f"{rate('requests_total', only=FAILED)} / {rate('requests_total')}",
                    unit="percentunit",
                    alarm=0.05,
                    about="By no fault of their callers.",
                ),
                now("Streams", "sum(codex2api_streams_in_flight{@})"),
                now(
                    "Accounts ready",
                    f"min(sum by (instance) (codex2api_accounts{{@,{HEALTHS}}}))",
                    alarm=-1,
                ),
                now(
                    "Quota lasts",
                    'min(codex2api_pool_runway_seconds{@,quantile="0.5"})',
                    unit="s",
                    alarm=-3600,
                    about="Until every account is at its limit, at the present rate.",
                ),
                now(
                    "Cost, 24 h",
                    "sum(increase(codex2api_cost_usd_total{@}[24h]))",
                    unit="currencyUSD",
                ),
            ),
        ),
        (
            "Calls",
            (
                over(
                    "By code",
                    (rate("requests_total", "code"), "{{code}}"),
                    unit="reqps",
                    stacked=True,
                ),
                over(
                    "By dialect",
                    (rate("requests_total", "dialect"), "{{dialect}}"),
                    unit="reqps",
                    stacked=True,
                ),
                over(
                    "By model",
                    (rate("requests_total", "model"), "{{model}}"),
                    unit="reqps",
                    stacked=True,
                ),
            ),
        ),
        (
            "How quickly",
            (
                over("To the first content", *shares("time_to_first_event_seconds"), unit="s"),
                over("Wait for an account", *shares("queue_wait_seconds"), unit="s"),
                over(
                    "Attempts by outcome",
                    (rate("attempts_total", "outcome"), "{{outcome}}"),
                    unit="reqps",
                    stacked=True,
                ),
            ),
        ),
        (
            "Tokens and money",
            (
                over("Tokens a second", (rate("tokens_total", "kind"), "{{kind}}")),
                over(
                    "Tokens by model",
                    (rate("tokens_total", "model", 'kind=~"input|output"'), "{{model}}"),
                    stacked=True,
                ),
                over(
                    "Dollars an hour",
                    ("sum by (model) (rate(codex2api_cost_usd_total{@}[10m])) * 3600", "{{model}}"),
                    unit="currencyUSD",
                    stacked=True,
                ),
            ),
        ),
    ),
)
