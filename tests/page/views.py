# SPDX-License-Identifier: MIT
"""Each view of the page shows what there is, and does what its buttons say."""
import json
import os
import threading

from world import BUILD, Skip, World, check, equal, main, test, until

HOSTILE = ('<img src=x onerror="window.owned=1"><script>window.owned=2</script>'
           '\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\x07 \u202egnp.exe \x9b31m end')


def rows(tab):
    return tab.run('[...document.querySelectorAll(".rows li .message")].map(e => e.innerText)')


@test
def logs_show_what_was_there_and_what_comes_and_filter_it():
    with World() as w:
        w.log('before', user=7)
        tab = w.open('logs')
        tab.shows('before user=7')
        w.log('a warning comes', 'warn', 'blackroad-os-core')
        tab.shows('a warning comes')
        tab.fill('Filter: words or /regex/', 'warning COMES')
        tab.until('one row', 'document.querySelectorAll(".rows li").length === 1')
        equal(rows(tab), ['a warning comes'], 'what is left')
        tab.fill('Filter: words or /regex/', '/^.*nothing like it$/')
        tab.shows('Nothing matches.')
        tab.key('Escape')  # clears it
        tab.shows('before user=7')
        tab.run('(s => { s.selectedIndex = 2; s.dispatchEvent(new Event("change")); })'
                '(document.querySelector("select[aria-label=Level]"))')
        tab.until('no info', '![...document.querySelectorAll(".rows .level")]'
                  '.some(e => e.innerText === "info")')
        tab.shows('a warning comes')


@test
def logs_pause_and_go_on_and_open_an_entry():
    with World() as w:
        w.log('first', deep={'n': 1})
        tab = w.open('logs')
        tab.shows('first')
        tab.click('button', 'Pause')
        w.log('while paused')
        tab.shows('new · follow')
        check('while paused' not in rows(tab), 'a paused list goes on')
        tab.click('button.pill')
        tab.shows('while paused')
        tab.click('.rows li', 'first')
        tab.shows('"deep": {', '.detail pre')


@test
def hostile_log_text_is_text():
    with World() as w:
        w.log(HOSTILE, 'error', markup='<b onclick=1>')
        tab = w.open('logs')
        tab.shows('<img src=x')
        shown = next(r for r in rows(tab) if '<img' in r)
        check('<script>window.owned=2</script>red ' in shown, shown)
        check('bell␇' in shown and 'title' not in shown, shown)
        check('⟨U+202E⟩gnp.exe' in shown, shown)
        check(not any(ord(c) < 32 and c != '\n' or 0x7f <= ord(c) < 0xa0 for c in shown), shown)
        tab.click('.rows li', '<img')
        tab.shows('"markup"', '.detail')
        equal(tab.run('[window.owned ?? null, document.querySelectorAll("main img, main script, '
                      'main b[onclick]").length]'), [None, 0], 'what it did')


@test
def logs_are_copied_to_a_file():
    with World() as w:
        w.log('kept', n=1)
        tab = w.open('logs')
        tab.shows('kept')
        tab.ask('Page.setDownloadBehavior', behavior='allow', downloadPath=w.dir)
        tab.click('button', 'Download')
        path = os.path.join(w.dir, 'cloudos-log.jsonl')
        until('the file', lambda: os.path.exists(path))
        with open(path) as f:
            lines = [json.loads(line) for line in f]
        equal([e['message'] for e in lines if e.get('meta') == {'n': 1}], ['kept'], 'its lines')


@test
def the_overview_has_services_of_all_systems_with_the_reason_of_their_health():
    with World() as w:
        w.ctl('service', 'register', 'gone', '--pid', str(os.getpid()), '--port', '1',
              '--health-check', 'tcp://127.0.0.1:1')
        reason = until('a verdict', lambda: next(
            (s['reason'] for s in w.services() if 'refused' in s['reason']), None))
        tab = w.open('overview')
        tab.shows('gone', 'tbody')
        tab.shows(reason, 'tbody')
        tab.shows('database', '.checks')
        tab.shows('healthy', '.cards')


