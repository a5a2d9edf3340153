"""What reading the limits from a reply's headers costs a call. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/quota_headers.py
"""

import timeit

from app.wire.quota import quota

NOW = 1_784_900_000.0
ROUNDS = 20_000
PLAIN = [
    ("date", "Fri, 24 Jul 2026 13:35:00 GMT"),
    ("content-type", "text/event-stream; charset=utf-8"),
    ("transfer-encoding", "chunked"),
    ("connection", "keep-alive"),
    ("cache-control", "no-cache"),
    ("x-request-id", "6d5fdd2b-1b0a-4a4c-8d6a-4f0ad1d7f3a2"),
    ("x-oai-request-id", "req_6d5fdd2b1b0a4a4c8d6a4f0ad1d7f3a2"),
    ("x-models-etag", '"0123456789abcdef"'),
    ("x-reasoning-included", "true"),
    ("openai-model", "gpt-5.5"),
    ("openai-processing-ms", "212"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("x-content-type-options", "nosniff"),
    ("cf-cache-status", "DYNAMIC"),
    ("set-cookie", "__cf_bm=0123456789; path=/; HttpOnly; Secure"),
    ("server", "cloudflare"),
    ("cf-ray", "0123456789abcdef-FRA"),
    ("alt-svc", 'h3=":443"; ma=86400'),
]
LIMITS = [
    ("x-codex-active-limit", "codex"),
    ("x-codex-plan-type", "plus"),
    ("x-codex-primary-used-percent", "37.5"),
    ("x-codex-primary-window-minutes", "300"),
    ("x-codex-primary-reset-at", "1784910000"),
    ("x-codex-primary-reset-after-seconds", "10000"),
    ("x-codex-secondary-used-percent", "12.0"),
    ("x-codex-secondary-window-minutes", "10080"),
    ("x-codex-secondary-reset-at", "1785400000"),
    ("x-codex-secondary-reset-after-seconds", "500000"),
    ("x-codex-primary-over-secondary-limit-percent", "10"),
    ("x-codex-limit-name", "codex"),
    ("x-codex-credits-has-credits", "False"),
    ("x-codex-credits-unlimited", "False"),
    ("x-codex-credits-balance", ""),
]


def main() -> None:
    """Print microseconds a reply, the best of five."""
    for name, headers in {
        "no limits": PLAIN,
        "two windows": PLAIN + LIMITS[:10],
        "all of them": PLAIN + LIMITS,
    }.items():
        cost_us = min(timeit.repeat(lambda h=headers: quota(h, now=NOW), number=ROUNDS)) / ROUNDS
        print(f"{name:12} {len(headers):3} headers {cost_us * 1e6:6.2f} us")


if __name__ == "__main__":
    main()
