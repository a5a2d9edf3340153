"""What an account's quota windows mean for its rests. Pure.

The windows of the main family pause the whole account, those of another family the models that are
metered under it. A pause follows the windows: it is taken back when they say otherwise, which a
rest after a refusal never is. A model's pause stands over the rest that it may have, in the same
table, so that everybody who asks when the model is ready finds one answer; what it covers is kept,
and `lift` shows it again.
"""

from collections.abc import Mapping

from app.domain.quota import MAIN_FAMILY
from app.pool import health, quota
from app.pool.shelf import Place
from app.pool.state import MODELS_MAX, Health

FAMILIES_MAX = 256


class Families:
    """Model to the limit that governs it, as learnt from replies; the oldest is forgotten."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.special = False
        """Some model is metered under a limit of its own."""

    def learn(self, model: str, family: str) -> bool:
        """Take note; True if the model was unknown and is metered under a limit of its own."""
        known = self.known.get(model)
        if known == family:
            return False
        if known is None and len(self.known) >= FAMILIES_MAX:
            del self.known[next(iter(self.known))]
        self.known[model] = family
        self.special = any(name != MAIN_FAMILY for name in self.known.values())
        return known is None and family != MAIN_FAMILY


def pause(place: Place, families: Families, *, now: float) -> bool:
    """Make rests and health follow the windows; `paused_until` is right already.

    True if the account is to be filed anew for it.
    """
    state = place.state
    if families.special or place.pauses:
        _pause_models(place, families.known, now)
    changed = health.settle_rest(state, now=now)
    return changed or state.health is Health.COOLING or place.rests != state.model_ready_at


def pause_anew(place: Place, families: Families, *, now: float) -> None:
    """The same, after `pause_at` has changed; file the account in any case."""
    quota.paused(place.state, pause_at=place.pause_at, now=now)
    pause(place, families, now=now)


def lift(place: Place, *, now: float) -> None:
    """Take all pauses of models back for a moment, so that only rests are there; then `pause`."""
    rests = place.state.model_ready_at
    for model, (until, covered) in place.pauses.items():
        # What has become longer since is a rest and stays.
        if rests.get(model) == until:
            if covered > now:
                rests[model] = covered
            else:
                del rests[model]
    place.pauses = {}


def _pause_models(place: Place, families: Mapping[str, str], now: float) -> None:
    lift(place, now=now)
    rests = place.state.model_ready_at
    wanted = quota.model_pauses(place.state, families, pause_at=place.pause_at, now=now)
    for model, until in wanted.items():
        covered = rests.get(model, 0.0)
        if until > covered and (model in rests or len(rests) < MODELS_MAX):
            rests[model] = until
            place.pauses[model] = (until, covered)
