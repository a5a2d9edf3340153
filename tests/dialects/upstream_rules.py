"""What the simulated backend makes of a request, without a socket."""

from loadtests.simulator.manifest import Model
from loadtests.simulator.validation import Subject

MODEL = "gpt-5.5"


def subject(body: dict, *, model: Model | None = None) -> Subject:
    """Return the request as the backend's rules look at it."""
    return Subject(
        body=body,
        account="acct-1",
        entitled=True,
        model=model or Model(MODEL),
        lite=False,
        transport="http",
        owner_of=lambda _: "acct-1",
    )
