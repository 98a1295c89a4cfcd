# SPDX-License-Identifier: MIT
"""The contract of BlackRoad OS as a table: every endpoint of the specification, every status
that it documents, the members of its answers; then what its text says of all of them.

    python3 ../tests/blackroad/contract.py --table     asks, and prints it as Markdown
"""
import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../http'))
from talk import LIMIT, SRC, Gateway, check, equal, run, test, until  # noqa: E402

sys.path.insert(0, os.path.join(SRC, 'examples/blackroad'))
from cloudos_handlers import Failure, Handlers, Lost  # noqa: E402

TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
ID = re.compile(r'^\d{13}-[0-9a-z]+$')
JOB = re.compile(r'^job-\d{13}-[0-9a-z]+$')
HEALTH = ('healthy', 'degraded', 'unhealthy')


# ---- what is looked for in an answer: a value, a type, a pattern, or a function ----

def fits(value, wish):
    if callable(wish) and not isinstance(wish, type):
        return wish(value)
    if isinstance(wish, type):
        return isinstance(value, wish) and not (isinstance(value, bool) and wish is not bool)
    if isinstance(wish, re.Pattern):
        return isinstance(value, str) and bool(wish.match(value))
    if isinstance(wish, tuple):
        return value in wish
    if isinstance(wish, dict):
        return isinstance(value, dict) and all(k in value and fits(value[k], w)
                                               for k, w in wish.items())
    if isinstance(wish, list):
        return isinstance(value, list) and all(fits(v, wish[0]) for v in value)
    return value == wish


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def error(code):
    return {'error': {'code': code, 'message': str}}


NOTED = {'id': ID, 'timestamp': TIME}
LOG = dict(NOTED, level='info', message='Test log', service='cloudosd', meta={'userId': 123})
METRIC = dict(NOTED, name='cpu.usage', value=75, unit='percent', tags={'method': 'GET'})
ENTRY = {'key': 'user:count', 'version': int, 'updatedAt': TIME}
SERVICE = {'name': 'cloudosd', 'role': str, 'version': str, 'environment': str, 'port': int}

