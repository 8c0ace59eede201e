"""`isthmus` in a process that may not so much as make a socket, for commands that share nothing.

python trial_program.py client trial ...
"""

import sys

from isthmus.cli import main

FORBIDDEN = (
    "socket.__new__",
    "socket.connect",
    "socket.sendto",
    "socket.bind",
    "socket.getaddrinfo",
)


def forbid_sockets() -> None:
    """End the program with 99 at the first socket, to wherever it leads."""

    def look(event, args):
        if event in FORBIDDEN:
            sys.stderr.write(f"A SOCKET: {event} {args}\n")
            sys.exit(99)

    sys.addaudithook(look)


if __name__ == "__main__":
    forbid_sockets()
    main()
