"""Which knobs govern a request: base, model, account, rules, header, prompt, in that order.

Later layers win. Plain requests hit a cache keyed by account and model, so that a load test pays
nothing for the machinery. Rules count their own matches; a prompt's `attempts` list counts how
often the same prompt was seen, which is how a test scripts "first attempt fails, second works"
through a gateway that forwards no unknown headers.
"""

import hashlib
import random
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from loadtests.simulator.config import Knobs, Rule

PROMPTS_REMEMBERED_MAX = 50_000
_DIRECTIVE = re.compile(r"\[\[sim\s")
_NO_OVERRIDES: dict[str, Any] = {}


class BadKnobs(ValueError):
    """A knob has an unknown name or a value of the wrong kind; the text says which."""


class Scope(msgspec.Struct):
    """What is known about a request when its knobs are chosen."""

    account: str | None
    model: str | None
    path: str
    in_flight: int = 0
    rpm: float = 0.0


class _RuleState(msgspec.Struct):
    rule: Rule
    chance: Any
    matches: int = 0

    def overrides(self, scope: Scope, age_s: float) -> dict[str, Any]:
        rule = self.rule
        if not (_fits(rule, scope) and _loaded(rule, scope) and _timely(rule, age_s)):
            return _NO_OVERRIDES
        number = self.matches - rule.skip
        self.matches += 1
        if number < 0 or (rule.first is not None and number >= rule.first):
            return _NO_OVERRIDES
        if rule.every is not None and (number + 1) % rule.every:
            return _NO_OVERRIDES
        if rule.probability is not None and self.chance.random() >= rule.probability:
            return _NO_OVERRIDES
        if rule.sequence is None:
            return rule.set
        if rule.repeat and rule.sequence:
            number %= len(rule.sequence)
        step = rule.sequence[number] if number < len(rule.sequence) else _NO_OVERRIDES
        return {**rule.set, **step}


class KnobBook:
    """The layers of overrides of one simulator and the state of its rules."""

    def __init__(self, base: Mapping[str, Any], seed: int) -> None:
        self._seed = seed
        self._start = dict(base)
        self.reset()

    def reset(self) -> None:
        """Forget all that was set since the start."""
        self._base = dict(self._start)
        self._models: dict[str, dict[str, Any]] = {}
        self._accounts: dict[str, dict[str, Any]] = {}
        self._prompts: OrderedDict[bytes, int] = OrderedDict()
        self._cache: dict[tuple[str | None, str | None], Knobs] = {}
        self.set_rules([])
        build(self._base)

    def set_base(self, overrides: Mapping[str, Any]) -> None:
        """Merge overrides for every request; a value of None restores the default.

        Raises:
            BadKnobs: a name or value is wrong; nothing is changed then.
        """
        self._base = _merged(self._base, overrides)
        self._cache.clear()

    def set_model(self, model: str, overrides: Mapping[str, Any]) -> None:
        """Merge overrides for one model. Raises BadKnobs."""
        self._models[model] = _merged(self._models.get(model, {}), overrides)
        self._cache.clear()

    def set_account(self, account: str, overrides: Mapping[str, Any]) -> None:
        """Merge overrides for one account. Raises BadKnobs."""
        self._accounts[account] = _merged(self._accounts.get(account, {}), overrides)
        self._cache.clear()

    def set_rules(self, rules: list[Rule]) -> None:
        """Replace all rules; their counters and the time they count from begin anew."""
        for rule in rules:
            for overrides in (rule.set, *(rule.sequence or ())):
                build(overrides)
        self._rules = [
            _RuleState(rule, random.Random(f"{self._seed}:{number}"))
            for number, rule in enumerate(rules)
        ]
        self._rules_since = time.monotonic()

    def resolve(self, scope: Scope, *extras: Mapping[str, Any]) -> Knobs:
        """The knobs of one request; counts as a match for the rules. Raises BadKnobs."""
        age_s = time.monotonic() - self._rules_since
        layers = [found for state in self._rules if (found := state.overrides(scope, age_s))]
        layers += [dict(extra) for extra in extras if extra]
        if not layers:
            return self.standing(scope.account, scope.model)
        merged = self._layered((scope.account, scope.model))
        for layer in layers:
            merged.update(layer)
        return build(merged)

    def standing(self, account: str | None, model: str | None = None) -> Knobs:
        """The knobs that hold before a body is read: no rules, no headers, no prompt."""
        key = (account, model)
        cached = self._cache.get(key)
        if cached is None:
            cached = self._cache[key] = build(self._layered(key))
        return cached

    def from_prompt(self, text: str, account: str | None) -> dict[str, Any]:
        """The overrides of a `[[sim {...}]]` directive in the text, if there is one."""
        directive = directive_of(text)
        if not directive:
            return _NO_OVERRIDES
        attempts = directive.pop("attempts", None)
        per_account = directive.pop("per_account", None)
        if attempts:
            number = self._seen(text)
            directive.update(attempts[number] if number < len(attempts) else {})
        if per_account and account:
            directive.update(per_account.get(account, {}))
        return directive

    def _layered(self, key: tuple[str | None, str | None]) -> dict[str, Any]:
        account, model = key
        merged = dict(self._base)
        merged.update(self._models.get(model or "", _NO_OVERRIDES))
        merged.update(self._accounts.get(account or "", _NO_OVERRIDES))
        return merged

    def _seen(self, text: str) -> int:
        key = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
        number = self._prompts.get(key, 0)
        self._prompts[key] = number + 1
        if len(self._prompts) > PROMPTS_REMEMBERED_MAX:
            self._prompts.popitem(last=False)
        return number


