"""A network of two ends, one of them in a namespace of its own, and the cutting of it."""

import ipaddress
import os
import subprocess


class Link:
    """A cable between this machine's usual network and one that has nothing else.

    Attributes:
        here, there: addresses of the two ends.
        network: of both: "198.18.0.0/30".
        within: how a command begins that is to run at the other end.

    Raises:
        PermissionError: this machine lets nobody make networks.
    """

    def __init__(self) -> None:
        # of a range that is meant for tests of networks (RFC 2544); two processes have two networks
        first = ipaddress.ip_address("198.18.0.0") + 4 * (os.getpid() % (1 << 14))
        self.network = f"{first}/30"
        self.here, self.there = str(first + 1), str(first + 2)
        self._name = f"hpo{os.getpid()}"
        # the namespace lives as long as this process, and the cable as long as the namespace
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready; cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._keeper.stdout is None or not self._keeper.stdout.readline():
            self.remove()
            raise PermissionError("no network of its own can be made here")
        self.within = ("nsenter", f"--target={self._keeper.pid}", "--net")
        try:
            _ip("link", "add", self._name, "type", "veth", "peer", "name", "cable", "netns", str(self._keeper.pid))
            _ip("address", "add", f"{self.here}/30", "dev", self._name)
            _ip("link", "set", self._name, "up")
            for words in (("address", "add", f"{self.there}/30", "dev", "cable"), ("link", "set", "cable", "up")):
                subprocess.run([*self.within, "ip", *words], check=True)
        except subprocess.CalledProcessError as error:
            self.remove()
            raise PermissionError("no network can be laid here") from error

    def cut(self) -> None:
        """Takes this end down: packets vanish, and nobody is told."""
        _ip("link", "set", self._name, "down")

    def mend(self) -> None:
        """Packets arrive again."""
        _ip("link", "set", self._name, "up")

    def remove(self) -> None:
        """Removes all of it. Whatever runs at the other end has ended."""
        _ip("link", "delete", self._name, check=False)
        self._keeper.communicate()


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