# endpoint, what is sent (query or path, body), status, answer, in words
CASES = [
    ('GET /health', '', None, 200, {'status': HEALTH}, 'says how it is'),
    ('GET /version', '', None, 200, {'version': str, 'service': 'cloudosd'},
     'names version and service'),
    ('GET /v1/sys/identity', '', None, 200, {
        'service': 'cloudosd', 'role': str, 'version': str, 'environment': str,
        'dns': {'cloudflare': str, 'railway': str, 'internal': str},
        'runtime': {'railwayHost': str, 'internalHost': str, 'port': int, 'pid': int,
                    'uptime': number},
        'health': {'status': HEALTH, 'uptime': number, 'lastCheck': TIME},
        'capabilities': lambda c: set(c) >= {'rpc', 'events', 'jobs', 'state'}},
     'tells all of the identity'),
    ('GET /v1/sys/health', '', None, 200, {
        'status': HEALTH, 'timestamp': TIME, 'uptime': number,
        'memory': {'rss': int, 'heapTotal': int, 'heapUsed': int, 'external': int},
        'checks': lambda c: c and all(x['status'] in ('ok', 'degraded', 'down')
                                      for x in c.values())},
     'tells memory and checks'),
    ('GET /v1/sys/version', '', None, 200, {
        'version': str, 'service': 'cloudosd', 'nodeVersion': str, 'environment': str},
     'names versions'),
    ('GET /v1/sys/config', '', None, 200, {
        'service': SERVICE, 'features': {'rpc': True, 'events': True, 'jobs': True,
                                         'state': True}},
     'tells the configuration without secrets'),

    ('POST /v1/sys/log', '', {'level': 'info', 'message': 'Test log', 'meta': {'userId': 123}},
     201, NOTED, 'notes an entry'),
    ('POST /v1/sys/log', '', {'level': 'loud', 'message': 'x'}, 400, error('INVALID_REQUEST'),
     'refuses an unknown level'),
    ('POST /v1/sys/log', '', {'level': 'info'}, 400, error('INVALID_REQUEST'),
     'refuses one without a message'),
    ('GET /v1/sys/logs', '?level=info&limit=1000', None, 200, {
        'logs': lambda rows: any(fits(r, LOG) for r in rows), 'total': int, 'limit': 1000,
        'offset': 0}, 'lists what was noted'),
    ('GET /v1/sys/logs', '', None, 200, {'logs': list, 'limit': 100, 'offset': 0},
     'lists a hundred when nothing is said'),

    ('POST /v1/sys/metric', '', {'name': 'cpu.usage', 'value': 75, 'unit': 'percent',
                                 'tags': {'method': 'GET'}}, 201, NOTED, 'records a value'),
    ('POST /v1/sys/metric', '', {'name': 'cpu.usage', 'value': '75'}, 400,
     error('INVALID_REQUEST'), 'refuses a value that is no number'),
    ('GET /v1/sys/metrics', '?name=cpu.usage', None, 200, {
        'metrics': lambda rows: len(rows) == 1 and fits(rows[0], METRIC), 'total': 1,
        'limit': 100}, 'lists what was recorded'),
    ('GET /v1/sys/metrics', '?from=2999-01-01T00:00:00Z', None, 200, {'metrics': []},
     'lists nothing of a time to come'),

    ('POST /v1/sys/rpc', '', {'method': 'getUserById', 'params': {'id': 123}}, 200,
     {'result': {'id': 123, 'email': 'user@example.com', 'name': 'John Doe'}},
     'gives back what the method returns'),
    ('POST /v1/sys/rpc', '', {'params': {}}, 400, error('INVALID_REQUEST'),
     'refuses a call without a method'),
    ('POST /v1/sys/rpc', '', {'method': 'nobody'}, 404, error('METHOD_NOT_FOUND'),
     'does not know every method'),
    ('POST /v1/sys/rpc', '', {'method': 'getUserById', 'params': {'id': 7}}, 500,
     {'error': {'code': 'USER_NOT_FOUND', 'message': 'User with ID 7 not found',
                'details': {'id': 7}}}, 'passes on how the method failed'),
    ('POST /v1/sys/rpc', '', {'method': 'hang', 'timeout': 50}, 500, error('TIMEOUT'),
     'ends a call at its timeout'),

    ('POST /v1/sys/event', '', {'event': 'user:created', 'data': {'userId': 123}}, 201, NOTED,
     'emits an event'),
    ('POST /v1/sys/event', '', {'data': 1}, 400, error('INVALID_REQUEST'),
     'refuses one without a name'),

    ('POST /v1/sys/job', '', {'name': 'send-email', 'params': {'to': 'user@example.com'}}, 201,
     {'id': JOB, 'name': 'send-email', 'params': {'to': 'user@example.com'}, 'status': 'queued',
      'createdAt': TIME}, 'queues a job'),
    ('POST /v1/sys/job', '', {'name': 'send-email', 'schedule': '0 0 * * *'}, 201,
     {'id': JOB, 'schedule': '0 0 * * *', 'status': 'queued'}, 'queues one with a schedule'),
    ('POST /v1/sys/job', '', {'name': 'send-email', 'schedule': 'now and then'}, 400,
     error('INVALID_SCHEDULE'), 'refuses what is no schedule'),
    ('POST /v1/sys/job', '', {'params': {}}, 400, error('INVALID_REQUEST'),
     'refuses a job without a name'),
    ('POST /v1/sys/job', '', {'name': 'nobody'}, 404, {'error': {'code': str, 'message': str}},
     'refuses one that nobody handles'),
    ('GET /v1/sys/job/:id', 'job-0000000000000-none', None, 404,
     {'error': {'code': str, 'message': str}}, 'does not know every job'),
    ('POST /v1/sys/job/:id/cancel', 'job-0000000000000-none', None, 404,
     {'error': {'code': str, 'message': str}}, 'cannot cancel what is not there'),

    ('PUT /v1/sys/state', '', {'key': 'user:count', 'value': 42}, 200,
     dict(ENTRY, value=42, version=1), 'sets a value'),
    ('PUT /v1/sys/state', '', {'key': 'user:count', 'value': 43, 'expectedVersion': 1}, 200,
     dict(ENTRY, value=43, version=2), 'sets it if the version is the expected one'),
    ('PUT /v1/sys/state', '', {'key': 'user:count', 'value': 44, 'expectedVersion': 5}, 409,
     {'error': {'code': 'VERSION_CONFLICT',
                'message': "Version conflict for key 'user:count': expected 5, got 2"}},
     'refuses if it is another'),
    ('PUT /v1/sys/state', '', {'value': 44}, 400, error('INVALID_REQUEST'),
     'refuses a value without a key'),
    ('GET /v1/sys/state', '?key=user:count', None, 200, dict(ENTRY, value=43, version=2),
     'gives a value'),
    ('GET /v1/sys/state', '', None, 200,
     {'state': lambda s: len(s) == 1 and fits(s[0], dict(ENTRY, value=43))},
     'gives all of them'),
    ('GET /v1/sys/state', '?key=none', None, 404,
     {'error': {'code': str, 'message': 'Key not found'}}, 'says when there is none'),
]