def build(overrides: Mapping[str, Any]) -> Knobs:
    """A `Knobs` value from overrides of the defaults.

    Raises:
        BadKnobs: a name or a value is wrong.
    """
    try:
        return msgspec.convert(overrides, Knobs)
    except msgspec.ValidationError as error:
        raise BadKnobs(str(error)) from error


def directive_of(text: str) -> dict[str, Any]:
    """The JSON object of the first `[[sim {...}]]` in the text, or an empty one."""
    found = _located(text)
    return found[0] if found else {}


def without_directive(text: str) -> str:
    """The text without its `[[sim {...}]]` directive."""
    found = _located(text)
    return (text[: found[1]] + text[found[2] :]).strip() if found else text


def from_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """Overrides from `x-sim-knobs: {json}` and `x-sim-<knob>: value` request headers."""
    overrides: dict[str, Any] = {}
    for name, value in headers.items():
        if not name.startswith("x-sim-"):
            continue
        knob = name.removeprefix("x-sim-").replace("-", "_")
        try:
            decoded = orjson.loads(value)
        except orjson.JSONDecodeError:
            decoded = value
        if knob == "knobs":
            overrides.update(decoded)
        else:
            overrides[knob] = decoded
    return overrides


def _located(text: str) -> tuple[dict[str, Any], int, int] | None:
    begin = _DIRECTIVE.search(text)
    if begin is None:
        return None
    end = begin.end()
    while (end := text.find("]]", end)) >= 0:
        try:
            decoded = orjson.loads(text[begin.end() : end])
        except orjson.JSONDecodeError:
            end += 1
            continue
        return (decoded if isinstance(decoded, dict) else {}), begin.start(), end + 2
    return None


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **new}
    merged = {name: value for name, value in merged.items() if value is not None}
    build(merged)
    return merged


def _fits(rule: Rule, scope: Scope) -> bool:
    if rule.account is not None and rule.account != scope.account:
        return False
    if rule.model is not None and rule.model != scope.model:
        return False
    return rule.path is None or rule.path in scope.path


def _loaded(rule: Rule, scope: Scope) -> bool:
    if rule.in_flight_over is not None and scope.in_flight <= rule.in_flight_over:
        return False
    return rule.rpm_over is None or scope.rpm > rule.rpm_over


def _timely(rule: Rule, age_s: float) -> bool:
    if rule.after_s is not None and age_s < rule.after_s:
        return False
    return rule.until_s is None or age_s < rule.until_s
