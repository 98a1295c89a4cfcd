# SPDX-License-Identifier: MIT
"""Jobs through the daemon: the specification's shapes, handlers that hang, crash and lie, and
kill -9 at every step: the effect of a run happens once, or the run says that it is lost."""
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import CTL, LIMIT, SRC, Domain, alive, check, equal, run, test, until  # noqa: E402

sys.path.insert(0, os.path.join(SRC, 'examples/blackroad'))
import cloudos_handlers as wire  # noqa: E402

FINAL = ('completed', 'failed', 'cancelled')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=LIMIT)
        self.path = path

    def connect(self):
        # not by its path, which may be too long for an address
        folder = os.open(os.path.dirname(self.path), os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(LIMIT)
            self.sock.connect('/proc/self/fd/%d/http.sock' % folder)
        finally:
            os.close(folder)


class Gateway(Domain):
    def __enter__(self):
        self.start()
        return self

    @property
    def unix(self):
        return os.path.join(self.dir, 'run/http.sock')

    def request(self, method, path, body=None):
        """(status, JSON)"""
        c = UnixConnection(self.unix)
        try:
            c.request(method, path, None if body is None else body if isinstance(body, bytes)
                      else json.dumps(body).encode())
            r = c.getresponse()
            return r.status, json.loads(r.read())
        finally:
            c.close()

    def patiently(self, method, path, body=None):
        """The same, through a daemon that is being started again."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                return self.request(method, path, body)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def create(self, **members):
        """The job (job_create), which was accepted."""
        members.setdefault('name', 'work')
        status, job = self.request('POST', '/v1/sys/job', members)
        equal((status, job.get('error')), (201, None), 'POST /v1/sys/job')
        return job

    def job(self, id_):
        """The job (job_get)."""
        status, job = self.patiently('GET', '/v1/sys/job/' + id_)
        equal(status, 200, 'GET /v1/sys/job/' + id_)
        return job

    def becomes(self, id_, *statuses):
        return until('%s of %s' % (statuses, id_),
                     lambda: (lambda j: j['status'] in statuses and j)(self.job(id_)))

    def refused(self, body, status, code, path='/v1/sys/job'):
        got, reply = self.request('POST', path, body)
        equal((got, reply['error']['code']), (status, code), repr(body)[:80])
        check(reply['error']['message'], 'a sentence')

    def runs(self, parent, **query):
        more = ''.join('&%s=%s' % q for q in query.items())
        return self.patiently('GET', '/v1/sys/jobs?parent=%s%s' % (parent, more))[1]['jobs']


class Worker:
    """A handler of jobs that notes what it is given; it comes back after restarts and says
    what it still works on, if `loyal`."""

    def __init__(self, gateway, jobs=('work',), answer=True, loyal=True):
        self.gateway, self.jobs, self.answers, self.loyal = gateway, jobs, answer, loyal
        self.effects, self.open, self.cancelled = [], {}, []
        self.lock, self.ended = threading.Condition(), False
        self.wire, self.ready = None, threading.Event()
        self.thread = threading.Thread(target=self.live)
        self.thread.start()
        check(self.ready.wait(LIMIT), 'a handler attaches')

    def live(self):
        while not self.ended:
            try:
                self.serve()
            except (wire.Lost, OSError, ValueError):
                self.ready.clear()
                time.sleep(0.02)

    def serve(self):
        folder = os.open(os.path.dirname(self.gateway.unix), os.O_PATH | os.O_DIRECTORY)
        try:
            c = self.wire = wire.Connection('unix:/proc/self/fd/%d/http.sock' % folder)
        finally:
            os.close(folder)
        with self.lock:
            mine = list(self.open.values()) if self.loyal else []
            self.open = {}
        c.send(wire.HELLO, 0, json.dumps(
            {'maxConcurrency': 1000,
             'runs': [{'run': m['run'], 'token': m['token']} for m in mine]}).encode())
        c.send(wire.REGISTER, 1, json.dumps({'jobs': list(self.jobs)}).encode())
        while not self.ended:
            kind, number, payload = c.receive()
            if kind == wire.WELCOME:
                ids = [r['id'] for r in json.loads(payload)['runs']]
                with self.lock:
                    self.open.update({i: m for i, m in zip(ids, mine) if i})
                for i in ids:
                    if i and self.answers:
                        self.say(i, {'effect': True})
            elif kind == wire.REGISTERED:
                self.ready.set()
            elif kind == wire.HEARTBEAT:
                c.send(wire.HEARTBEAT, number)
            elif kind == wire.CANCEL:
                with self.lock:
                    self.cancelled.append(self.open[number]['run'])
                    self.lock.notify_all()
            elif kind == wire.CALL:
                call = json.loads(payload)
                with self.lock:
                    self.effects.append(call)
                    self.open[number] = call
                    self.lock.notify_all()
                if self.answers:
                    self.say(number, {'effect': True})

    def say(self, number, value, kind=wire.RESULT):
        self.wire.send(kind, number, value if isinstance(value, bytes)
                       else json.dumps(value).encode())
        with self.lock:
            self.open.pop(number, None)

    def number(self, run_id):
        """Of the call of that run, as soon as it is there."""
        def there():
            with self.lock:
                return [(n, c) for n, c in self.open.items() if c['run'] == run_id]
        return until('the call of ' + run_id, there)[0][0]

    def count(self, run_id):
        with self.lock:
            return sum(c['run'] == run_id for c in self.effects)

    def close(self):
        self.ended = True
        if self.wire:
            self.wire.close()
        self.thread.join(LIMIT)


def working(gateway, **more):
    return contextlib.closing(Worker(gateway, **more))


# ---- the specification ----

@test
def a_job_has_the_members_of_the_specification():
    with Gateway() as g, working(g):
        status, job = g.request('POST', '/v1/sys/job', b'{"name":"work","params":'
                                b'{"to":"user@example.com","subject":"Test"}}')
        equal(status, 201, 'created')
        check(re.fullmatch(r'job-\d{13}-[0-9a-z]+', job['id']), job['id'])
        equal((job['name'], job['params'], job['status']),
              ('work', {'to': 'user@example.com', 'subject': 'Test'}, 'queued'), 'the job')
        moment = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z'
        check(re.fullmatch(moment, job['createdAt']), job['createdAt'])
        done = g.becomes(job['id'], 'completed')
        equal(done['result'], {'effect': True}, 'result')
        for member in ('createdAt', 'startedAt', 'completedAt'):
            check(re.fullmatch(moment, done[member]), member)


@test
def requests_that_are_wrong_get_the_codes_of_the_specification():
    with Gateway() as g, working(g):
        for body in (b'', b'{', b'[]', b'{}', b'{"name":7}', b'{"name":""}',
                     {'name': 'work', 'misfire': 'never'}, {'name': 'work', 'overlap': 1},
                     {'name': 'work', 'maxAttempts': 0}, {'name': 'work', 'timeout': -1},
                     {'name': 'work', 'runAt': 'tomorrow'}):
            equal(g.request('POST', '/v1/sys/job', body)[0], 400, repr(body))
        for schedule in ('', 'x', '* * * *', '61 * * * *', '0 0 30 2 *', '@reboot',
                         'CRON_TZ=No/Where @daily', 'CRON_TZ=../../etc/passwd @daily'):
            g.refused({'name': 'work', 'schedule': schedule}, 400, 'INVALID_SCHEDULE')
        g.refused({'name': 'nobody'}, 404, 'HANDLER_NOT_FOUND')
        equal(g.request('GET', '/v1/sys/job/job-1-x')[0], 404, 'no such job')
        for verb in ('cancel', 'run', 'retry'):  # job_cancel, job_run, job_retry
            g.refused({}, 404, 'JOB_NOT_FOUND', '/v1/sys/job/job-1-x/' + verb)
        equal(g.request('GET', '/v1/sys/jobs?status=odd')[0], 400, 'an odd status')
        equal(g.request('GET', '/v1/sys/jobs')[1],
              {'jobs': [], 'total': 0, 'more': False}, 'nothing was created')


@test
def params_and_results_are_kept_byte_by_byte():
    odd = b'{"a":9007199254740993,"b":1e400,"c":0.10,"a":-0,"d":"\\u0000\\ud800"}'
    with Gateway() as g, working(g, answer=False) as w:
        c = UnixConnection(g.unix)
        c.request('POST', '/v1/sys/job', b'{"name":"work","params":' + odd + b'}')
        data = c.getresponse().read()
        check(odd in data, data)
        id_ = json.loads(data)['id']
        w.say(w.number(id_), odd)
        g.becomes(id_, 'completed')
        c.request('GET', '/v1/sys/job/' + id_)
        data = c.getresponse().read()
        check(b'"params":' + odd in data and b'"result":' + odd in data, data)
        c.close()


@test
def cancelled_is_final():
    with Gateway() as g, working(g, answer=False) as w:
        later = g.create(runAt='2099-01-01T00:00:00Z')
        equal(later['status'], 'pending', 'it waits')
        status, job = g.request('POST', '/v1/sys/job/%s/cancel' % later['id'])
        equal((status, job['status'], 'completedAt' in job), (200, 'cancelled', True), 'waiting')
        running = g.create()
        number = w.number(running['id'])
        status, job = g.request('POST', '/v1/sys/job/%s/cancel' % running['id'])
        equal((status, job['status']), (200, 'cancelled'), 'running')
        until('the word to the handler', lambda: running['id'] in w.cancelled)
        w.say(number, 'late')
        done = g.create()
        w.say(w.number(done['id']), 1)  # later on the same connection: the late one is read
        g.becomes(done['id'], 'completed')
        equal((g.job(running['id'])['status'], 'result' in g.job(running['id'])),
              ('cancelled', False), 'after a late result')
        for id_ in (later['id'], running['id'], done['id']):
            g.refused(b'', 400, 'JOB_FINAL', '/v1/sys/job/%s/cancel' % id_)


@test
def jobs_belong_to_a_service():
    with Gateway() as g, working(g):
        id_ = g.create()['id']
        equal(g.request('GET', '/v1/sys/job/%s?service=blackroad-os-core' % id_)[0], 404,
              'of another service')
        equal(g.request('GET', '/v1/sys/jobs?service=blackroad-os-core')[1]['total'], 0, 'its list')
        equal(g.request('POST', '/v1/sys/job?service=blackroad-os-core', {'name': 'work'})[0], 404,
              'its handlers')


@test
def what_becomes_of_jobs_is_told_as_events():
    with Gateway() as g, working(g):
        id_ = g.create()['id']
        g.becomes(id_, 'completed')
        c = UnixConnection(g.unix)
        c.request('GET', '/v1/sys/events?since=2020-01-01T00:00:00Z')
        r, seen = c.getresponse(), []
        while len(seen) < 3:
            line = r.readline()
            if line.startswith(b'data: '):
                event = json.loads(line[6:])
                if event['event'].startswith('job:') and event['data']['id'] == id_:
                    seen.append((event['event'], event['data']['status']))
        c.close()
        equal([name for name, _ in seen], ['job:created', 'job:started', 'job:completed'], 'events')
        equal(seen[2][1], 'completed', 'the last one')


# ---- handlers as they must not be ----

@test
def a_handler_that_hangs_crashes_or_lies_fails_its_run():
    with Gateway() as g, working(g, answer=False) as w:
        def error(job, code):
            got = g.becomes(job['id'], 'failed')
            equal(got['error']['code'], code, code)
            check(got['error']['message'], 'a sentence')
        error(g.create(timeout=200), 'TIMEOUT')
        error(g.create(lease=200), 'HANDLER_LOST')
        for payload, code in ((b'{"a":', 'INVALID_RESULT'), (b'\xff', 'INVALID_RESULT'),
                              (b'"' + b'x' * (1 << 20) + b'"', 'RESULT_TOO_LARGE')):
            job = g.create()
            w.say(w.number(job['id']), payload)
            error(job, code)
        job = g.create()
        w.say(w.number(job['id']), {'code': 'SMTP', 'message': 'no route', 'stack': 'at x'},
              wire.ERROR)
        error(job, 'SMTP')
        equal(g.job(job['id'])['error'], {'code': 'SMTP', 'message': 'no route', 'stack': 'at x'},
              'what it said')
        job = g.create()
        w.number(job['id'])
        w.wire.close()
        error(job, 'HANDLER_LOST')
        check(w.ready.wait(LIMIT), 'it is back')


@test
def a_run_is_tried_again_only_if_asked_and_with_a_pause():
    with Gateway() as g, working(g, answer=False) as w:
        once, thrice = g.create()['id'], g.create(maxAttempts=3)['id']
        w.say(w.number(once), b'', wire.ERROR)
        g.becomes(once, 'failed')
        for attempt in (1, 2):
            number = w.number(thrice)
            w.say(number, {'code': 'X', 'message': 'not yet'}, wire.ERROR)
            waiting = g.becomes(thrice, 'pending')
            equal((waiting['attempt'], waiting['error']['code']), (attempt, 'X'), 'between')
        w.say(w.number(thrice), 7)
        equal(g.becomes(thrice, 'completed')['result'], 7, 'the third time')
        equal((w.count(once), w.count(thrice)), (1, 3), 'times')
        status, again = g.request('POST', '/v1/sys/job/%s/retry' % once)
        equal((status, again['retryOf']), (201, once), 'by hand')
        w.say(w.number(again['id']), 1)
        g.becomes(again['id'], 'completed')


# ---- schedules ----

@test
def a_schedule_runs_again_and_again_and_by_hand():
    with Gateway() as g, working(g):
        job = g.create(schedule='* * * * * *', params={'n': 1})
        equal((job['status'], job['timezone'], job['runCount']), ('queued', 'UTC', 0), 'at first')
        check('nextRunAt' in job and 'lastRunAt' not in job, job)
        until('three runs', lambda: g.job(job['id'])['runCount'] >= 3)
        now = until('the last one', lambda: (lambda j: j['lastStatus'] == 'completed' and j)(
            g.job(job['id'])))
        check(now['lastRunAt'] < now['nextRunAt'], now)
        runs = g.runs(job['id'])
        equal({r['parent'] for r in runs}, {job['id']}, 'parent')
        ticks = [r['scheduledFor'] for r in runs]
        equal(ticks, sorted(set(ticks), reverse=True), 'the newest first, each once')
        equal(len(g.runs(job['id'], limit=1)), 1, 'a page')
        yearly = g.create(schedule='CRON_TZ=UTC @yearly')['id']
        status, by_hand = g.request('POST', '/v1/sys/job/%s/run' % yearly)
        equal((status, by_hand['parent']), (201, yearly), 'by hand')
        g.becomes(by_hand['id'], 'completed')
        equal(g.request('POST', '/v1/sys/job/%s/cancel' % job['id'])[1]['status'], 'cancelled',
              'the end')
        count = g.job(job['id'])['runCount']
        until('a run of the other', lambda: len(g.runs(yearly)) == 1)
        equal(g.job(job['id'])['runCount'], count, 'runs after the end')


@test
def a_scheduled_job_keeps_an_idle_daemon_alive():
    with Gateway() as g:
        g.ctl('daemon', 'stop')
        os.makedirs(os.path.join(g.dir, 'config'), exist_ok=True)
        with open(os.path.join(g.dir, 'config/cloudosd.yaml'), 'w') as f:
            f.write('idle_timeout: 1\n')
        g.env['CLOUDOS_AUTOSTART'] = '1'
        g.start()
        pid = g.status()['pid']
        with working(g):
            job = g.create(schedule='@yearly')['id']
        began = time.monotonic()
        until('three idle seconds', lambda: time.monotonic() - began > 3)
        check(alive(pid), 'the daemon of a scheduled job has ended')
        equal(g.request('POST', '/v1/sys/job/%s/cancel' % job)[0], 200, 'cancel')
        until('its end when there is none', lambda: not alive(pid))


# ---- kill -9 ----

def together(*functions):
    """All at once, as most of their time is the 15 s in which handlers may come back."""
    results = [None] * len(functions)

    def call(i):
        try:
            results[i] = (functions[i](), None)
        except BaseException as problem:
            results[i] = (None, problem)
    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for _, problem in results:
        if problem:
            raise problem
    return [value for value, _ in results]


def killed_at(fault, loyal):
    """One run through a daemon that dies there: the final job and how often it was begun."""
    with Gateway(fault=fault + ':kill:1') as g, working(g, loyal=loyal) as w:
        try:
            status, job = g.request('POST', '/v1/sys/job', {'name': 'work', 'params': fault})
            equal(status, 201, 'created')
            id_ = job['id']
        except (OSError, http.client.HTTPException):  # it died before its answer was out
            id_ = until('the job', lambda: g.patiently('GET', '/v1/sys/jobs')[1]['jobs'])[0]['id']
        done = g.becomes(id_, *FINAL)
        check(g.status()['restarts'] >= 1, '%s was never reached' % fault)
        return done, w.count(id_)


@test
def a_daemon_that_dies_before_the_handler_hears_of_a_run_reports_it_lost():
    for done, begun in together(lambda: killed_at('job.starting', True),
                                lambda: killed_at('job.starting', False)):
        equal((done['status'], done['error']['code'], begun), ('failed', 'DAEMON_RESTART', 0),
              'the run')


@test
def a_daemon_that_dies_with_the_answer_has_it_again_from_who_comes_back():
    one, other = together(lambda: killed_at('job.answered', True),
                          lambda: killed_at('job.answered', False))
    done, begun = one
    equal(begun, 1, 'times')
    # the answer was out; whether the handler knew that it was lost is not ours
    check(done['status'] == 'completed' or done['error']['code'] == 'DAEMON_RESTART', done)
    done, begun = other
    equal((done['status'], done['error']['code'], begun), ('failed', 'DAEMON_RESTART', 1), 'the run')


@test
def a_result_on_the_disk_is_there_after_a_restart():
    done, begun = killed_at('job.finished', True)
    equal((done['status'], done['result'], begun), ('completed', {'effect': True}, 1), 'the run')


def ticks_killed_at(fault):
    with Gateway(fault=fault + ':kill:2') as g, working(g) as w:
        id_ = g.create(schedule='* * * * * *', overlap='queue')['id']
        until('the restart', lambda: g.status()['restarts'] >= 1)
        count = g.job(id_)['runCount']
        until('more runs', lambda: g.job(id_)['runCount'] >= count + 2)
        g.patiently('POST', '/v1/sys/job/%s/cancel' % id_)
        runs = g.runs(id_)
        ticks = [r['scheduledFor'] for r in runs]
        equal(len(ticks), len(set(ticks)), '%s: runs, each for a tick of its own' % fault)
        for r in runs:
            times = w.count(r['id'])
            check(times <= 1, '%s: %s was begun %d times' % (fault, r['id'], times))
            check(r['status'] != 'completed' or times == 1, '%s: %s' % (fault, r))


@test
def a_tick_has_one_run_whenever_the_daemon_dies():
    together(*[lambda f=f: ticks_killed_at(f) for f in (
        'job.ticked', 'job.starting', 'job.answered', 'job.finished', 'store.committed')])


@test
def a_handler_that_goes_on_through_a_restart_finishes_its_run():
    with Gateway() as g, working(g, answer=False) as w:
        id_ = g.create()['id']
        w.number(id_)
        g.kill_daemon()
        status = g.job(id_)['status']
        equal(status, 'running', 'meanwhile')
        number = until('the run again', lambda: w.ready.is_set() and w.number(id_))
        w.say(number, 'after all')
        equal(g.becomes(id_, *FINAL).get('result'), 'after all', 'the result')
        equal(w.count(id_), 1, 'times')


@test
def nothing_acknowledged_is_lost_by_kills_at_any_moment():
    with Gateway() as g, working(g) as w:
        ids, stop = [], threading.Event()

        def create():
            while not stop.is_set():
                try:
                    status, job = g.request('POST', '/v1/sys/job', {'name': 'work'})
                    if status == 201:
                        ids.append(job['id'])
                except (OSError, ValueError, http.client.HTTPException):
                    time.sleep(0.005)
        threads = [threading.Thread(target=create) for _ in range(4)]
        for t in threads:
            t.start()
        for _ in range(5):
            before = len(ids)
            until('some jobs', lambda: len(ids) > before + 40)
            g.kill_daemon()
        stop.set()
        for t in threads:
            t.join(LIMIT)
        lost = 0
        for id_ in ids:
            job = g.becomes(id_, *FINAL)
            times = w.count(id_)
            if job['status'] == 'completed':
                equal(times, 1, 'times of ' + id_)
            else:
                equal(job['error']['code'], 'DAEMON_RESTART', id_)
                check(times <= 1, '%s: %d times' % (id_, times))
                lost += 1
        print('# %d jobs, 5 kills, %d reported lost' % (len(ids), lost))


# ---- the example ----

@test
def the_cron_job_of_the_examples_runs_as_its_readme_says():
    folder = os.path.join(SRC, 'examples/blackroad')
    with open(os.path.join(folder, 'README.md')) as f:
        begin, then = re.findall(r'^```sh\n(.*?)^```', f.read().partition('## A cron job')[2],
                                 re.S | re.M)
    with Gateway() as g:
        env = dict(g.env, PATH=os.path.dirname(CTL) + ':' + g.env['PATH'], TMPDIR=g.dir)
        program = subprocess.Popen(['sh', '-c', 'exec ' + begin.rstrip(' &\n')], cwd=folder, env=env)
        try:
            until('its job', lambda: any(m['name'] == 'nightly-report' for m in g.request(
                'GET', '/v1/sys/methods')[1]['jobs']))
            said = subprocess.run(['sh', '-ec', then], cwd=folder, env=env, timeout=LIMIT,
                                  capture_output=True, text=True)
            equal((said.returncode, said.stderr), (0, ''), then)
            check('Europe/Berlin' in said.stdout and 'nightly-report' in said.stdout, said.stdout)
            job = g.request('GET', '/v1/sys/jobs')[1]['jobs'][0]
            at = job['nextRunAt'][11:16]
            check(at in ('00:30', '01:30', '01:00'), '02:30 in Berlin is %s in UTC' % at)
            by_hand = json.loads(g.ctl('job', 'run', job['id'], '-o', 'json').stdout)['id']
            done = g.becomes(by_hand, *FINAL)
            equal(done['status'], 'completed', repr(done.get('error')))
            with open(done['result']['report']) as f:
                equal(f.read(), '/var/log: %d entries, %d bytes\n' % (
                    done['result']['entries'], done['result']['bytes']), 'the report')
        finally:
            program.kill()
            program.wait()


# ---- cloudosctl ----

@test
def cloudosctl_creates_lists_shows_runs_cancels_and_tries_again():
    with Gateway() as g, working(g, answer=False) as w:
        def ctl(*words, status=0):
            r = g.ctl('job', *words, '-o', 'json', status=status)
            return json.loads(r.stdout) if r.stdout else r.stderr
        g.env['TZ'] = 'CET-1'
        job = ctl('create', 'work', '{"a": 1}', '--timeout', '60')
        equal((job['params'], job['timeout']), ({'a': 1}, 60000), 'created')
        w.say(w.number(job['id']), {'code': 'X', 'message': 'no'}, wire.ERROR)
        g.becomes(job['id'], 'failed')
        again = ctl('retry', job['id'])
        equal(again['retryOf'], job['id'], 'retry')
        w.say(w.number(again['id']), 5)
        daily = ctl('create', 'work', '-s', '0 12 1 1 *', '--overlap', 'queue')
        equal((daily['schedule'], daily['overlap']), ('0 12 1 1 *', 'queue'), 'scheduled')
        manual = ctl('run', daily['id'])
        w.say(w.number(manual['id']), 6)
        g.becomes(manual['id'], 'completed')
        equal([j['id'] for j in ctl('ls')['jobs']], [daily['id'], again['id'], job['id']], 'ls')
        equal([j['id'] for j in ctl('ls', daily['id'])['jobs']], [manual['id']], 'its runs')
        equal([j['id'] for j in ctl('ls', '--status', 'failed')['jobs']], [job['id']], 'failed')
        shown = g.ctl('job', 'show', daily['id']).stdout
        check(re.search(r'^next-run: +\d{4}-01-01 13:00:00 CET$', shown, re.M), shown)
        check('CET' in g.ctl('job', 'ls').stdout, 'local times')
        equal(ctl('cancel', daily['id'])['status'], 'cancelled', 'cancel')
        check('cancelled already' in ctl('cancel', daily['id'], status=1), 'twice')
        ctl('show', 'job-1-x', status=4)
        ctl('create', 'nobody', status=4)
        check('five fields' in ctl('create', 'work', '-s', 'x', status=1), 'a bad schedule')


run()
