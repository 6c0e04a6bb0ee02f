# What clients of a gateway saw, in the order in which they saw it, and the judgement of it by the rules that a
# gateway gives to its clients. The judge knows nothing of how it works; tokens are names to it.
#
#     1. A token is exchanged for one child, ever, and no child has two parents.
#     2. A session that only its owner has used is not refused before its owner ends it.
#     3. A token whose child has been exchanged in its turn, or was confirmed a race window ago, is refused.
#     4. What has been told to be over stays so: no further child, and no access token is let in.

import threading
import time


class Recorder:
    """A list of (seconds, kind, …), from any thread. What is noted before a call is sent was true before it."""

    def __init__(self):
        self.entries = []
        self.calls = 0
        self.lock = threading.Lock()

    def note(self, *entry):
        with self.lock:
            self.entries.append((time.monotonic(), *entry))

    def call(self, kind, *entry):
        """Notes a call that is about to be sent; the number of it."""
        with self.lock:
            self.calls += 1
            self.entries.append((time.monotonic(), kind, self.calls, *entry))
            return self.calls


class Judge:
    """Reads entries in their order; what is against the rules is in `violations`.

    began SESSION · asked CALL SESSION TOKEN HOLDER · answered CALL child TOKEN | answered CALL refused CODE
    confirmed TOKEN · leaving SESSION · left SESSION · using CALL SESSION · used CALL IS_LET_IN
    """

    def __init__(self, window):
        self.window = window
        self.violations = []
        self.replays_found = self.exchanges = 0
        self.sessions, self.calls = set(), {}
        self.suspect, self.over = set(), set()
        self.children, self.parents = {}, {}
        self.handed_out, self.confirmed = {}, set()

    def read(self, entries):
        for number, (at, kind, *rest) in enumerate(entries):
            for rule in getattr(self, kind)(at, *rest) or ():
                self.violations.append(f"{rule}: entry {number}, {kind} {rest}")
        return self

    def began(self, at, session):
        self.sessions.add(session)

    def asked(self, at, call, session, token, holder):
        if holder == "stranger":
            self.suspect.add(session)
        self.calls[call] = (session, token, self.is_replay(token, at), session in self.over)

    def is_replay(self, token, at):
        child = self.children.get(token)
        if child is None:
            return False
        if child in self.children:
            return True
        return child in self.confirmed and at - self.handed_out[child] > self.window

    def answered(self, at, call, answer, what):
        session, token, is_replay, is_after_end = self.calls[call]
        if answer == "refused":
            if is_replay:
                self.replays_found += 1
                self.over.add(session)
            elif session not in self.suspect:
                yield f"an innocent session is refused ({what})"
            return
        self.exchanges += 1
        if self.children.get(token, what) != what or self.parents.get(what, token) != token:
            yield "a token has two children, or a child two parents"
        if is_replay:
            yield "a replay is not found out"
        if is_after_end:
            yield "a session goes on after its end"
        self.children[token], self.parents[what] = what, token
        self.handed_out[what] = at

    def confirmed_(self, at, token):
        self.confirmed.add(token)

    def leaving(self, at, session):
        self.suspect.add(session)

    def left(self, at, session):
        self.over.add(session)

    def using(self, at, call, session):
        self.calls[call] = (session, None, False, session in self.over)

    def used(self, at, call, is_let_in):
        session, _, _, is_after_end = self.calls[call]
        if is_let_in and is_after_end:
            yield "an access token is let in after the end of its session"
        if not is_let_in and session not in self.suspect:
            yield "an access token of an innocent session is refused"
