# Runs the test modules and says in one last line how it went. A test that is expected to fail shows a known
# fault of the gateway; when it passes all at once, the run fails, so that the mark goes when the fault does.

import glob
import os
import sys
import time
import unittest


class Result(unittest.TextTestResult):
    """Says which tests are slow: the whole run has a bar of six minutes."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        seconds = time.monotonic() - self.began
        if seconds > 5:
            self.stream.writeln(f"    ({seconds:.0f} s)")
        super().stopTest(test)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    names = sys.argv[1:] or sorted(
        os.path.basename(path)[:-3] for path in glob.glob(os.path.join(here, "test_*.py"))
    )
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=2).run(suite)
    # One test may fail in several of its cases.
    broken = {getattr(test, "test_case", test) for test, _ in result.failures + result.errors}
    failed = len(broken) + len(result.unexpectedSuccesses)
    known, skipped = len(result.expectedFailures), len(result.skipped)
    # An error in setUpClass counts no test, so the sum is taken from those that ran.
    passed = max(0, result.testsRun - failed - known - skipped)
    notes = "".join(
        f", {count} {word}" for count, word in ((known, "known faults"), (skipped, "skipped")) if count
    )
    print(f"{passed} passed, {failed} failed{notes}")
    sys.exit(1 if failed or not result.testsRun else 0)


if __name__ == "__main__":
    main()
