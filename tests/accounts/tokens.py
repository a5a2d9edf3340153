"""Tokens that carry claims, for tests."""

from base64 import urlsafe_b64encode

import orjson

EXP = 1_800_000_000


def jwt(payload: object) -> str:
    """Return an unsigned JWT of any payload."""
    head, body = (
        urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode()
        for part in ({"alg": "none"}, payload)
    )
    return f"{head}.{body}.c2ln"


def payload(user: str = "user-1", account: str = "acc-00001", **more: object) -> dict[str, object]:
    """Return the claims of a ChatGPT login."""
    return {
        "exp": EXP,
        "email": f"{user}@example.com",
        "https://api.openai.com/profile": {"email": "profile@example.com"},
        "https://api.openai.com/auth": {
            "chatgpt_user_id": user,
            "user_id": "other",
            "chatgpt_account_id": account,
            "chatgpt_plan_type": "plus",
            "chatgpt_account_is_fedramp": False,
        },
        **more,
    }


def auth(**fields: object) -> dict[str, object]:
    """Return claims that hold nothing but these of ours."""
    return {"https://api.openai.com/auth": fields}
