# Our own signing keys while the gateway runs: rotation under load, withdrawal, restarts in every state, two
# gateways over one directory, and the keys command. What time brings is brought by editing the list's times.

import glob
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import unittest

import keys
from clients import Raw, curl, login
from harness import GATEWAY, Demo, Gateway, directory, launch, wait_until

DAY = 86_400_000


def setUpModule():
    global demo
    demo = Demo()


def tearDownModule():
    demo.stop()


def whoami(gateway, token):
    return curl(gateway.base + "/whoami", token=token)


def refresh(gateway, pair):
    return curl(gateway.base + "/refresh", form={"refresh_token": pair["refresh_token"]})


class KeysCase(unittest.TestCase):
    def gateway(self, **options):
        gateway = Gateway(demo.port, **options)
        self.addCleanup(lambda: gateway.process.poll() is None and gateway.stop())
        return gateway

    def signer(self, gateway):
        """The name of the key that a new token is signed with."""
        return keys.header(login(gateway)["access_token"])["kid"]


class Rotation(KeysCase):
    def test_under_load_nobody_is_refused(self):
        gateway = self.gateway()
        old = login(gateway)["access_token"]
        refusals, ends = [], threading.Event()

        def client():
            pair = login(gateway)
            # At a pace that a session may go on with.
            while not ends.wait(0.15):
                reply = refresh(gateway, pair)
                if reply.status == 200:
                    pair = reply.json
                reply = reply if reply.status != 200 else whoami(gateway, pair["access_token"])
                if reply.status != 200:
                    refusals.append((reply.status, reply.body))

        threads = [threading.Thread(target=client) for _ in range(3)]
        for thread in threads:
            thread.start()
        wrk = launch(
            ["wrk", "-t1", "-c8", "-d6s", "-H", "Authorization: Bearer " + old, gateway.base + "/items"],
            stdout=subprocess.PIPE,
            text=True,
        )
        signers = [keys.header(old)["kid"]]
        for _ in range(4):
            time.sleep(1)
            keys.change(gateway, "rotate", "--force")
            wait_until(lambda: self.signer(gateway) != signers[-1], 5, "the next key signs")
            signers.append(self.signer(gateway))
        said = wrk.communicate(timeout=60)[0]
        ends.set()
        for thread in threads:
            thread.join()
        self.assertEqual(refusals, [])
        self.assertNotIn("Non-2xx", said)
        self.assertNotIn("Socket errors", said)
        self.assertGreater(int(re.search(r"(\d+) requests in", said).group(1)), 1000)
        self.assertEqual(len(set(signers)), 5)
        # A token of before the first rotation is good behind the last one.
        self.assertEqual(whoami(gateway, old).status, 200)
        events = gateway.events("keys_rotated", 4)
        self.assertEqual([event["key.id"] for event in events], signers[1:])
        self.assertEqual({event["event.reason"] for event in events}, {"command"})
        wait_until(lambda: "keys_reloaded" in gateway.service_log(), what="a word")

    def test_the_published_set_has_each_key_before_it_signs_and_as_long_as_it_verifies(self):
        gateway = self.gateway()
        before = keys.listed(gateway)
        active, following = before["active"]["kid"], before["next"]["kid"]
        self.assertEqual(keys.published_names(gateway), {active, following})
        self.assertEqual(self.signer(gateway), active)
        tag = curl(gateway.base + "/.well-known/jwks.json").one("etag")
        keys.change(gateway, "rotate", "--force")
        wait_until(lambda: self.signer(gateway) == following, 5, "the next key signs")
        after = keys.listed(gateway)
        self.assertEqual((after["active"]["kid"], after["retired"]["kid"]), (following, active))
        wait_until(lambda: len(keys.published_names(gateway)) == 3, 5, "the set follows")
        self.assertEqual(keys.published_names(gateway), {active, following, after["next"]["kid"]})
        self.assertNotEqual(curl(gateway.base + "/.well-known/jwks.json").one("etag"), tag)

        # When the last token of the retired key has expired, it goes.
        def expire(document):
            for key in document["keys"]:
                if key["state"] == "retired":
                    key["good_until"] = 1

        keys.edit_manifest(gateway, expire)
        keys.hang_up(gateway)
        wait_until(lambda: active not in keys.published_names(gateway), 5, "the retired key goes")
        self.assertFalse(os.path.exists(os.path.join(gateway.state, "keys", active + ".pem")))

    def test_a_young_key_is_not_rotated_to(self):
        gateway = self.gateway()
        code, said = keys.command(gateway, "rotate")
        self.assertEqual(code, 1)
        self.assertIn("other gateways and their clients may not know it yet", said)

        def age(document):
            for key in document["keys"]:
                key["created"] -= 120_000

        keys.edit_manifest(gateway, age)
        code, said = keys.command(gateway, "rotate")
        self.assertEqual(code, 0, said)
        self.assertIn("takes this up within 10 s", said)

    def test_taken_up_without_a_signal(self):
        gateway = self.gateway()
        following = keys.listed(gateway)["next"]["kid"]
        keys.command(gateway, "rotate", "--force")
        wait_until(lambda: self.signer(gateway) == following, 12, "the change is taken up")

    def test_by_age(self):
        gateway = self.gateway(access="key_lifetime 30d;")
        following = keys.listed(gateway)["next"]["kid"]

        def age(document):
            for key in document["keys"]:
                key["created"] -= 30 * DAY
                key["since"] -= 30 * DAY

        keys.edit_manifest(gateway, age)
        keys.hang_up(gateway)
        wait_until(lambda: self.signer(gateway) == following, 5, "rotation by age")
        (event,) = gateway.events("keys_rotated", 1)
        self.assertEqual((event["event.reason"], event["key.id"]), ("age", following))


