"""What a call asks an upstream to do, and with it in which form the answer comes."""

from enum import StrEnum


class Operation(StrEnum):
    """One thing that upstreams do; each kind of upstream knows under which path, if at all."""

    RESPONSE = "response"
    """Answer a conversation, in a stream of events."""
    COMPACT = "compact"
    """Make a conversation shorter, by the endpoint that is there for it alone."""
    EMBEDDINGS = "embeddings"
    """Turn texts into vectors."""
    IMAGES_GENERATIONS = "images_generations"
    """Make images of words."""
    IMAGES_EDITS = "images_edits"
    """Make images of images and words."""

    @property
    def document(self) -> bool:
        """Whether the answer is one JSON document, not a stream."""
        return self is not Operation.RESPONSE