@test
def state_is_a_tree_that_is_read_before_it_is_edited():
    with World() as w:
        for key, value in (('user:7:name', 'Ada'), ('user:7:age', 36), ('config/theme', [1, 2])):
            w.web('PUT', 'state', {'key': key, 'value': value})
        tab = w.open('state')
        tab.shows('user:', 'summary')
        tab.click('.leaf', 'theme')
        tab.shows('config/theme', '.pane h2')
        equal(tab.run('JSON.parse(document.querySelector(".pane pre").innerText)'), [1, 2],
              'its value')
        equal(tab.run('document.querySelectorAll(".pane textarea").length'), 0, 'editors')
        tab.click('.pane button', 'Edit')
        tab.fill('Value (JSON)', '{"mode": "dark"}')
        tab.click('button[type=submit]')
        tab.shows('"mode": "dark"', '.pane pre')
        entry = w.web('GET', 'state?key=config/theme')
        equal((entry['value'], entry['version']), ({'mode': 'dark'}, 2), 'what is stored')


@test
def an_edit_does_not_overwrite_what_somebody_else_wrote_meanwhile():
    with World() as w:
        w.web('PUT', 'state', {'key': 'count', 'value': 1})
        tab = w.open('state')
        tab.click('.leaf', 'count')
        tab.click('.pane button', 'Edit')
        tab.fill('Value (JSON)', '100')
        w.web('PUT', 'state', {'key': 'count', 'value': 'theirs'})
        tab.click('button[type=submit]')
        tab.shows('Changed by somebody else meanwhile', '.conflict')
        tab.shows('expected 1, got 2', '.conflict')
        tab.shows('"theirs"', '.conflict pre')
        equal(w.web('GET', 'state?key=count')['value'], 'theirs', 'nothing was written')
        tab.click('.conflict button', 'Replace version 2 with mine')
        tab.shows('100', '.pane pre')
        equal(w.web('GET', 'state?key=count'), dict(
            w.web('GET', 'state?key=count'), value=100, version=3), 'what is stored')


@test
def numbers_of_any_length_survive_the_editor():
    with World() as w:
        body = '{"n":9007199254740993,"e":1e400,"z":1.0}'
        w.web('PUT', 'state', {'key': 'other', 'value': 0})
        tab = w.open('state')
        tab.key('n')
        tab.fill('Key', 'exact')
        tab.fill('Value (JSON)', body)
        tab.click('button[type=submit]')
        tab.shows('9007199254740993', '.pane pre')
        shown = tab.text('.pane pre')
        check('1e400' in shown and '1.0' in shown, shown)
        tab.click('.pane button', 'Edit')
        tab.click('button[type=submit]')  # as the page shows it
        tab.shows('version 2', '.pane')
        check('9007199254740993' in tab.text('.pane pre'), tab.text('.pane pre'))


@test
def a_key_is_created_once_and_deleted_after_a_second_press():
    with World() as w:
        w.web('PUT', 'state', {'key': 'a', 'value': 1})
        tab = w.open('state')
        tab.click('button', 'New key')
        tab.fill('Key', 'a')
        tab.fill('Value (JSON)', '2')
        tab.click('button[type=submit]')
        tab.shows('expected 0, got 1', '.conflict')
        tab.click('.conflict button', 'Discard mine')
        tab.click('.pane button', 'Delete')
        tab.shows('Delete for good?')
        equal(w.web('GET', 'state?key=a')['value'], 1, 'after one press')
        tab.click('.pane button', 'Delete for good?')
        tab.shows('has no state yet')
        w.web('GET', 'state?key=a', status=404)


