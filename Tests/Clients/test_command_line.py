# The command line as a whole: every command with its help, its options and its codes; the completions of three real
# shells; the manual pages; and the examples, which do what they say.

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import unittest

from clients import login
from harness import GATEWAY, Demo, Gateway, directory

FILE, VALUE, FLAG = "file", "value", "flag"

# What callers rely on: each command with its options, and with words that it takes.
COMMANDS = {
    "run": ({"--take-over": FLAG, "-c": FILE}, []),
    "reload": ({"--json": FLAG, "-c": FILE}, []),
    "healthcheck": ({"--live": FLAG, "--json": FLAG, "-c": FILE}, []),
    "check": ({"--strict": FLAG, "-q": FLAG, "--quiet": FLAG, "--dump": FLAG, "--json": FLAG, "-c": FILE}, []),
    "explain": (
        {
            "--claim": VALUE, "--scope": VALUE, "--subject": VALUE, "--issuer": VALUE, "--expired": FLAG,
            "--cookie": FLAG, "--token": VALUE, "--token-file": FILE, "--header": VALUE, "--host": VALUE,
            "--json": FLAG, "-c": FILE,
        },
        ["GET", "/"],
    ),
    "keys list": ({"--json": FLAG, "-c": FILE}, []),
    "keys rotate": ({"--force": FLAG, "-c": FILE}, ["refresh"]),
    "keys retire": ({"--now": FLAG, "-c": FILE}, ["kid"]),
    "token issue": ({"--claims": VALUE, "--label": VALUE, "--json": FLAG, "-c": FILE}, ["ann"]),
    "token inspect": ({"--json": FLAG, "-c": FILE}, ["token"]),
    "sessions list": ({"--json": FLAG, "-c": FILE}, ["ann"]),
    "sessions explain": ({"--json": FLAG, "-c": FILE}, ["uo9RGDHK-7kfyUYlN3vd0A"]),
    "sessions end": ({"-c": FILE}, ["uo9RGDHK-7kfyUYlN3vd0A"]),
    "sessions backup": ({"-c": FILE}, ["file"]),
    "sessions check": ({"-c": FILE}, []),
    "version": ({"--json": FLAG}, []),
    "completion": ({}, ["bash"]),
    "help": ({"--man": FLAG}, ["keys", "list"]),
}
GROUPS = ["keys", "token", "sessions"]
ALIASES = {"-t": "check", "-v": "version", "--version": "version"}
OPTIONS = {option for options, _ in COMMANDS.values() for option in options}


def run(*arguments, given="", **options):
    return subprocess.run([GATEWAY, *arguments], input=given, capture_output=True, text=True, timeout=30, **options)


def told(*arguments):
    """What a command line that is right prints, with nothing beside it."""
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), (arguments, done)
    return done.stdout


