# SPDX-License-Identifier: MIT
"""cloudosctl trace --sites: of a program that looks as if it had been trapped, of ones
that lie about it, and of one that really was."""
import json
import os
import subprocess
import sys

sys.path.insert(0, __file__.rpartition('/')[0] + '/../fault')
from harness import (BUILD, CTL, LIMIT, Domain, Guest, Skip, check, equal, run,  # noqa: E402
                     test, until)

STATS = os.path.join(BUILD, 'stats-guest')


class Sites:
    """A guest that shows statistics, under an engine that does not matter."""

    def __init__(self, domain, mode, engine='ptrace'):
        self.guest = Guest(domain, engine, mode, program=(STATS,), options=('--name=shown',))
        line = self.guest.line()
        if 'skip' in line:
            raise Skip(line)
        parts = line.split()
        self.pid = int(parts[0])
        self.addresses = [int(a, 16) for a in parts[1:4]]

    def place(self, address):
        """As the listing has it: the file and how far behind its beginning."""
        with open('/proc/%d/maps' % self.pid) as f:
            maps = [line.split(maxsplit=5) for line in f]
        for span, _, _, _, _, *path in maps:
            start, end = (int(x, 16) for x in span.split('-'))
            if start <= address < end and path:
                first = min(int(m[0].split('-')[0], 16) for m in maps if m[5:] == path)
                return '%s+%#x' % (os.path.basename(path[0].strip()), address - first)
        return '%#x' % address


def listed(domain, *words):
    return json.loads(domain.ctl('trace', '--sites', '-o', 'json', *words).stdout)


@test
def each_site_is_listed_with_its_place_its_call_and_its_state():
    with Domain() as domain:
        domain.start()
        shown = Sites(domain, 'good')
        for words in (['shown'], ['1'], [str(shown.pid)]):
            rows = listed(domain, *words)
            equal([(r['site'], r['call'], r['number'], r['traps'], r['state'], r['why'])
                   for r in rows],
                  [(shown.place(shown.addresses[0]), 'getpid', 39, 12, 'patched', ''),
                   ('%#x' % shown.addresses[1], rows[1]['call'],
                    20000, 57, 'never', 'not in read-only code of a file'),
                   (shown.place(shown.addresses[2]), 'getpid', 20, 1, 'trapping', '')],
                  'rows of ' + words[0])
            check(rows[0]['site'].startswith('libc.so.6+0x'), rows[0]['site'])
            check(rows[1]['call'], 'the private call has no name')
        table = domain.ctl('trace', '--sites', 'shown').stdout
        for text in ('SITE', 'CALL', 'TRAPS', 'STATE', 'WHY', 'getpid',
                     'process %d: 3 sites, 70 traps; 1 sites patched, 1 not; 5 signals' %
                     shown.pid):
            check(text in table, 'no "%s" in\n%s' % (text, table))


@test
def a_child_is_found_by_its_pid():
    with Domain() as domain:
        domain.start()
        guest = Guest(domain, 'ptrace', '-c', '"$0" good; exit 3', STATS, program=('sh',))
        pid = int(guest.line().split()[0])
        equal(len(listed(domain, str(pid))), 3, 'sites')
        r = domain.ctl('trace', '--sites', 'sh', status=4)
        check('does not run under engine trap' in r.stderr, r.stderr)


@test
def who_is_not_there_or_not_trapped_is_said_so():
    with Domain() as domain:
        domain.start()
        r = domain.ctl('trace', '--sites', status=4)
        check('which program?' in r.stderr, r.stderr)
        r = domain.ctl('trace', '--sites', '77', status=4)
        check('no program under this daemon has that process' in r.stderr, r.stderr)
        r = domain.ctl('trace', '--sites', 'nobody', status=4)
        check('no program named "nobody"' in r.stderr, r.stderr)
        r = domain.ctl('trace', status=2)
        check('needs SESSION|NAME' in r.stderr, r.stderr)
        for mode in ('none', 'mark'):
            shown = Sites(domain, mode)
            r = domain.ctl('trace', '--sites', str(shown.pid), status=4)
            check('process %d does not run under engine trap' % shown.pid in r.stderr, r.stderr)
        r = domain.ctl('trace', '--sites', str(os.getpid()), status=4)
        check('no program under this daemon' in r.stderr, r.stderr)


@test
def statistics_that_lie_harm_nobody():
    with Domain() as domain:
        domain.start()
        for mode in ('wild', 'many'):
            shown = Sites(domain, mode)
            r = domain.ctl('trace', '--sites', str(shown.pid), status=1)
            check('cannot be read' in r.stderr, r.stderr)
        shown = Sites(domain, 'odd')
        rows = listed(domain, str(shown.pid))
        equal([(r['call'], r['state'], r['why']) for r in rows],
              [('', 'unknown', 'for a reason unknown here'),
               ('', 'never', 'not in read-only code of a file'), ('', 'trapping', '')], 'rows')
        equal(rows[2]['site'], '0xffffffffffffffff', 'a place that is nowhere')
        equal(domain.status()['restarts'], 0, 'restarts')


@test
def a_program_that_never_answers_holds_up_its_own_listing_only():
    with Domain() as domain:
        domain.start()
        stuck, good = Sites(domain, 'stuck'), Sites(domain, 'good')
        waiting = []

        def one_more():
            waiting.append(subprocess.Popen(
                [CTL, 'trace', '--sites', str(stuck.pid)], env=domain.env,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def refused():
            # the last may have been, because of the look that follows
            if waiting[-1].poll() is not None:
                one_more()
            return 'other listings wait' in domain.ctl(
                'trace', '--sites', str(good.pid), status=None).stderr
        for _ in range(3):
            one_more()
        equal(len(listed(domain, str(good.pid))), 3, 'sites of another')
        one_more()
        until('a refusal', refused)
        check(domain.status()['pid'] > 0, 'status')
        stuck.guest.kill()
        until('room again', lambda: domain.ctl('trace', '--sites', str(good.pid),
                                               status=None).returncode == 0)
        for p in waiting:
            p.wait(LIMIT)


@test
def a_program_under_engine_trap_shows_its_sites():
    with Domain() as domain:
        domain.start()
        r = subprocess.run([os.path.join(BUILD, 'cloudos-exec'), '--engine=trap',
                            '--personality=linux', '/bin/true'], env=domain.env,
                           capture_output=True, text=True, timeout=LIMIT)
        if r.returncode:
            raise Skip('engine trap does not work here: ' + r.stderr)
        guest = Guest(domain, 'trap', program=('/bin/cat',),
                      options=('--personality=linux', '--name=cat'))
        equal(guest.ask('hello'), 'hello', 'what cat says')
        until('the end of the first', lambda: domain.status()['sessions'] == 1)
        rows = listed(domain)  # it is the only one
        reads = [r for r in rows if r['call'] == 'read' and r['site'].startswith('libc')]
        check(reads and all(r['state'] in ('trapping', 'patched') for r in reads),
              'reads of cat: %r' % reads)
        check(any(r['site'].startswith('ld-linux') for r in rows), 'the loader: %r' % rows)


if __name__ == '__main__':
    run()
