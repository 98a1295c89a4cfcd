# SPDX-License-Identifier: MIT
"""GET /v1/sys/stream and GET /v1/sys/trace: stream and trace of ops.def."""
import os
import subprocess

from feeds import BUILD, ENGINES, EXEC, LIMIT, Domain, World, check, equal, run, test  # noqa: F401


def some(w, i):
    w.post('/v1/sys/log?service=core', {'level': 'info', 'message': 'm%d' % i})
    w.post('/v1/sys/metric?service=core', {'name': 'n', 'value': i})
    w.post('/v1/sys/event?service=core', {'event': 'job:done' if i % 2 else 'x', 'data': i})


@test
def one_stream_has_all_topics():
    with World() as w, w.follow('/v1/sys/stream?service=core') as s:
        some(w, 0)
        frames = {f['topic']: f for f in s.frames(3)}
        equal(set(frames), {'log', 'metric', 'event'}, 'the topics')
        equal(frames['log']['entry']['message'], 'm0', 'a log')
        equal(frames['metric']['entry']['value'], 0, 'a metric')
        equal(frames['event']['entry']['event'], 'x', 'an event')
        equal(frames['event']['service'], 'blackroad-os-core', 'whose it is')
        equal(s.fields, {'id', 'data'}, 'the fields of frames')


@test
def a_stream_has_the_topics_it_was_asked_for():
    with World() as w:
        with w.follow('/v1/sys/stream?topics=job,metrics&service=core') as s:
            for i in range(4):
                some(w, i)
            frames = s.frames(6)
            equal([f['entry']['data'] for f in frames if f['topic'] == 'job'], [1, 3], 'jobs')
            equal([f['entry']['value'] for f in frames if f['topic'] == 'metric'],
                  [0, 1, 2, 3], 'metrics')
        w.refused(400, 'GET', '/v1/sys/stream?topics=nothing')


@test
def topics_that_overlap_resume_at_one_place():
    with World() as w:
        path = '/v1/sys/stream?topics=event,job&service=core'
        with w.follow(path) as s:
            some(w, 1)
            some(w, 2)
            equal([(f['topic'], f['entry']['data']) for f in s.frames(3)],
                  [('event', 1), ('job', 1), ('event', 2)], 'both topics')
        with w.follow(path, Last_Event_ID=s.last) as s:
            some(w, 3)
            equal([(f['topic'], f['entry']['data']) for f in s.frames(2)],
                  [('event', 3), ('job', 3)], 'and nothing twice')


@test
def a_stream_resumes_all_its_topics():
    with World() as w:
        with w.follow('/v1/sys/stream?service=core') as s:
            some(w, 0)
            s.frames(3)
            last = s.last
        for i in (1, 2):
            some(w, i)
        w.kill()
        with w.follow('/v1/sys/stream?service=core', Last_Event_ID=last) as s:
            frames = s.frames(6)
            some(w, 3)
            frames += s.frames(3)
        for topic, of in (('log', lambda e: e['message']), ('metric', lambda e: e['value']),
                          ('event', lambda e: e['data'])):
            got = [of(f['entry']) for f in frames if f['topic'] == topic]
            equal(got, ['m1', 'm2', 'm3'] if topic == 'log' else [1, 2, 3], topic)
        for garbage in ('x', '1.2', '1.2.3.4', '..', '1..2'):
            with w.follow('/v1/sys/stream?service=core', Last_Event_ID=garbage) as s:
                some(w, 4)
                equal(s.frame()['entry'].get('message', 'm4'), 'm4', 'from now on')


@test
def calls_of_guests_are_traced_while_somebody_looks():
    for engine in ENGINES:
        with World() as w:
            guest = [EXEC, '--engine=' + engine, os.path.join(BUILD, 'guest-cloudos-domain')]
            with w.follow('/v1/sys/stream?topics=trace') as s, w.follow('/v1/sys/trace') as bare:
                equal(subprocess.run(guest, env=w.env, timeout=LIMIT).returncode, 0, engine)
                entry = s.frame()['entry']
                equal(entry, bare.frame(), 'the same alone')
            equal(entry['call'], 'domain', 'the call')
            equal(entry['personality'], 'cloudos', 'its personality')
            equal(entry['program'], 'guest-cloudos-domain', 'the program')
            equal(entry['failed'], False, 'whether it failed')
            check(int(entry['result']) > 0, 'its result')
            check(entry['pid'] > 0 and 'microseconds' in entry, 'who and how long')


run()