class Help(unittest.TestCase):
    def test_the_list_has_every_command_and_no_other(self):
        text = told("--help")
        self.assertEqual(re.findall(r"^  ((?:[a-z]+)(?: [a-z]+)?)  ", text, re.M), list(COMMANDS))
        self.assertEqual(told("-h"), text)
        # Whoever asks in so many words gets everything.
        self.assertEqual(told("help"), text + "\n" + told("help", "directives"))

    def test_each_command_has_one_that_is_the_same_however_it_is_asked_for(self):
        for name, (options, _) in COMMANDS.items():
            words = name.split()
            text = told("help", *words)
            for asked in ("--help", "-h"):
                self.assertEqual(told(*words, asked), text)
            self.assertTrue(text.startswith(f"usage: auth-gateway {name}"), text)
            for title in ("Options:", "Exit codes:", "Examples:"):
                self.assertIn(f"\n{title}\n", text)
            self.assertEqual("--json" in options, "\nWith --json:\n" in text, name)
            listed = re.search(r"Options:\n(.*?)\n\n", text, re.S).group(1)
            found = re.findall(r"^  (-\S+?)(?:, (-\S+))?(?: [A-Z=]+)?(?:  |$)", listed, re.M)
            self.assertEqual({word for pair in found for word in pair if word}, {*options, "-h", "--help"}, name)
        for alias, name in ALIASES.items():
            self.assertEqual(told(alias, "--help"), told("help", name))

    def test_a_word_with_several_commands_lists_them(self):
        for group in GROUPS:
            text = told("help", group)
            self.assertEqual(told(group, "--help"), text)
            for name in COMMANDS:
                self.assertEqual(f" auth-gateway {name} " in text.split("\n\n")[0], name.startswith(group + " "), name)

    def test_no_line_is_wider_than_a_page(self):
        asked = [["help"], ["help", "directives"], *(["help", *name.split()] for name in (*COMMANDS, *GROUPS))]
        for words in asked:
            wide = [line for line in told(*words).splitlines() if len(line) > 100]
            self.assertEqual(wide, [], words)

    def test_directives_come_all_or_one_by_one(self):
        whole = told("help", "directives")
        self.assertIn("In 'refresh_token { … }':", whole)
        one = told("help", "directives", "drain_delay")
        self.assertIn("  drain_delay DURATION;\n", one)
        self.assertIn(one, whole)
        self.assertEqual(told("help", "directives", "audience").count("  audience NAME"), 3)
        done = run("help", "directives", "drain_dealy")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("did you mean 'drain_delay'?", done.stderr)

    def test_without_a_command_the_list_is_a_message(self):
        done = run()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", told("--help")))


class Usage(unittest.TestCase):
    def refused(self, *arguments, topic, words):
        """A command line is wrong in two lines: what is, and where to read on."""
        done = run(*arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 2, done.stderr)
        self.assertTrue(lines[0].startswith("auth-gateway: "), lines)
        self.assertIn(words, lines[0])
        self.assertEqual(lines[1], f"see 'auth-gateway help{' ' + topic if topic else ''}'")

    def test_each_option_is_taken_and_no_other_is(self):
        cases = []
        for name, (options, _) in COMMANDS.items():
            # What stands behind an option with a value is its value, whatever it looks like.
            taken = [word for option, kind in options.items() for word in [option, *(["-h"] if kind != FLAG else [])]]
            cases.append((name, [*taken, "--nonesuch"], f"'{name}' knows no '--nonesuch'"))
            for option in sorted(OPTIONS):
                if option not in options:
                    cases.append((name, [option, "x"], f"'{name}' knows no '{option}'"))
                elif options[option] != FLAG:
                    cases.append((name, [option], f"{option} needs a value"))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda case: self.refused(*case[0].split(), *case[1], topic=case[0], words=case[2]), cases))

    def test_a_word_too_many(self):
        for name, (_, taken) in COMMANDS.items():
            self.refused(*name.split(), *taken, "more", topic=name, words=f"'{name}' takes no 'more'")

    def test_a_word_too_few(self):
        for name, words in (("keys retire", "the name of a key"), ("token issue", "a subject"), ("explain", "a target"),
                            ("sessions end", "a session id"), ("sessions backup", "a file"), ("completion", "a shell")):
            self.refused(*name.split(), topic=name, words=f"'{name}' needs {words}")
        for group in GROUPS:
            self.refused(group, topic=group, words="needs a command: ")
            self.refused(group, "-c", "x", topic=group, words="needs a command: ")

    def test_the_nearest_word_is_offered_and_a_far_one_is_not(self):
        for arguments, topic, near in (
            (["chekc"], "", "check"), (["seesions"], "", "sessions"), (["keys", "lst"], "keys", "list"),
            (["check", "--stirct"], "check", "--strict"), (["explain", "--header=x", "/"], "explain", "--header"),
            (["completion", "bas"], "completion", "bash"), (["help", "relaod"], "", "reload"),
            (["keys", "rotate", "refrsh"], "keys rotate", "refresh"), (["help", "keys", "retier"], "", "retire"),
        ):
            self.refused(*arguments, topic=topic, words=f"did you mean '{near}'?")
        for arguments in (["fly"], ["check", "--zzz"], ["keys", "zzz"], ["keys list"], [""]):
            self.assertNotIn("did you mean", run(*arguments).stderr)
            self.assertEqual(run(*arguments).returncode, 2, arguments)

    def test_names_may_begin_with_a_hyphen_and_misspelt_options_may_not(self):
        # 78: the line is right, and the file is not there.
        sid = "-" + "A" * 20 + "w"
        for words in (["keys", "retire", "-" + "x" * 42], ["sessions", "end", sid], ["keys", "retire", "--", "--now"]):
            done = run(words[0], "-c", "/nowhere/gateway.conf", *words[1:])
            self.assertEqual(done.returncode, 78, done.stderr)
        self.refused("keys", "retire", "--nwo", topic="keys retire", words="did you mean '--now'?")
        self.refused("sessions", "end", "-x", topic="sessions end", words="knows no '-x'")

    def test_what_is_quoted_commands_no_terminal(self):
        for arguments in (["\x1b[31m"], ["check", "--\x1b[31m"], ["keys", "\x1b"], ["help", "directives", "\x1b"],
                          ["explain", "\x1b"], ["explain", "/", "--claim", "\x1b"], ["sessions", "end", "\x1b"]):
            self.assertEqual(run(*arguments).returncode, 2)
            self.assertNotIn("\x1b", run(*arguments).stderr)