# What we answer beside the specification; more of each in the test of its topic.
OURS = [
    ('POST /v1/sys/state/tx', '', {'ops': [{'op': 'put', 'key': 'a', 'value': 1},
                                           {'op': 'put', 'key': 'b', 'value': 2}]}, 200,
     {'results': list}, 'sets several values at once'),
    ('DELETE /v1/sys/state', '?key=a', None, 200, dict, 'deletes a value'),
    ('DELETE /v1/sys/state', '?key=a', None, 404, {'error': {'code': str, 'message': str}},
     'says when there was none'),
    ('GET /v1/sys/jobs', '', None, 200, {'jobs': list}, 'lists jobs'),
    ('POST /v1/sys/job/:id/run', 'job-0000000000000-none', None, 404,
     {'error': {'code': str, 'message': str}}, 'cannot run what is not there'),
    ('POST /v1/sys/job/:id/retry', 'job-0000000000000-none', None, 404,
     {'error': {'code': str, 'message': str}}, 'cannot run it again either'),
    ('GET /v1/sys/methods', '', None, 200,
     {'methods': lambda m: 'getUserById' in [x['name'] for x in m]}, 'lists methods'),
    ('POST /v1/sys/handlers', '', None, 426, {'error': {'code': str, 'message': str}},
     'wants an upgrade'),
    ('GET /v1/sys/services', '', None, 200,
     {'services': lambda s: 'blackroad-os-core' in [x['name'] for x in s]}, 'lists services'),
    ('GET /v1/sys/sessions', '', None, 200, {'sessions': []}, 'lists programs'),
    ('GET /v1/sys/channels', '', None, 200, {'channels': list}, 'lists ports'),
    ('GET /openapi.json', '', None, 200, {'openapi': str, 'paths': dict}, 'describes all this'),
]


def send(gateway, endpoint, more, body):
    method, path = endpoint.split(' ')
    path = path.replace(':id', more) if ':id' in path else path + more
    return gateway.get(path, method=method, body=body)


# ---- a service with a method, a slow one, and jobs ----

class Served(Gateway):
    def __enter__(self):
        super().__enter__()
        self.go = threading.Event()
        handlers = self.handlers = Handlers(
            address='unix:' + os.path.join(self.dir, 'run/http.sock'))

        @handlers.method('getUserById')
        def _(params, call):
            if params['id'] != 123:
                raise Failure('USER_NOT_FOUND', 'User with ID %d not found' % params['id'],
                              {'id': params['id']})
            return {'id': 123, 'email': 'user@example.com', 'name': 'John Doe'}

        @handlers.method('hang')
        def _(params, call):
            call.cancelled.wait(LIMIT)

        @handlers.job('send-email')
        def _(params, call):
            return {'sent': True, 'messageId': '12345'}

        @handlers.job('fails')
        def _(params, call):
            raise RuntimeError('SMTP connection failed')

        @handlers.job('waits')
        def _(params, call):
            self.go.wait(LIMIT)

        def serve():
            try:
                handlers.serve()
            except (Lost, OSError):
                pass  # the daemon has stopped

        threading.Thread(target=serve, daemon=True).start()
        check(handlers.ready.wait(LIMIT), 'the handlers did not register')
        return self

    def __exit__(self, *args):
        self.go.set()
        return super().__exit__(*args)

    def job(self, name, **more):
        answer = self.get('/v1/sys/job', method='POST', body=dict(more, name=name))
        equal(answer.status, 201, 'the status')
        return answer.json()

    def settled(self, job, status):
        def look():
            found = self.get('/v1/sys/job/' + job['id']).json()
            return found if found['status'] == status else None
        return until('%s to be %s' % (job['id'], status), look)


@test
def every_case_of_the_table_is_answered_as_documented():
    compare(CASES)


@test
def what_stands_beside_the_specification_is_answered():
    compare(OURS)


@test
def what_is_not_json_is_what_it_says():
    """GET /, GET /page/:file, GET /metrics, GET /v1/sys/stream, GET /v1/sys/trace"""
    with Served() as g:
        for path, kind in (('/', 'text/html'), ('/page/app.js', 'text/javascript'),
                           ('/metrics', 'text/plain')):
            answer = g.get(path)
            equal(answer.status, 200, path)
            check(answer.headers['content-type'].startswith(kind), answer.headers)
            check(answer.body, path + ' is empty')
        for path in ('/v1/sys/stream', '/v1/sys/trace'):
            with g.connect() as c:
                c.send(b'GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n' % path.encode())
                head = c.until(b'\r\n\r\n').decode().lower()
                check(' 200 ' in head and 'text/event-stream' in head, head)


def compare(cases):
    with Served() as g:
        wrong = [what for what in (refusal(g, case) for case in cases) if what]
    check(not wrong, '\n'.join(wrong))


