# SPDX-License-Identifier: MIT
"""examples/blackroad: its README, as printed, and its programs."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.abspath(os.environ.get('srcdir', '.')), 'tests/fault'))
from harness import BUILD, Domain, EXEC, LIMIT, SRC, Skip, check, equal, run, test, until  # noqa: E402

FOLDER = os.path.join(SRC, 'examples/blackroad')
EXPRESS = '/usr/share/nodejs/express'


def missing(what, package):
    kind = AssertionError if os.environ.get('CO_STRICT') == '1' else Skip
    raise kind('%s is missing: apt-get install %s' % (what, package))


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            missing(program, {'node': 'nodejs'}.get(program, program))


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


def one_liners(text):
    """The curl commands of a text, each with its further lines."""
    return re.findall(r'^curl (?:.*\\\n)*.*', text, re.M)


def at_home(command):
    """A command of the specification with the addresses of this machine."""
    command = re.sub(r'https://(\w+)\.blackroad\.systems', lambda m: 'http://%s.blackroad.systems:%d' % (
        m[1], 8001 if m[1] == 'operator' else 8000), command)
    return command.replace('curl -N', 'curl -N -m 2')


class Shell:
    """One shell in the folder, which is given a block of commands after the other."""

    def __init__(self, domain):
        environment = dict(domain.env, PATH=BUILD + ':' + os.environ['PATH'],
                           NODE_PATH='/usr/share/nodejs')
        self.process = subprocess.Popen(['sh'], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        cwd=FOLDER, start_new_session=True, text=True)
        domain.guests.append(self)

    def run(self, block):
        self.process.stdin.write(block + '\necho "[end $?]"\n')
        self.process.stdin.flush()
        out = ''
        while not re.search(r'\[end (\d+)\]\n', out):
            line = self.process.stdout.readline()
            check(line, 'the shell has ended: ' + out)
            out += line
        return out

    def kill(self):
        os.killpg(self.process.pid, 9)
        self.process.wait()


def healthy(domain, service):
    until(service, lambda: any(r['health'] == 'healthy' for r in domain.services(service)))


@test
def every_one_liner_of_the_specification_is_in_the_script_and_in_the_readme():
    wanted = [at_home(c) for c in one_liners(read(SRC, 'docs/spec/blackroad.md'))]
    check(len(wanted) > 20, 'the specification has only %d' % len(wanted))
    script = one_liners(read(FOLDER, 'curl.sh'))
    equal(script, list(dict.fromkeys(wanted)), 'the commands of curl.sh')
    equal([c for c in one_liners(read(FOLDER, 'README.md'))], script, 'those of README.md')


@test
def the_readme_does_what_it_says():
    needs('node', 'curl')
    if not os.path.isdir(EXPRESS):
        missing('Express, which the program of the guide needs,', 'node-express')
    blocks = re.findall(r'^```sh\n(.*?)^```', read(FOLDER, 'README.md'), re.S | re.M)
    equal(len(blocks), 5 + 2, 'blocks of commands in README.md')  # two: tests/http/jobs.py
    with Domain() as d:
        shell = Shell(d)
        shell.run(blocks[0])
        healthy(d, 'blackroad-os-core')
        said = shell.run(blocks[1])
        check("User: { id: 123, email: 'user@example.com', name: 'John Doe' }" in said, said)
        check('blackroad-os-core' in said, said)
        shell.run(blocks[2])
        healthy(d, 'blackroad-os-api')
        said = shell.run(blocks[3])
        check('"result": "John Doe"' in said, said)
        equal(said.count('GET /v1/sys/identity    required  ok'), 2, 'checks in ' + said)
        check('Service started on port 8000' in said and 'failed' not in said, said)
        said = shell.run(blocks[4])
        for answer in ('{"status":"healthy"}', '{"version":"1.0.0","service":"blackroad-os-core"}',
                       '"dns":{"cloudflare":', '"checks":{', '"nodeVersion":', '"features":{',
                       '"limit":50', '"name":"cpu.usage"', '"email":"user@example.com"',
                       '"name":"send-email"', 'JOB_NOT_FOUND', '"error":"Key not found"',
                       '"key":"user:count","value":43,"version":1'):
            check(answer in said, '%s is not in %s' % (answer, said))
        check(not re.search(r'Could not resolve|Failed to connect|<html|<!DOCTYPE', said), said)


@test
def the_program_with_nothing_but_node_is_a_whole_service_behind_the_gateway():
    needs('node')
    with Domain() as d:
        service = subprocess.Popen([EXEC, '--service', 'core', '--', 'node', 'core-plain.js'],
                                   env=d.env, cwd=FOLDER, stdout=subprocess.DEVNULL,
                                   start_new_session=True)
        try:
            healthy(d, 'blackroad-os-core')
            caller = subprocess.run([EXEC, '--service', 'operator', '--', 'node', 'operator.js'],
                                    env=d.env, cwd=FOLDER, capture_output=True, text=True,
                                    timeout=LIMIT)
            equal((caller.returncode, caller.stdout),
                  (0, "User: { id: 123, email: 'user@example.com', name: 'John Doe' }\n"),
                  'the caller (%s)' % caller.stderr)
            rows = json.loads(d.ctl('service', 'check', 'core', '-o', 'json').stdout)
            equal([r['check'] for r in rows if r['result'] != 'ok'], [], 'what is missing')
            back = json.loads(d.ctl('service', 'names', 'core', '-o', 'json').stdout)[0]['back']
            alone = json.loads(d.ctl('service', 'check', 'http://%s:8000' % back, '-o', 'json',
                                     status=1).stdout)
            equal([r['check'] for r in alone if r['result'] == 'failed'],
                  ['GET /version', 'GET /v1/sys/identity', 'GET /v1/sys/health'],
                  'what it lacks without the gateway')
        finally:
            service.terminate()
            service.wait(LIMIT)


@test
def workers_of_a_cluster_share_the_address():
    needs('node')
    program = r'''
const cluster = require('node:cluster'), http = require('node:http');
if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) { for (let i = 0; i < 3; i++) cluster.fork(); let up = 0;
  cluster.on('listening', (w, a) => { if (++up === 3) console.log('up ' + a.address + ' ' + a.port); }); }
else http.createServer((q, s) => s.end(JSON.stringify({ status: 'healthy', pid: process.pid }))).listen(8000);
'''
    for policy in ('rr', 'none'):
        with Domain() as d:
            service = subprocess.Popen([EXEC, '--service', 'core', '--', 'node', '-e', program, policy],
                                       env=d.env, stdout=subprocess.PIPE, text=True,
                                       start_new_session=True)
            try:
                check(service.stdout.readline().startswith('up '), 'it does not come up')
                row, = json.loads(d.ctl('service', 'names', 'core', '-o', 'json').stdout)
                equal(row['serving'], 1, 'serving (%s)' % policy)
                pids = set()
                for _ in range(30):
                    got = subprocess.run(['curl', '-s', 'http://%s:8000/' % row['back']],
                                         capture_output=True, text=True, timeout=LIMIT).stdout
                    pids.add(json.loads(got)['pid'])
                check(len(pids) > 1 or policy == 'none', 'one worker does everything')
            finally:
                service.terminate()
                service.wait(LIMIT)
                service.stdout.close()


@test
def what_a_check_says_of_somebody_who_is_not_there():
    with Domain() as d:
        d.start()
        equal(d.ctl('service', 'check', 'nobody', status=4).returncode, 4, 'an unknown name')
        r = d.ctl('service', 'check', 'http://127.0.0.1:1', status=1)
        check('lacks 7 of 7 things that BlackRoad OS requires of a service' in r.stderr, r.stderr)
        r = d.ctl('service', 'check', 'https://core.blackroad.systems', status=1)
        check('https' in r.stderr, r.stderr)


run()