class Running(unittest.TestCase):
    """With a gateway that runs."""

    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.gateway = Gateway(cls.demo.port)
        cls.addClassCleanup(cls.demo.stop)
        cls.addClassCleanup(cls.gateway.stop)

    def ask(self, *arguments):
        return run(*arguments, "-c", self.gateway.config)

    def test_how_it_does_for_a_program(self):
        done = self.ask("healthcheck", "--json")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["healthy"], said["status"]), (0, True, 200))
        self.assertTrue(said["answer"]["ready"])
        self.assertTrue(json.loads(self.ask("healthcheck", "--live", "--json").stdout)["healthy"])
        absent = Gateway(self.demo.port, start=False)
        done = run("healthcheck", "--json", "-c", absent.config)
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, done.stderr, said["healthy"]), (1, "", False))
        self.assertIn("nobody answers", said["reason"])
        self.assertNotIn("status", said)
        done = run("reload", "--json", "-c", absent.config)
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, done.stderr, said["reloaded"]), (1, "", False))
        self.assertIn("no gateway runs", said["reason"])

    def test_versions_for_a_report(self):
        number = told("version").removeprefix("auth-gateway ").strip()
        self.assertRegex(number, r"^\d+\.\d+\.\d+$")
        for alias in ("-v", "--version"):
            self.assertEqual(told(alias), told("version"))
        said = json.loads(told("version", "--json"))
        self.assertEqual(said["version"], number)
        self.assertRegex(said["openssl"], r"^OpenSSL 3\.")
        self.assertRegex(said["sqlite"], r"^3\.\d+")

    def test_every_json_is_one_document_with_the_names_that_help_gives(self):
        access = json.loads(self.ask("token", "issue", "ann", "--json").stdout)["access_token"]
        sid = json.loads(self.ask("sessions", "list", "ann", "--json").stdout)["sessions"][0]["sid"]
        for name, words in (
            ("reload", []), ("healthcheck", []), ("check", []), ("explain", ["/items"]), ("explain", ["/public/"]),
            ("keys list", []), ("token issue", ["bob"]), ("token inspect", [access]), ("sessions list", []),
            ("sessions explain", [sid]),
        ):
            done = self.ask(*name.split(), *words, "--json")
            document = json.loads(done.stdout)
            shape = told("help", *name.split()).split("With --json:\n")[1].split("\n\n")[0]
            for member in document:
                # Of several kinds of answer some members are told of in words.
                self.assertRegex(shape, rf"\b{member}\b", name)

    def test_the_examples_do_what_they_say(self):
        home = directory()
        self.ask("token", "issue", "ann")
        sid = json.loads(self.ask("sessions", "list", "ann", "--json").stdout)["sessions"][0]["sid"]
        keys = json.loads(self.ask("keys", "list", "--json").stdout)["signing_keys"]
        with open(os.path.join(home, "token.txt"), "w") as file:
            file.write(login(self.gateway)["access_token"])
        # It has the configuration where a machine would have it.
        with open(os.path.join(home, "auth-gateway"), "w") as file:
            file.write(f'#!/bin/sh\ncase "$1 $*" in\nversion* | help* | completion* | *" -c "*) exec {GATEWAY} "$@" ;;\n'
                       f'*) exec {GATEWAY} "$@" -c {self.gateway.config} ;;\nesac\n')
        os.chmod(file.name, 0o755)
        shutil.copy(self.gateway.config, home)
        environment = {**os.environ, "PATH": home + ":" + os.environ["PATH"]}
        count = 0
        for name in COMMANDS:
            examples = re.findall(r"^  (\S.*)$", told("help", *name.split()).split("\nExamples:\n")[1], re.M)
            self.assertTrue(examples, name)
            # These would be a gateway of their own; how it is started is in every other test.
            for example in examples if name != "run" else []:
                line = example.replace("uo9RGDHK-7kfyUYlN3vd0A", sid)
                line = line.replace("dxmFofoBa6OhByepmuBFmEEECLXr3W9oLHvkOXLeoow", keys[0]["kid"])
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=home, env=environment,
                                      capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 0, (example, done))
                count += 1
        self.assertGreater(count, 25)


