"""The pool: quotas, what each account does, and what goes wrong with it."""

from typing import Final

from scripts.dashboards.panels import Dashboard, over, rate

ACCOUNTS: Final = Dashboard(
    uid="codex2api-accounts",
    title="codex2api: Accounts",
    by_account=True,
    rows=(
        (
            "The pool",
            (
                over(
                    "Accounts by health",
                    ("max by (health) (codex2api_accounts{@})", "{{health}}"),
                    stacked=True,
                ),
                over(
                    "The pool's quota lasts",
                    ("max by (quantile) (codex2api_pool_runway_seconds{@})", "{{quantile}}"),
                    unit="s",
                ),
                over(
                    "Why this account",
                    (rate("selection_total", "reason"), "{{reason}}"),
                    unit="reqps",
                    stacked=True,
                ),
                over(
                    "By strategy",
                    (rate("selection_total", "strategy"), "{{strategy}}"),
                    unit="reqps",
                    stacked=True,
                ),
            ),
        ),
        (
            "Quota",
            (
                over(
                    "Used",
                    (
                        "max by (account, window) (codex2api_account_used_ratio{@,$A})",
                        "{{account}} {{window}}",
                    ),
                    unit="percentunit",
                    top=1,
                ),
                over(
                    "Until the reset",
                    (
                        "min by (account, window) (codex2api_account_reset_seconds{@,$A})",
                        "{{account}} {{window}}",
                    ),
                    unit="s",
                ),
                over(
                    "Lasts",
                    (
                        'max by (account) (codex2api_account_runway_seconds{@,$A,quantile="0.5"})',
                        "{{account}}",
                    ),
                    unit="s",
                ),
            ),
        ),
        (
            "Work",
            (
                over(
                    "Attempts a minute",
                    (f"60 * {rate('account_requests_total', 'account', '$A')}", "{{account}}"),
                ),
                over(
                    "Tokens a minute",
                    (f"60 * {rate('account_tokens_total', 'account', '$A')}", "{{account}}"),
                ),
                over("Tokens by kind", (rate("account_tokens_total", "kind", "$A"), "{{kind}}")),
                over(
                    "Tokens today",
                    ("sum by (account) (codex2api_account_tokens_today{@,$A})", "{{account}}"),
                    about="Since midnight UTC.",
                ),
            ),
        ),
        (
            "Errors",
            (
                over(
                    "Share of failed attempts",
                    ("max by (account) (codex2api_account_error_ratio{@,$A})", "{{account}}"),
                    unit="percentunit",
                    top=1,
                    alarm=0.5,
                ),
                over(
                    "Outcomes",
                    (rate("account_requests_total", "outcome", "$A"), "{{outcome}}"),
                    unit="reqps",
                    stacked=True,
                ),
                over(
                    "Renewals of credentials, an hour",
                    (
                        "sum by (result) (increase(codex2api_credential_refresh_total{@}[1h]))",
                        "{{result}}",
                    ),
                ),
            ),
        ),
    ),
)
