# The process as its operators know it: how fast it starts, how little it needs, and how it ends on a signal.

import random
import signal
import subprocess
import time
import unittest

from clients import Raw
from harness import GATEWAY, Demo, Gateway, launch, wait_until


def is_refused(port):
    try:
        Raw(port).close()
    except OSError:
        return True
    return False


class Figures(unittest.TestCase):
    def test_print_start_time_and_idle_memory(self):
        demo = Demo()
        gateway = Gateway(demo.port)
        gateway.stop()
        seconds = min(self.restart(gateway) for _ in range(3))
        gateway.start()
        time.sleep(1)
        megabytes = gateway.memory_kilobytes() / 1024
        gateway.stop()
        demo.stop()
        print(
            f"\n    serving after {seconds * 1000:.0f} ms (bar: 100), idle RSS {megabytes:.1f} MB (bar: 25)",
            flush=True,
        )

    @staticmethod
    def restart(gateway):
        seconds = gateway.start()
        gateway.stop()
        return seconds


class Early(unittest.TestCase):
    def test_a_signal_to_stop_is_never_lost_however_soon_it_comes(self):
        gateway = Gateway(9, start=False)
        chance = random.Random(7)
        for _ in range(60):
            process = launch(
                [GATEWAY, "run", "-c", gateway.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # Anywhere between its first instruction and its serving: the moment itself is what is tried.
            time.sleep(chance.uniform(0, 0.05))
            process.terminate()
            self.assertIn(process.wait(10), (0, -signal.SIGTERM))


class Ending(unittest.TestCase):
    # Once it says that it serves, a stop must neither kill it without a drain nor be lost.
    def test_sigterm_at_once_is_an_orderly_end(self):
        demo = Demo()
        codes = set()
        for _ in range(150):
            gateway = Gateway(demo.port)
            gateway.process.terminate()
            try:
                codes.add(gateway.process.wait(2))
            except subprocess.TimeoutExpired:
                codes.add("it goes on")
                gateway.kill()
            if codes != {0}:
                break
        demo.stop()
        self.assertEqual(codes, {0})

    def test_sigterm_lets_exchanges_end_and_refuses_new_ones(self):
        demo = Demo()
        gateway = Gateway(demo.port, routes="route / { upstream api; access anonymous; }")
        raw, idle = Raw(gateway.port), Raw(gateway.port)
        idle.send("GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n").response()
        raw.send("GET /slow?ms=700 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        gateway.process.terminate()
        self.assertTrue(idle.is_closed(2))
        wait_until(lambda: is_refused(gateway.port), 2, "new connections are refused")
        reply = raw.response()
        self.assertEqual((reply.status, reply.json["waited_ms"]), (200, 700))
        self.assertTrue(raw.is_closed())
        self.assertEqual(gateway.process.wait(5), 0)
        self.assertEqual(len(gateway.access_log()), 2)
        demo.stop()
