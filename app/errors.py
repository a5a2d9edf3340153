"""Every way a call can end without an answer.

A rate limit or a broken attempt is a value (`app.domain.outcome`); only what ends the call
is an exception, and it knows its HTTP status, its public code, its place in the request and
when to come back. Dialects render it, the edge raises it, nobody else needs to look inside.
The codes are the contract with callers and never change their meaning.
"""


class GatewayError(Exception):
    """A call ends here: how to say so, and when the caller may try again."""

    status: int = 500
    code: str = "internal_error"
    type: str = "server_error"

    def __init__(  # noqa: PLR0913 - keyword-only, one per field of the public error object
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        resets_at: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code
        if type is not None:
            self.type = type
        self.param = param
        self.retry_after_s = retry_after_s
        self.resets_at = resets_at


class CallerError(GatewayError):
    """The caller must change something; trying again as it is will not help."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class InvalidRequest(CallerError):
    """The request's form is wrong; `param` is the path of the field."""


class Unauthenticated(CallerError):
    """No key, a wrong key, a revoked key or an expired one."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class NotAllowed(CallerError):
    """The key is good, but not for this."""

    status = 403
    code = "model_not_allowed"
    type = "permission_error"


class TooManyRequests(CallerError):
    """The key's own limit: calls or tokens a minute, calls at a time, money."""

    status = 429
    code = "rate_limit_exceeded"
    type = "requests"


class UnknownModel(CallerError):
    """No configured upstream serves this model."""

    status = 404
    code = "model_not_found"


class UnknownRoute(CallerError):
    """There is nothing at this path."""

    status = 404
    code = "unknown_route"


class MethodNotAllowed(CallerError):
    """The path exists, but not with this method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(CallerError):
    """The request's body came too slowly."""

    status = 408
    code = "request_timeout"


class ContextUnavailable(CallerError):
    """What the request continues can't be continued: never dropped in silence.

    With `retry_after_s` it can later, without it never.
    """

    status = 409
    code = "response_context_unavailable"


class StaleEdit(CallerError):
    """Somebody else has changed it since it was read: read it again, then decide."""

    status = 409
    code = "stale_edit"


class PayloadTooLarge(CallerError):
    """The request's body is over the limit, as sent or once decompressed."""

    status = 413
    code = "payload_too_large"


class NotSupportedByUpstream(CallerError):
    """No configured kind of upstream can do this."""

    status = 501
    code = "not_supported_by_upstream"


class CapacityError(GatewayError):
    """No account can take the call now; `retry_after_s` says when one may."""

    status = 503
    code = "pool_busy"


class Overloaded(CapacityError):
    """The gateway sheds load to keep running calls well."""

    code = "overloaded"


class Draining(CapacityError):
    """This replica is going away; another one will answer."""

    code = "server_draining"


class UpstreamError(GatewayError):
    """Every attempt failed, or the one that had begun broke."""

    status = 502
    code = "upstream_error"
    type = "upstream_error"


class UpstreamTimeout(UpstreamError):
    """The upstream was silent for too long."""

    status = 504
    code = "upstream_timeout"


class StreamIncomplete(UpstreamError):
    """The upstream's stream ended without its terminal event."""

    code = "stream_incomplete"


class UpstreamProtocolError(UpstreamError):
    """The upstream sent what is no HTTP, SSE or JSON of the agreed form."""


class UpstreamRefused(UpstreamError):
    """The upstream judged the request itself; its status and words are the caller's answer."""

    type = "invalid_request_error"


class StateError(GatewayError):
    """Our own database is away, so this can't be judged."""

    status = 503
    code = "store_unavailable"
