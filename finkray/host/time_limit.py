"""Call what may never return: a library without a time limit, a disk behind a server that hangs."""

from collections.abc import Callable
from threading import Thread


def returns_within(call: Callable[[], object], limit_s: float) -> bool:
    """Call a function in a thread of its own; return whether it returned in time.

    Raises
    ------
    BaseException
        what the function raised in time
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            raised.append(error)

    thread = Thread(target=run, name="call with a limit", daemon=True)
    thread.start()
    thread.join(limit_s)
    if raised:
        raise raised[0]
    return not thread.is_alive()