@test
def state_that_others_change_is_seen_at_once():
    with World() as w:
        tab = w.open('state')
        tab.shows('has no state yet')
        w.web('PUT', 'state', {'key': 'fresh', 'value': 'new'})
        tab.shows('fresh', '.tree')
        tab.click('.leaf', 'fresh')
        tab.shows('"new"', '.pane pre')
        w.web('PUT', 'state', {'key': 'fresh', 'value': 'newer'})
        tab.shows('"newer"', '.pane pre')


@test
def jobs_are_run_now_retried_and_cancelled():
    ran, good = [], threading.Event()

    def report(params):
        ran.append(params)
        if not good.is_set():
            raise RuntimeError('no paper <b>')
        return {'pages': 12}

    with World() as w:
        w.worker('cloudosd', jobs={'report': report})
        w.web('POST', 'job', {'name': 'report', 'params': {'a': 1}, 'schedule': '0 3 1 1 *'})
        tab = w.open('jobs')
        tab.shows('0 3 1 1 *', 'tbody')
        tab.until('the next run', '/in \\d+ d/.test(document.querySelector("tbody").innerText)')
        tab.click('tbody tr', 'report')
        tab.shows('"a": 1', '.pane')
        tab.click('tbody button', 'Run now')
        until('a run', lambda: ran)
        equal(ran[0], {'a': 1}, 'its parameters')
        tab.shows('no paper <b>', '.pane')
        good.set()
        tab.click('.pane button', 'Retry')
        tab.shows('"pages": 12', '.pane')
        tab.click('tbody button', 'Cancel')
        tab.shows('cancelled', 'tbody')
        until('its end', lambda: w.web('GET', 'jobs')['jobs'][-1]['status'] == 'cancelled')


@test
def a_job_is_created_with_a_schedule_and_a_wrong_one_is_refused():
    with World() as w:
        w.worker('cloudosd', jobs={'report': lambda params: params})
        tab = w.open('jobs')
        tab.shows('No jobs yet.')
        tab.key('n')
        tab.fill('Name', 'report')
        tab.fill('Parameters (JSON)', '{"n": 9007199254740993}')
        tab.fill('Schedule', '0 0 31 2 *')
        tab.click('form button', 'Create')
        tab.until('why not', 'document.querySelector("#toasts .bad")?.innerText.length > 20')
        tab.fill('Schedule', '@daily')
        tab.click('form button', 'Create')
        tab.shows('@daily', 'tbody')
        tab.shows('9007199254740993', '.pane')


@test
def events_are_watched_filtered_and_published():
    with World() as w:
        w.web('POST', 'event', {'event': 'user:before', 'data': {'id': 0}})
        tab = w.open('events')
        tab.shows('user:before')
        w.web('POST', 'event', {'event': 'user:created', 'data': {'id': 1}})
        tab.shows('user:created')
        tab.fill('Event', 'order:paid')
        tab.fill('Data (JSON)', '{"sum": 9007199254740993}')
        tab.click('button', 'Publish')
        tab.shows('order:paid', '.rows')
        tab.fill('Filter: user:*, words or /regex/', 'user:*')
        tab.until('one row', '[...document.querySelectorAll(".rows .name")].every(e => '
                  'e.innerText.startsWith("user:"))')
        tab.fill('Data (JSON)', '{not json')
        tab.click('button', 'Publish')
        tab.shows('The data is not JSON', '#toasts')


@test
def methods_are_listed_called_and_timed():
    with World() as w:
        tab = w.open('rpc')
        tab.click('.leaf', 'sys.echo')
        tab.fill('Parameters (JSON)', '{"n": 9007199254740993}')
        tab.click('button', 'Call')
        tab.shows('"n": 9007199254740993', '.pane pre')
        tab.until('how long it took', '/\\d\\.\\d ms/.test(document.querySelector(".facts").innerText)')
        tab.fill('Method', 'nobody.home')
        tab.click('button', 'Call')
        tab.shows('METHOD_NOT_FOUND', '.pane pre')
        equal(tab.run('document.querySelectorAll(".calls li").length'), 2, 'calls remembered')


