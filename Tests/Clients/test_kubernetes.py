# The manifests of deploy/kubernetes, by the schemas of Kubernetes; what they configure, by the gateway itself; and that
# they ask for no more than they have to.

import glob
import os
import subprocess
import unittest

import kubernetes_validate
import yaml

from harness import GATEWAY, ROOT, directory

VERSION = "1.31"


def manifests():
    for path in sorted(glob.glob(os.path.join(ROOT, "deploy/kubernetes/*.yaml"))):
        with open(path) as file:
            for manifest in yaml.safe_load_all(file):
                yield os.path.basename(path), manifest


class Manifests(unittest.TestCase):
    def test_they_are_as_the_schemas_want_them(self):
        kinds = []
        for name, manifest in manifests():
            with self.subTest(file=name, kind=manifest["kind"]):
                kubernetes_validate.validate(manifest, VERSION, strict=True)
            kinds.append(manifest["kind"])
        self.assertEqual(kinds.count("StatefulSet"), 2)
        broken = next(manifest for _, manifest in manifests() if manifest["kind"] == "StatefulSet")
        broken["spec"]["replica"] = 1
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSION, strict=True)

    def test_what_they_configure_is_valid(self):
        secret = os.path.join(directory(), "control")
        with open(secret, "w") as file:
            file.write("0123456789abcdef0123456789abcdef")
        for name, manifest in manifests():
            if manifest["kind"] != "ConfigMap":
                continue
            path = os.path.join(directory(), "gateway.conf")
            with open(path, "w") as file:
                file.write(manifest["data"]["gateway.conf"].replace("/etc/auth-gateway-secrets/control", secret))
            done = subprocess.run([GATEWAY, "check", "-c", path], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)

    def test_the_secret_that_stands_there_is_none(self):
        secret = next(manifest for _, manifest in manifests() if manifest["kind"] == "Secret")
        path = os.path.join(directory(), "gateway.conf")
        with open(path, "w") as file:
            file.write(
                "listen 127.0.0.1:1; public_url http://localhost:1; access_token { audience a; }\n"
                "upstream api { server http://127.0.0.1:2; } route / { upstream api; }\n"
                f'control {{ listen 0.0.0.0:3; secret "{secret["stringData"]["control"]}"; }}\n')
        done = subprocess.run([GATEWAY, "check", "-c", path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 78)

    def test_they_ask_for_no_rights_and_have_one_replica(self):
        for name, manifest in manifests():
            if manifest["kind"] != "StatefulSet":
                continue
            with self.subTest(file=name):
                self.assertEqual(manifest["spec"]["replicas"], 1)
                pod = manifest["spec"]["template"]["spec"]
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                self.assertEqual(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
                self.assertFalse(pod["automountServiceAccountToken"])
                for container in pod["containers"] + pod.get("initContainers", []):
                    rights = container["securityContext"]
                    self.assertFalse(rights["allowPrivilegeEscalation"])
                    self.assertTrue(rights["readOnlyRootFilesystem"])
                    self.assertEqual(rights["capabilities"]["drop"], ["ALL"])

    def test_there_is_time_to_drain(self):
        configurations = {}
        for name, manifest in manifests():
            if manifest["kind"] == "ConfigMap":
                configurations[name] = manifest["data"]["gateway.conf"]
            if manifest["kind"] == "StatefulSet":
                seconds = manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
                words = configurations[name].replace(";", " ").split()
                drain = sum(int(words[words.index(each) + 1][:-1]) for each in ("drain_delay", "drain_timeout"))
                self.assertLess(drain, seconds, name)


if __name__ == "__main__":
    unittest.main()
