"""What the head of a 200 tells: whether the body is what was asked for, or a page in its place."""

from app.ports import UpstreamReply


def no_stream(upstream: UpstreamReply) -> str | None:
    """Return why it is no event stream; None if it is one."""
    return None if _is(upstream, "text/event-stream") else "the reply is no event stream"


def no_document(upstream: UpstreamReply) -> str | None:
    """Return why it is no JSON document; None if it is one."""
    return None if _is(upstream, "application/json") else "the reply is no JSON document"


def _is(upstream: UpstreamReply, kind: str) -> bool:
    for name, value in upstream.headers:
        if name == "content-type" and not value.lower().startswith(kind):
            return False
        if name == "content-encoding" and value.lower() != "identity":
            return False
    return True
