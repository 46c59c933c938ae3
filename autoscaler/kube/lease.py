"""Leader election by a Lease: the Kubernetes client's own loop, over a lock of ours that makes it safe.

The client's loop (kubernetes.leaderelection 37) decides by the wall clock, calls without timeouts, can't be stopped,
gives nothing up at the end, and notices a lost lease up to 16 s after its last renewal, when another leader may be
6 s old. So whatever matters is decided here, by the monotonic clock:

- The lock calls with timeouts below the renew deadline, and turns every failure into the loop's "not yet".
- A lease is taken over only when it wasn't renewed for its duration as seen from here, however clocks are set.
- Leadership ends a renew deadline after the last renewal was begun, by a thread that does nothing else. A new leader
  can't begin before the lease duration after that.
- `stop` empties the lease, so that a standby takes over at its next look.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from kubernetes.leaderelection import electionconfig, leaderelection

from autoscaler.kube.client import Kube
from autoscaler.kube.lease_lock import LeaseLock, Term, TermOverError

LEASE_S = 10
RENEW_DEADLINE_S = 7
RETRY_S = 2
_HAND_OVER_POLL_S = 0.25

_log = logging.getLogger(__name__)


class LeaderElection:
    """Takes part in an election until `stop`, in threads of its own. Never ends the process.

    Args:
        kube: the API.
        namespace: of the Lease.
        name: of the Lease; it is made if it is missing.
        identity: of this candidate, unlike all others'.
        on_started: called when it becomes the leader, in a thread; may be called many times.
        on_stopped: called once for each time that it ceases to be, within the renew deadline; mustn't block.
        lease_s, renew_deadline_s, retry_s: whole seconds, at least 1, with retry_s x 1.2 < renew_deadline_s < lease_s.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        name: str,
        identity: str,
        on_started: Callable[[], None],
        on_stopped: Callable[[], None],
        lease_s: int = LEASE_S,
        renew_deadline_s: int = RENEW_DEADLINE_S,
        retry_s: int = RETRY_S,
    ) -> None:
        # The client's configuration would end the process.
        if not (retry_s >= 1 and 1.2 * retry_s < renew_deadline_s < lease_s):
            raise ValueError(f"unfit times of a lease: {lease_s=}, {renew_deadline_s=}, {retry_s=}")
        self._on_started, self._on_stopped = on_started, on_stopped
        self._lease_s, self._renew_deadline_s, self._retry_s = lease_s, renew_deadline_s, retry_s
        self._term = Term(float(renew_deadline_s))
        self._lock = LeaseLock(
            kube, namespace, name, identity, self._term, lease_s=lease_s, timeout_s=renew_deadline_s / 3
        )
        self._threads = [
            threading.Thread(target=self._take_part, name="lease", daemon=True),
            threading.Thread(target=self._watch_deadline, name="lease-deadline", daemon=True),
        ]

    def start(self) -> None:
        """Begin to take part."""
        for thread in self._threads:
            thread.start()

    def is_leader(self) -> bool:
        """Whether it leads now. False as soon as the renew deadline has passed, even while a call hangs."""
        return self._term.is_on()

    def stop(self) -> None:
        """Cease to lead (calling `on_stopped`), leave the election, and empty the lease if it was held. Idempotent."""
        self._end_term()
        self._term.close()
        self._lock.release()

    def hand_over(self, *, within_s: float) -> bool:
        """`stop`, and wait until another candidate holds the lease; False where none took it in time."""
        self.stop()
        deadline_s = time.monotonic() + within_s
        # A lease that can't be read now may have been taken all the same.
        while not (taken := self.another_leads()) and time.monotonic() < deadline_s:
            time.sleep(_HAND_OVER_POLL_S)
        return taken

    def another_leads(self) -> bool:
        """Whether another candidate holds the lease now, asked anew; False where it can't be read."""
        return self._lock.read_holder() not in {None, "", self._lock.identity}

    def _take_part(self) -> None:
        while not self._term.closed.is_set():
            self._term.reset()
            config = electionconfig.Config(  # type: ignore[no-untyped-call] # the client's, without annotations
                self._lock,
                lease_duration=self._lease_s,
                renew_deadline=self._renew_deadline_s,
                retry_period=self._retry_s,
                onstarted_leading=self._on_started,
                onstopped_leading=self._end_term,
            )
            try:
                leaderelection.LeaderElection(config).run()  # type: ignore[no-untyped-call] # as above
            except TermOverError:
                _log.info("no longer the leader")
            except (Exception, SystemExit):
                _log.exception("leader election failed; it begins again")
            # However it ended, the next round begins after a pause.
            self._end_term()
            self._term.closed.wait(self._retry_s)

    def _watch_deadline(self) -> None:
        while not self._term.closed.is_set():
            if self._term.wait_for_end():
                self._end_term()

    def _end_term(self) -> None:
        """End the term, if one is on, and tell."""
        if not self._term.end():
            return
        try:
            self._on_stopped()
        except Exception:
            _log.exception("on_stopped failed")
