# SPDX-License-Identifier: MIT
"""GET /v1/sys/services, /v1/sys/sessions and /v1/sys/channels: services, sessions and
channels of ops.def."""
import http.client
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import (BUILD, ENGINES, LIMIT, Domain, Skip, check, equal, run,  # noqa: E402
                     test, until)


class World(Domain):
    def __enter__(self):
        self.start()
        with open(os.path.join(self.dir, 'run/http.json')) as f:
            self.address = json.load(f)['tcp']
        return self

    def get(self, what):
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT)
        connection.request('GET', '/v1/sys/' + what)
        answer = connection.getresponse()
        equal(answer.status, 200, what)
        rows = json.loads(answer.read())[what]
        connection.close()
        return rows


@test
def nothing_runs_at_first():
    with World() as w:
        equal(w.get('sessions'), [], 'sessions')


@test
def a_guest_is_listed_with_what_it_calls_and_uses_until_it_ends():
    for engine in ENGINES:
        with World() as w:
            guest = w.guest(engine, options=('--name=the "guest"',))
            guest.ask('pid')
            row, = w.get('sessions')
            equal((row['name'], row['engine'], row['personality']),
                  ('the "guest"', engine, 'cloudos'), 'who it is')
            equal(row['pid'], int(guest.ask('pid').split()[-1]), 'its process')
            check('fault-guest' in row['command'], row)
            check(100000 < row['rss'] < 1 << 30, 'resident: %r' % row['rss'])
            check(0 <= row['cpuSeconds'] < 3600, 'processor time: %r' % row['cpuSeconds'])
            age = time.time() - time.mktime(time.strptime(
                row['startedAt'][:19], '%Y-%m-%dT%H:%M:%S')) + time.timezone
            check(-2 < age < LIMIT, 'started %r seconds ago' % age)
            guest.finish()
            until('the end of its row', lambda: w.get('sessions') == [])


@test
def services_of_all_systems_are_listed_with_the_reason_of_their_health():
    with World() as w:
        names = {s['name']: s for s in w.get('services')}
        core = names['blackroad-os-core']
        equal((core['status'], core['reason'], core['role'], core['port']),
              ('stopped', 'no program runs under that name', 'core', 8000), 'a known name')
        guest = w.guest(ENGINES[0], program=(os.path.join(BUILD, 'example-service'),))
        check('registered' in guest.line(), 'the service')
        w.ctl('service', 'register', 'refused', '--pid', str(os.getpid()), '--port', '1',
              '--version', '2', '--health-check', 'tcp://127.0.0.1:1')

        def verdicts():
            rows = {s['name']: s for s in w.get('services')}
            return (rows['hello']['status'] == 'healthy' and
                    'refused' in rows['refused']['reason'] and rows)
        rows = until('both verdicts', verdicts)
        equal((rows['hello']['personality'], rows['refused']['personality']), ('cloudos', ''),
              'whose they are')
        equal((rows['refused']['version'], rows['refused']['pid']), ('2', os.getpid()), 'the other')
        check(rows['refused']['rss'] > 1000000, 'resident: %r' % rows['refused'])
        check(0 <= rows['hello']['uptime'] < LIMIT, rows['hello'])


@test
def a_port_is_listed_under_its_name_with_the_messages_it_has_carried():
    if 'trap' not in ENGINES:
        raise Skip('CO_ENGINE asks for another engine than trap, which Anos programs need')
    echo = os.path.join(BUILD, 'anos-echo.elf')
    ask = os.path.join(BUILD, 'anos-ask.elf')
    with World() as w:
        server = w.guest('trap', program=(echo,))
        equal(server.line(), 'echo: registered', 'the server')

        def port():
            return next((p for p in w.get('channels') if p['name'] == 'echo'), None)
        row = until('the port', port)
        session, = w.get('sessions')
        equal((row['personality'], row['session'], row['pid']),
              ('anos', session['id'], session['pid']), 'whose it is')
        equal(row['messages'], 0, 'messages before')
        asker = w.guest('trap', 'echo', 'one', program=(ask,))
        equal(asker.process.wait(LIMIT), 0, 'the asker')
        row = until('the message', lambda: (port() or {}).get('messages') and port())
        equal((row['messages'], row['answers'], row['queued']), (1, 1, 0), 'what it has carried')
        check(row['latencyMicroseconds']['p50'] > 0, row)


run()
