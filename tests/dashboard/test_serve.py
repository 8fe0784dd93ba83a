"""The socket that the dashboard listens at."""

import socket

from hpo.dashboard.serve import Place, listen


def test_answers_on_a_kept_connection_do_not_wait() -> None:
    """What is accepted sends at once: else the body of a short answer waits until the other end has the head."""
    with (
        listen(Place("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