BASH = r"""
source <("$1" completion bash)
complete -p auth-gateway
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_auth_gateway
printf '%s\n' "${COMPREPLY[@]}"
"""

# What completes there is compsys; in its place stand functions that say what they were asked for.
ZSH = r"""
compdef() { : }
_files() { print FILES }
_message() { print "message $*" }
_describe() { local list=${@[-1]}; local -a found=(${(P)list}); print -l -- ${(M)found:#${PREFIX}*} }
source <("$1" completion zsh)
words=("${@:2}") CURRENT=$(($# - 1)) PREFIX=${words[-1]}
# 1: nothing is offered.
_auth_gateway || [ $? = 1 ]
"""

FISH = r"""
$argv[1] completion fish | source
complete -C $argv[2]
"""


class Completion(unittest.TestCase):
    def setUp(self):
        self.home = directory()
        for name in ("gateway.conf", "a file", "token.txt"):
            open(os.path.join(self.home, name), "w").close()

    def shell(self, *command):
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, timeout=20,
                              env={**os.environ, "HOME": self.home})
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout.splitlines()

    def bash(self, *words):
        lines = self.shell("bash", "--norc", "-c", BASH, "bash", GATEWAY, "auth-gateway", *words)
        self.assertEqual(lines[0], "complete -F _auth_gateway auth-gateway")
        return {line for line in lines[1:] if line}

    def zsh(self, *words):
        lines = self.shell("zsh", "-f", "-c", ZSH, "zsh", GATEWAY, "auth-gateway", *words)
        return {line.split(":")[0] for line in lines}

    def fish(self, *words):
        lines = self.shell("fish", "--no-config", "-c", FISH, GATEWAY, " ".join(("auth-gateway", *words)))
        return {line.split("\t")[0] for line in lines}

    def test_the_scripts_are_well_formed(self):
        for shell, option in (("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")):
            path = os.path.join(self.home, shell)
            with open(path, "w") as file:
                file.write(told("completion", shell))
            self.assertEqual(self.shell(shell, option, path), [])

    def test_words_and_options(self):
        first = {name.split()[0] for name in COMMANDS}
        cases = [([""], first), (["ke"], {"keys"}), (["-c", "x", "ke"], {"keys"}), (["help", "dir"], {"directives"}),
                 (["help", "sessions", "e"], {"explain", "end"}), (["help", "directives", "drain_d"], {"drain_delay"}),
                 (["completion", ""], {"bash", "zsh", "fish"}), (["keys", "rotate", "r"], {"refresh"}),
                 (["keys", "-c", "x", "rotate", "--f"], {"--force"}),
                 (["explain", "--scope", "x", "PO"], {"POST"})]
        for group in GROUPS:
            cases.append(([group, ""], {name.split()[1] for name in COMMANDS if name.startswith(group + " ")}))
        for name, (options, _) in COMMANDS.items():
            named = {option for option in (*options, "--help") if option.startswith("--")}
            cases.append(([*name.split(), "--"], named))
        # One shell after another: each starts in a few hundredths of a second.
        for words, wanted in cases:
            for shell in (self.bash, self.zsh, self.fish):
                with self.subTest(shell=shell.__name__, words=words):
                    self.assertEqual(shell(*words), wanted)

    def test_files_where_there_is_one_and_nothing_where_a_value_is_anybodys(self):
        for words in (["check", "-c"], ["explain", "--token-file"], ["sessions", "backup"]):
            self.assertEqual(self.bash(*words, "g"), {"gateway.conf"})
            self.assertEqual(self.bash(*words, "a"), {"a file"})
            self.assertEqual(self.zsh(*words, "g"), {"FILES"})
            self.assertEqual(self.fish(*words, "g"), {"gateway.conf"})
        for words in (["explain", "--claim"], ["token", "issue"], ["keys", "retire"], ["fly"]):
            self.assertEqual(self.bash(*words, "g"), set())
            self.assertNotIn("FILES", self.zsh(*words, "g"))
            self.assertEqual(self.fish(*words, "g"), set())