def refusal(gateway, case):
    """What is wrong with the answer; None if it is as documented."""
    endpoint, more, body, status, wish, words = case
    answer = send(gateway, endpoint, more, body)
    if answer.status == status and fits(answer.json(), wish):
        return None
    return '%s %s: %d %s' % (endpoint, words, answer.status, answer.body)


@test
def the_table_has_every_endpoint_and_every_status_of_the_specification():
    text = open(os.path.join(SRC, 'docs/spec/blackroad.md')).read()
    documented, endpoint = set(), None
    for line in text.split('\n'):
        head = re.match(r'^(GET|POST|PUT) (/\S*)$', line)
        code = re.match(r'^\W*(\d{3}) [A-Z]', line)
        if head:
            endpoint = line
        elif code and endpoint:
            documented.add((endpoint, int(code.group(1))))
    check(len({e for e, _ in documented}) == 18, 'the specification reads differently')
    here = {(endpoint, status) for endpoint, _, _, status, _, _ in CASES} | SEPARATE
    equal(documented - here, set(), 'documented and not tested')


# What takes more than one request; each has a test below.
SEPARATE = {
    ('GET /health', 503), ('GET /v1/sys/health', 503),
    ('GET /v1/sys/events', 200),
    ('GET /v1/sys/job/:id', 200),
    ('POST /v1/sys/job/:id/cancel', 200), ('POST /v1/sys/job/:id/cancel', 400),
}


@test
def a_service_without_its_database_is_unhealthy():
    """GET /health and GET /v1/sys/health answer 503."""
    with Served(fault='store.commit:1+') as g:
        for path in ('/health', '/v1/sys/health'):
            answer = until('503 from ' + path, lambda p=path: (
                lambda a: a if a.status == 503 else None)(g.get(p)))
            check(answer.json()['status'] in ('unhealthy', 'degraded'), 'what it says')


@test
def a_subscriber_reads_the_event_that_was_emitted():
    """GET /v1/sys/events"""
    with Served() as g, g.connect() as c:
        c.send(b'GET /v1/sys/events?event=user:created HTTP/1.1\r\nHost: localhost\r\n\r\n')
        head = c.until(b'\r\n\r\n').decode()
        check(' 200 ' in head and 'text/event-stream' in head.lower(), head)
        c.until(b': ok')
        for name in ('user:deleted', 'user:created'):
            equal(g.get('/v1/sys/event', method='POST',
                        body={'event': name, 'data': {'userId': 123}}).status, 201, name)
        line = c.until(b'data: ') and c.until(b'\n')
        check(fits(json.loads(line), dict(NOTED, event='user:created', source='cloudosd',
                                          data={'userId': 123})), line)


@test
def a_job_is_followed_to_its_end():
    """GET /v1/sys/job/:id"""
    with Served() as g:
        done = g.settled(g.job('send-email', params={'to': 'user@example.com'}), 'completed')
        check(fits(done, {'id': JOB, 'name': 'send-email', 'createdAt': TIME, 'startedAt': TIME,
                          'completedAt': TIME, 'result': {'sent': True, 'messageId': '12345'}}),
              done)
        failed = g.settled(g.job('fails'), 'failed')
        check('SMTP connection failed' in failed['error']['message'], failed)


@test
def a_job_that_runs_can_be_cancelled_once():
    """POST /v1/sys/job/:id/cancel"""
    with Served() as g:
        job = g.job('waits')
        g.settled(job, 'running')
        path = '/v1/sys/job/%s/cancel' % job['id']
        answer = g.get(path, method='POST')
        equal(answer.status, 200, 'the first')
        check(fits(answer.json(), {'id': job['id'], 'status': 'cancelled', 'completedAt': TIME}),
              answer.body)
        g.go.set()
        equal(g.get(path, method='POST').status, 400, 'the second')
        equal(g.get('/v1/sys/job/' + job['id']).json()['status'], 'cancelled', 'what stays')


@test
def health_is_answered_within_100_ms_in_the_median():
    """The median, since this may be a busy machine."""
    took = []
    with Served() as g:
        for _ in range(51):
            began = time.monotonic()
            equal(g.get('/health').status, 200, 'the status')
            took.append(time.monotonic() - began)
    check(sorted(took)[25] < 0.1, 'it took %.3f s' % sorted(took)[25])


def table():
    print('| endpoint | test | status | result |\n|---|---|---|---|')
    with Served() as g:
        for case in CASES + OURS:
            print('| `%s` | %s | %d | %s |' % (case[0], case[5], case[3],
                                              refusal(g, case) or 'ok'))


if __name__ == '__main__':
    if sys.argv[1:] == ['--table']:
        table()
    else:
        run()
