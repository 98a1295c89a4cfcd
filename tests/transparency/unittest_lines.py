# SPDX-License-Identifier: MIT
"""Runs the tests of one module and writes a line for each: its name and how it ended.

usage: unittest_lines.py FILE MODULE    GUEST of the transparency suite; compare.py starts it
"""
import sys
import unittest


class Lines(unittest.TextTestResult):
    """One line as soon as a test has ended, so that a crash loses nothing before it."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.file = open(sys.argv[1], "a", buffering=1, encoding="utf-8",
                         errors="backslashreplace")

    def tell(self, test, outcome):
        self.file.write(f"{test.id()}\t{outcome}\n".replace("\n", " ").strip() + "\n")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell(test, "ok")

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, f"error {err[0].__name__}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, "failed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(test, "skipped")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.tell(test, "failed as expected")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell(test, "ok unexpectedly")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.tell(test, "failed in a part")


def main():
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[2])
    runner = unittest.TextTestRunner(resultclass=Lines, verbosity=2)
    sys.argv = sys.argv[:2]
    sys.exit(0 if runner.run(suite).wasSuccessful() else 1)


if __name__ == "__main__":
    main()
