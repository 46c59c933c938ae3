"""The process that answers KEDA: `python -m autoscaler.keda.answering DESCRIPTOR`, started by `keda.desk`.

It is a process of its own because a tick holds the interpreter for seconds with a thousand objects, and each call would
wait for its turn several times. It ends when the loop's process does, however that does.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import UsageError
from autoscaler.keda.board import Board, Key
from autoscaler.keda.guests import Guests
from autoscaler.keda.messages import NEW_MAX, Beginning, Guestlist, Refused
from autoscaler.keda.server import GrpcServer
from autoscaler.keda.service import ExternalScalerService, Options
from autoscaler.telemetry.scaler_figures import ScalerFigures


def answer(connection: Connection[Any, Any]) -> None:
    """Serve until the other side says so, or is gone."""
    beginning: Beginning = connection.recv()
    listening = beginning.listening
    board, guests = Board(), Guests(per_namespace=listening.guests_per_namespace)
    board.restore(beginning.decided)
    for guest in beginning.guests:
        guests.admit(guest)
    service = ExternalScalerService(board, guests, Options(allow_cross_namespace=listening.allow_cross_namespace))
    try:
        server = GrpcServer(service, listening.address, tls=listening.tls)
        server.start()
    except UsageError as error:
        connection.send(Refused(str(error)))
        return
    try:
        # What was imported lives on: looking through it for garbage would keep calls waiting.
        gc.freeze()
        connection.send(server.port)
        _exchange(connection, board, guests, server.figures, told=_by_key(beginning.guests))
    except (EOFError, OSError):
        pass  # the loop's process is gone; or a TimeoutError: no call is answered, and that process ends this one
    finally:
        server.stop()


def _exchange(
    connection: Connection[Any, Any],
    board: Board,
    guests: Guests,
    figures: Callable[[], ScalerFigures],
    *,
    told: dict[Key, PredictiveAutoscaler],
) -> None:
    """Take in updates; `told` are the guests that the other side knows of."""
    while (update := connection.recv()) is not None:
        if update.keys is not None:
            board.keep(update.keys)
        for key, posted in update.posts:
            board.post(key, posted)
        there = _by_key(guests.objects())
        new = [key for key in there if key not in told][:NEW_MAX]
        gone = tuple(key for key in told if key not in there)
        connection.send(Guestlist(tuple(there[key] for key in new), gone, figures()))
        told = {key: one for key, one in there.items() if key in told or key in new}


def _by_key(objects: Iterable[PredictiveAutoscaler]) -> dict[Key, PredictiveAutoscaler]:
    return {(one.metadata.namespace, one.metadata.name): one for one in objects}


def main() -> None:
    """Answer on the descriptor that was given. Signals go to the loop's process, which ends this one in order."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with connection:
        answer(connection)


if __name__ == "__main__":
    main()
