# SPDX-License-Identifier: MIT
"""Programs that `cloudos-ctr run` and `cloudos-ctr exec` start in the foreground have calls."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boxes import Boxed, bundle, folder_of_bundles, refusal, socket_of  # noqa: E402
from harness import BUILD, GUEST, Domain, equal, run, test, until  # noqa: E402

CTR = os.path.join(BUILD, 'cloudos-ctr')


class Command(Boxed):
    """A program that cloudos-ctr starts, which takes commands as Guest's do."""

    def __init__(self, domain, *words):
        self.process = subprocess.Popen([CTR, *words], env=domain.env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        domain.guests.append(self)
        self.buffer = b''
        self.pid = None


@test
def run_and_exec_in_the_foreground_are_served():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        root = os.path.join(folder, 'root')
        bundle(folder, (GUEST,), {'socket': socket_of(domain), 'name': 'shop'})
        first = Command(domain, '--root', root, 'run', '--bundle', folder, 'box')
        equal(first.result('register by run'), 0, 'a call under run')
        second = Command(domain, '--root', root, 'exec', 'box', GUEST)
        equal(second.result('register by exec'), 0, 'a call under exec')
        equal(second.finish()[0], 0, 'the end of exec')
        equal(first.finish()[0], 0, 'the end of run')
        until('the end of the sessions', lambda: domain.status()['sessions'] == 0)
        equal(os.listdir(root), [], 'what is left of the container')


why = refusal()
if why:
    print('SKIP: %s' % why)
    sys.exit(77)
run()
