"""What simulated processes share: the loop, the store, the two servers, and who watches all."""

from random import Random

from app.domain.account import AccountId
from tests.simulation.authority import AuthFaults, Authority
from tests.simulation.backend import Backend, BackendFaults
from tests.simulation.loop import SimulationLoop
from tests.simulation.overseer import Overseer
from tests.simulation.process import SETTINGS, Process
from tests.simulation.vault import Vault, VaultFaults


class World:
    """Everything, in the order that `seed` decides."""

    def __init__(
        self,
        seed: object,
        *,
        lifetime_s: float = 3_600.0,
        auth: AuthFaults | None = None,
        store: VaultFaults | None = None,
        upstream: BackendFaults | None = None,
    ) -> None:
        self.seed = seed
        self.clock_ahead_s = 0.0
        """How wrong the wall clocks are."""
        self.processes: list[Process] = []
        """All that have ever run."""
        self.overseer = Overseer(attempts_max=SETTINGS.attempts_max)
        self.loop = loop = SimulationLoop(Random(f"order {seed}"))
        self.authority = Authority(
            loop=loop,
            overseer=self.overseer,
            rng=Random(f"auth {seed}"),
            faults=auth or AuthFaults(),
            lifetime_s=lifetime_s,
        )
        self.vault = Vault(
            loop=loop,
            overseer=self.overseer,
            rng=Random(f"store {seed}"),
            faults=store or VaultFaults(),
        )
        self.vault.works = self.authority.current.get
        self.backend = Backend(
            loop=loop,
            overseer=self.overseer,
            rng=Random(f"upstream {seed}"),
            faults=upstream or BackendFaults(),
            authority=self.authority,
        )
        loop.watch = self._watch
        loop.quiet = self._look

    def enrol(
        self, name: str, *, concurrency_max: int = 4, left_s: float | None = None
    ) -> AccountId:
        """Store an account whose access token still lives for `left_s` seconds."""
        account_id = AccountId(name)
        tokens = self.authority.login(account_id, left_s=left_s)
        self.vault.enrol(account_id, tokens, concurrency_max=concurrency_max)
        return account_id

    def launch(self) -> Process:
        """Start a process."""
        process = Process(self, f"p{len(self.processes)}")
        self.processes.append(process)
        process.start()
        return process

    def alive(self) -> list[Process]:
        """Return the processes that run."""
        return [process for process in self.processes if process.alive]

    def set_clocks(self, ahead_s: float) -> None:
        """Set the wall clock of all processes."""
        self.clock_ahead_s = ahead_s
        self.overseer.clock_set_at = self.loop.time()
        for process in self.alive():
            process.clock.set(ahead_s)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.authority.faults = AuthFaults()
        self.authority.fates.clear()
        self.vault.faults = VaultFaults()
        self.vault.away_until = 0.0
        self.backend.faults = BackendFaults()

    def unwell(self, account_id: AccountId) -> str | None:
        """Say what is wrong with the stored credential of an account; None if it is well."""
        row = self.vault.rows[account_id]
        if row.refresh_token != self.authority.current[account_id]:
            return None if row.dead else "its refresh token is spent and nobody knows"
        if row.dead:
            return "its refresh token works and was given up"
        if not self.authority.accepts(row.account.credential.access_token.reveal()):
            return "its access token has ended and is not renewed"
        return None

    def _watch(self) -> None:
        overseer = self.overseer
        overseer.at = self.loop.time()
        if self.loop.complaints:
            overseer.accuse("E", self.loop.complaints[0])
        if overseer.first is not None:
            raise overseer.first

    def _look(self) -> None:
        for process in self.processes:
            if process.alive:
                self.overseer.look(process)
        self._watch()
