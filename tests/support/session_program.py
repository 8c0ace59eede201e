"""A platform's session in a process of its own, which can kill itself at a named point.

    python session_program.py PLATFORM_TOML POINT

Points, in the order in which they come: before-next, after-next, after-open, after-ticket,
after-beat; "none" goes through and prints one line of JSON.
"""

import json
import os
import signal
import sys
from pathlib import Path

from control_keys import keys_of

from isthmus_client.home import Home
from isthmus_client.link import session as under_test
from isthmus_client.link.session_calls import MembershipCalls


def main(contract, point):
    home = Home(Path(contract))
    _plant(point)
    with under_test.Session(home, keys_of(home)) as session:
        session.beat({"pid": os.getpid()})
        _reached("after-beat", point)
        session.beat()
    sys.stdout.write(json.dumps({"ok": True}))


def _plant(point):
    """Put the points between the session and what it calls."""
    write, call = under_test.write_tickets, MembershipCalls.open_session

    def writing(path, tickets):
        _reached("before-next" if tickets.next else "before-ticket", point)
        write(path, tickets)
        _reached("after-next" if tickets.next else "after-ticket", point)

    def calling(self, previous, ticket):
        answer = call(self, previous, ticket)
        _reached("after-open", point)
        return answer

    under_test.write_tickets = writing
    MembershipCalls.open_session = calling


def _reached(here, point):
    if here == point:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