class Manual(unittest.TestCase):
    def pages(self):
        home = directory()
        for name, words in (("auth-gateway.1", ["help", "--man"]), ("gateway.conf.5", ["help", "directives", "--man"])):
            path = os.path.join(home, name)
            with open(path, "w") as file:
                file.write(told(*words))
            yield path

    def test_the_formatters_complain_of_nothing(self):
        for path in self.pages():
            done = subprocess.run(["mandoc", "-T", "lint", path], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path], text=True,
                                  capture_output=True, timeout=20,
                                  env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def read(self, path):
        done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", path], capture_output=True, text=True,
                              check=True, timeout=20)
        return re.sub(r".\x08", "", done.stdout)

    def test_they_have_what_help_has(self):
        program, configuration = (self.read(path) for path in self.pages())
        titles = re.findall(r"^[A-Z][A-Z ]+$", program, re.M)
        self.assertEqual(titles, ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "SIGNALS", "EXIT STATUS",
                                  "FILES", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"])
        for name, (options, _) in COMMANDS.items():
            self.assertIn(f"\n   auth-gateway {name}\n", program)
            for option in options:
                self.assertRegex(program, rf"(?m)^ {{7}}(\S+, )?{option}\b", name)
        for word in ("SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"):
            self.assertIn(word, program)
        for form in re.findall(r"^  (\S.*;)$", told("help", "directives"), re.M):
            # Ellipses are three dots there.
            self.assertIn("\n       " + form.replace("…", "..."), configuration)

    def test_the_example_is_a_configuration(self):
        path = list(self.pages())[1]
        text = re.search(r"EXAMPLES\n(.*?)\nSEE ALSO", self.read(path), re.S).group(1)
        with open(os.path.join(directory(), "gateway.conf"), "w") as file:
            file.write(text)
        done = run("check", "-c", file.name)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