class Withdrawal(KeysCase):
    def test_refused_at_once_and_the_session_goes_on(self):
        gateway = self.gateway()
        pair = login(gateway)
        token = pair["access_token"]
        stolen = keys.header(token)["kid"]
        self.assertEqual(whoami(gateway, token).status, 200)
        keys.change(gateway, "rotate", "--force")
        wait_until(lambda: self.signer(gateway) != stolen, 5, "another key signs")
        other = login(gateway, "bob", "builder")["access_token"]
        self.assertEqual((whoami(gateway, token).status, whoami(gateway, other).status), (200, 200))
        keys.change(gateway, "retire", stolen, "--now")
        reply = wait_until(
            lambda: (reply := whoami(gateway, token)).status != 200 and reply, 5, "the token is refused"
        )
        self.assertEqual((reply.status, reply.json["code"]), (401, "token_revoked"))
        # Every connection that there is, every time.
        for _ in range(20):
            self.assertEqual(whoami(gateway, token).status, 401)
        self.assertEqual(whoami(gateway, other).status, 200)
        self.assertNotIn(stolen, keys.published_names(gateway))
        again = refresh(gateway, pair)
        self.assertEqual(again.status, 200)
        self.assertEqual(whoami(gateway, again.json["access_token"]).status, 200)
        (event,) = gateway.events("key_withdrawn", 1)
        self.assertEqual(event["key.id"], stolen)
        # Also after a restart.
        gateway.stop()
        gateway.start()
        self.assertEqual(whoami(gateway, token).status, 401)

    def test_streams_that_it_has_let_in_are_cut_and_others_are_not(self):
        gateway = self.gateway()

        def stream(token):
            raw = Raw(gateway.port)
            raw.send(f"GET /events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n")
            self.assertIn(b" 200 ", raw.line_end(b"\r\n\r\n"))
            return raw

        stolen = self.signer(gateway)
        first = stream(login(gateway)["access_token"])
        keys.change(gateway, "rotate", "--force")
        wait_until(lambda: self.signer(gateway) != stolen, 5, "another key signs")
        second = stream(login(gateway, "bob", "builder")["access_token"])
        self.assertTrue(first.receive())
        keys.change(gateway, "retire", stolen, "--now")
        self.assertTrue(first.rest(5).endswith(b"0\r\n\r\n"))
        second.input = b""
        self.assertTrue(second.receive())

    def test_the_active_key_gives_way_to_the_next(self):
        gateway = self.gateway()
        cookies = login(gateway, browser=True)
        before = keys.listed(gateway)
        keys.change(gateway, "retire", before["active"]["kid"], "--now")
        wait_until(lambda: self.signer(gateway) == before["next"]["kid"], 5, "the next key signs")
        # A browser notices nothing: it is sent to refresh and back.
        headers = ["Sec-Fetch-Site: same-origin"]
        reply = wait_until(
            lambda: (reply := curl(gateway.base + "/whoami", cookies=cookies, headers=headers)).status == 307
            and reply,
            5,
            "the bounce",
        )
        self.assertEqual(reply.one("location"), "/refresh?return_to=/whoami")
        reply = curl(gateway.base + reply.one("location"), cookies=cookies, headers=headers)
        fresh = {name: value for name, (value, _) in reply.cookies().items()}
        self.assertEqual(curl(gateway.base + "/whoami", cookies=fresh, headers=headers).status, 200)

    def test_a_browser_that_was_away_while_keys_changed_is_not_logged_out(self):
        gateway = self.gateway()
        cookies = login(gateway, browser=True)
        keys.change(gateway, "rotate", "--force")

        def expire(document):
            for key in document["keys"]:
                if key["state"] == "retired":
                    key["good_until"] = 1

        keys.edit_manifest(gateway, expire)
        keys.hang_up(gateway)
        wait_until(lambda: len(keys.published_names(gateway)) == 2, 5, "the retired key goes")
        headers = ["Sec-Fetch-Site: same-origin"]
        self.assertEqual(curl(gateway.base + "/whoami", cookies=cookies, headers=headers).status, 307)
        gateway.stop()
        gateway.start()
        self.assertEqual(curl(gateway.base + "/whoami", cookies=cookies, headers=headers).status, 307)