@test
def metrics_are_drawn_and_grow():
    with World() as w:
        for value in (10, 30, 20):
            w.web('POST', 'metric', {'name': 'cpu.usage', 'value': value, 'unit': 'percent',
                                     'tags': {'core': '<0>'}})
        tab = w.open('metrics')
        tab.shows('cpu.usage', 'figure')
        tab.shows('core=<0>', 'figure')
        tab.shows('20 percent', '.read')
        tab.shows('3 samples', 'figure')
        w.web('POST', 'metric', {'name': 'cpu.usage', 'value': 77, 'unit': 'percent',
                                 'tags': {'core': '<0>'}})
        tab.shows('77 percent', '.read')
        points = tab.run('document.querySelector("figure polyline").getAttribute("points")')
        equal(len(points.split()), 4, 'points of the line')


@test
def guests_their_ports_and_their_calls_are_shown():
    with World() as w:
        tab = w.open('trace')
        tab.shows('No foreign calls yet.')
        echo = w.guest('trap', program=(os.path.join(BUILD, 'anos-echo.elf'),))
        equal(echo.line(), 'echo: registered', 'the server')
        w.guest('trap', program=(os.path.join(BUILD, 'example-client'),)).process.wait()
        tab.shows('service_discover', '.rows')
        tab.until('the tracing of messages', 'document.querySelector("#stream").innerText === "live"')
        ask = [os.path.join(BUILD, 'anos-ask.elf')]

        def asked():
            equal(w.guest('trap', 'echo', 'good morning', program=ask).process.wait(), 0, 'ask')
            return 'good morning' in tab.text('.rows')
        until('a message', asked)  # the first ones go by before their ring is looked at
        tab.view('guests')
        tab.shows('anos-echo', 'tbody')
        tab.shows('anos', 'tbody')
        tab.shows('1 receiving', 'tbody')


@test
def containers_show_how_they_are_and_what_they_printed():
    with World() as w:
        tab = w.open('containers')
        tab.shows('No containers yet.')
        tab.shows('No images yet.')
        made = w.ctl('image', 'create-busybox', status=None)
        if made.returncode == 0:
            made = w.ctl('container', 'run', '--rm', '--net', 'none', 'busybox', 'true', status=None)
        if made.returncode:
            raise Skip('no containers here: ' + made.stderr)
        tab.shows('busybox:latest', 'tbody')
        try:
            w.ctl('container', 'run', '-d', '--name', 'talks', '--net', 'none', '--stop-timeout', '1',
                  '--health-cmd', 'test -e /etc', '--health-interval', '1s', 'busybox', 'sh', '-c',
                  'echo "said <b> $HOSTNAME"; echo oops >&2; exec sleep 1000')
            tab.shows('talks', 'tbody')
            tab.shows('running', 'tbody')
            tab.shows('healthy', 'tbody')
            tab.click('tbody tr', 'talks')
            tab.shows('said <b> talks', '.pane pre')
            tab.shows('oops', '.pane pre .warn')
            tab.click('tbody button', 'Stop')
            tab.shows('exited', 'tbody')
            equal(json.loads(w.ctl('container', 'inspect', 'talks').stdout)['state'], 'exited', 'Stop')
            tab.click('tbody button', 'Start')
            tab.shows('running', 'tbody')
            tab.until('its second output', 'document.querySelector(".pane pre").innerText.split("said").length === 3')
            tab.click('tbody button', 'Stop')
            tab.shows('exited', 'tbody')
            tab.click('tbody button', 'Remove')
            equal(w.ctl('container', 'ps', '-aq').stdout.count('\n'), 1, 'after one press')
            tab.click('tbody button', 'Remove for good?')
            tab.shows('No containers yet.')
        finally:
            w.ctl('container', 'rm', '-f', 'talks', status=None)


main()
