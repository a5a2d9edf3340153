"""What one event of a stream costs in the decoder, and reading its type. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/sse_feed.py
"""

import time

from app.dialects.responses.events import classify
from app.wire.sse import SseDecoder

DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
    b'"sequence_number":10,"item_id":"msg_01","output_index":1,"content_index":0,'
    b'"delta":"Hello there","logprobs":[],"obfuscation":"Xy12abcdef"}\n\n'
)
ROUNDS = 200_000


def cost_us(work) -> float:
    """Return the CPU time of one call of `work`, in microseconds."""
    started = time.process_time()
    for _ in range(ROUNDS):
        work()
    return (time.process_time() - started) / ROUNDS * 1e6


def main() -> None:
    """Print a line for each way."""
    decoder = SseDecoder()
    decoder.feed(DELTA)
    data = decoder.feed(DELTA)[0].data
    print(f"search for the end only   {cost_us(lambda: b'response.completed' in DELTA):5.2f} us")
    print(f"decoder, one whole event  {cost_us(lambda: decoder.feed(DELTA)):5.2f} us")
    print(f"decoder, the general way  {cost_us(lambda: decoder._feed_any(DELTA)):5.2f} us")
    print(f"reading the type          {cost_us(lambda: classify(data)):5.2f} us")


if __name__ == "__main__":
    main()