class Restart(KeysCase):
    def test_in_every_state(self):
        gateway = self.gateway()
        tokens = [login(gateway)["access_token"]]
        for arguments in (("rotate", "--force"), ("rotate", "--force")):
            gateway.kill()
            self.assertEqual(keys.command(gateway, *arguments)[0], 0)
            gateway.start()
            tokens.append(login(gateway)["access_token"])
            self.assertEqual([whoami(gateway, token).status for token in tokens], [200] * len(tokens))
        self.assertEqual(len({keys.header(token)["kid"] for token in tokens}), 3)
        before = keys.manifest(gateway)["keys"]
        gateway.kill()
        gateway.start()
        self.assertEqual(keys.manifest(gateway)["keys"], before)

    def test_the_key_of_an_earlier_release_is_taken_over(self):
        gateway = self.gateway(start=False)
        os.mkdir(gateway.state, 0o700)
        path = os.path.join(gateway.state, "signing-key.pem")
        pem = keys.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        with open(path, "wb") as file:
            file.write(pem)
        gateway.start()
        from joserfc.jwk import ECKey

        self.assertEqual(self.signer(gateway), ECKey.import_key(pem).thumbprint())
        self.assertFalse(os.path.exists(path))
        for file in glob.glob(os.path.join(gateway.state, "keys", "*.pem")):
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.join(gateway.state, "keys")).st_mode & 0o777, 0o700)

    def test_another_algorithm_signs_from_the_next_start_on(self):
        gateway = self.gateway()
        old = login(gateway)["access_token"]
        gateway.stop()
        with open(gateway.config) as file:
            text = file.read()
        with open(gateway.config, "w") as file:
            file.write(text.replace("audience clients;", "audience clients; algorithm EdDSA;"))
        gateway.start()
        new = login(gateway)["access_token"]
        self.assertEqual((keys.header(old)["alg"], keys.header(new)["alg"]), ("ES256", "EdDSA"))
        self.assertEqual((whoami(gateway, old).status, whoami(gateway, new).status), (200, 200))

    def test_another_algorithm_by_reload_waits_until_everybody_knows_its_key(self):
        gateway = self.gateway()
        with open(gateway.config) as file:
            text = file.read()
        with open(gateway.config, "w") as file:
            file.write(text.replace("audience clients;", "audience clients; algorithm ES384;"))
        keys.hang_up(gateway)
        wait_until(lambda: keys.listed(gateway)["next"]["algorithm"] == "ES384", 5, "a next key")
        self.assertEqual(keys.header(login(gateway)["access_token"])["alg"], "ES256")

        def age(document):
            for key in document["keys"]:
                key["created"] -= 120_000

        keys.edit_manifest(gateway, age)
        keys.hang_up(gateway)
        wait_until(
            lambda: keys.header(login(gateway)["access_token"])["alg"] == "ES384", 5, "the new algorithm"
        )

    def test_a_command_that_is_killed_anywhere_leaves_keys_that_load(self):
        gateway = self.gateway()
        token = login(gateway)["access_token"]
        gateway.stop()
        seed = int(time.time())
        print(f"\n    seed {seed}")
        chance = random.Random(seed)
        for _ in range(25):
            process = launch(
                [GATEWAY, "keys", "rotate", "--force", "-c", gateway.config],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(chance.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.assertEqual(keys.command(gateway, "list")[0], 0)
        gateway.start()
        self.assertEqual(whoami(gateway, token).status, 200)
        self.assertEqual(whoami(gateway, login(gateway)["access_token"]).status, 200)

    def test_a_directory_that_cannot_be_right_stops_the_start_and_not_a_running_gateway(self):
        gateway = self.gateway()
        token = login(gateway)["access_token"]
        path = os.path.join(gateway.state, "keys", "keys.json")
        with open(path) as file:
            good = file.read()
        with open(path, "w") as file:
            file.write(good[: len(good) // 2])
        keys.hang_up(gateway)
        wait_until(lambda: "the old keys stay" in gateway.service_log(), 5, "the fault is said")
        self.assertEqual(whoami(gateway, token).status, 200)
        self.assertEqual(keys.command(gateway, "list")[0], 1)
        with open(path, "w") as file:
            file.write(good)
        keys.hang_up(gateway)
        self.assertEqual(whoami(gateway, login(gateway)["access_token"]).status, 200)


class TwoGateways(KeysCase):
    def test_over_one_directory(self):
        first, second = self.gateway(), self.gateway(start=False)
        with open(second.config) as file:
            text = file.read()
        with open(second.config, "w") as file:
            file.write(text.replace("audience clients;", f"audience clients; issuer {first.origin};"))
        os.mkdir(second.state, 0o700)
        os.symlink(os.path.join(first.state, "keys"), os.path.join(second.state, "keys"))
        second.start()
        self.assertEqual(self.signer(first), self.signer(second))
        old = login(first)["access_token"]
        following = keys.listed(first)["next"]["kid"]
        keys.change(first, "rotate", "--force")
        wait_until(lambda: self.signer(first) == following, 5, "the first signs with the next key")
        # The other one knows it from before.
        new = login(first)["access_token"]
        self.assertEqual((whoami(second, old).status, whoami(second, new).status), (200, 200))
        wait_until(lambda: self.signer(second) == following, 12, "the second takes it up")
        self.assertEqual(whoami(first, login(second)["access_token"]).status, 200)
        # Both at once: one change each, none lost.
        processes = [
            launch([GATEWAY, "keys", "rotate", "--force", "-c", one.config], stdout=subprocess.DEVNULL)
            for one in (first, second)
            for _ in range(3)
        ]
        self.assertEqual([process.wait(60) for process in processes], [0] * 6)
        # Of eight keys that have signed or will, one signs and one is to follow.
        states = [key["state"] for key in keys.manifest(first)["keys"]]
        self.assertEqual((len(states), states.count("retired")), (9, 7))


class RefreshKeys(KeysCase):
    def begin(self, gateway):
        """Has the newest refresh key be in use."""
        path = os.path.join(gateway.state, "refresh.key")
        with open(path) as file:
            text = file.read()
        with open(path + ".edited", "w") as file:
            file.write(re.sub(r" since=\d+", f" since={int(time.time() * 1000) - 1}", text))
        os.rename(path + ".edited", path)
        keys.hang_up(gateway)

    def number(self, token):
        return keys.decoded(token.removeprefix("rt_"))[0]

    def test_sessions_go_over_to_a_new_key_also_in_the_middle_of_a_retry(self):
        gateway = self.gateway()
        pair, lost = login(gateway), login(gateway, "bob", "builder")
        self.assertEqual(self.number(pair["refresh_token"]), 1)
        # An answer that never arrives.
        child = refresh(gateway, lost).json["refresh_token"]
        keys.change(gateway, "rotate", "refresh")
        # Announced, and not in use.
        self.assertEqual(self.number(login(gateway)["refresh_token"]), 1)
        self.begin(gateway)
        wait_until(lambda: self.number(login(gateway)["refresh_token"]) == 2, 5, "the new key")
        again = refresh(gateway, lost)
        self.assertEqual(again.status, 200, again.body)
        self.assertEqual(again.json["refresh_token"], child)
        self.assertEqual(self.number(child), 1)
        newer = refresh(gateway, {"refresh_token": child})
        self.assertEqual((newer.status, self.number(newer.json["refresh_token"])), (200, 2))
        reply = refresh(gateway, pair)
        self.assertEqual((reply.status, self.number(reply.json["refresh_token"])), (200, 2))
        code, said = keys.command(gateway, "list", "--json")
        states = {key["number"]: key["state"] for key in json.loads(said)["refresh_keys"]}
        self.assertEqual((code, states), (0, {2: "current", 1: "previous"}))
        (event,) = gateway.events("keys_rotated", 1)
        self.assertEqual(event["key.id"], "refresh-2")
        gateway.kill()
        gateway.start()
        self.assertEqual(refresh(gateway, reply.json).status, 200)

    def test_a_second_one_has_to_wait(self):
        gateway = self.gateway()
        self.assertEqual(keys.command(gateway, "rotate", "refresh")[0], 0)
        code, said = keys.command(gateway, "rotate", "refresh")
        self.assertEqual(code, 1)
        self.assertIn("--force", said)
        self.assertEqual(keys.command(gateway, "rotate", "refresh", "--force")[0], 0)


class CommandLine(unittest.TestCase):
    def run_keys(self, *arguments):
        done = subprocess.run([GATEWAY, "keys", *arguments], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout, done.stderr

    def test_help(self):
        for arguments in (["--help"], ["list", "--help"], ["rotate", "-h"], ["retire", "--help"]):
            code, said, _ = self.run_keys(*arguments)
            self.assertEqual(code, 0)
            self.assertIn("keys " + (arguments[0] if arguments[0] != "--help" else "list"), said)

    def test_usage(self):
        for arguments in (
            [],
            ["rotated"],
            ["rotate", "access"],
            ["rotate", "--now"],
            ["list", "--force"],
            ["retire"],
            ["retire", "a", "b"],
            ["list", "-c"],
        ):
            code, _, said = self.run_keys(*arguments)
            self.assertEqual(code, 2, arguments)
            self.assertIn("see 'auth-gateway help keys", said)

    def test_a_configuration_that_is_none(self):
        path = os.path.join(directory(), "gateway.conf")
        with open(path, "w") as file:
            file.write("listen nowhere;\n")
        self.assertEqual(self.run_keys("list", "-c", path)[0], 78)

    def test_before_the_first_start(self):
        gateway = Gateway(demo.port, start=False)
        os.makedirs(os.path.join(gateway.state, "keys"), 0o700)
        self.assertEqual(keys.command(gateway, "list"), (0, "no keys yet: the first start makes them\n"))
        for arguments in (["rotate"], ["rotate", "refresh"], ["retire", "x", "--now"]):
            self.assertEqual(keys.command(gateway, *arguments)[0], 1)
        self.assertEqual(os.listdir(os.path.join(gateway.state, "keys")), [])

    def test_a_key_that_is_not_there(self):
        gateway = Gateway(demo.port)
        self.addCleanup(gateway.stop)
        for arguments in (["retire", "nobody"], ["retire", "nobody", "--now"], ["retire", "-" + "x" * 42]):
            code, said = keys.command(gateway, *arguments)
            self.assertEqual(code, 1)
            self.assertIn("there is no such key", said)


if __name__ == "__main__":
    unittest.main()
