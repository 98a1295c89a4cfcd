# SPDX-License-Identifier: MIT
"""The frame around the views: stream, keys, widths, colours, read-only mode, token."""
import json
import os

from world import VIEWS, World, check, equal, main, test, until

# The least contrast of any text that is shown against what is behind it, and whose it is.
CONTRAST = """(() => {
	const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const rgba = text => {
		paint.clearRect(0, 0, 1, 1);
		paint.fillStyle = text;
		paint.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	};
	const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
	const light = c => c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((a, v, i) => a + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = e => e ? over(rgba(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255];
	let worst = [99, ''];
	for (const e of document.body.querySelectorAll('*')) {
		const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
		if (!own || !e.checkVisibility() || e.closest(':disabled,svg,.hide,caption,option') || e.getBoundingClientRect().width < 2)
			continue;
		const back = ground(e), style = getComputedStyle(e), front = over(rgba(style.color), back);
		const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < worst[0])
			worst = [ratio, e.outerHTML.slice(0, 200)];
	}
	return worst;
})()"""


# What each view shows when it is filled.
FILLED = {'logs': 'a line of level error', 'overview': 'a-service-with-a-long-name',
          'state': 'user:', 'jobs': '0 3 * * *', 'events': 'user:created', 'rpc': 'getUserById',
          'metrics': 'a.rather.long.name', 'trace': 'No foreign calls yet.', 'guests': 'Ports',
          'containers': 'No containers yet.'}


def look(w, tab, view):
    """Goes to a view and waits for what it has to show."""
    tab.view(view)
    if view == 'events':
        w.web('POST', 'event', {'event': 'user:created', 'data': {'text': 'y' * 300}})
    tab.shows(FILLED[view])


def fill(w):
    """Something for each view."""
    for level in ('debug', 'info', 'warn', 'error'):
        w.log('a line of level ' + level, level, 'blackroad-os-core', path='/' + 'long/' * 30)
    w.web('PUT', 'state', {'key': 'user:7:name', 'value': 'x' * 300})
    w.web('POST', 'metric', {'name': 'a.rather.long.name.of.a.metric.that.goes.on', 'value': 1,
                             'tags': {'path': '/api/' + 'z' * 90}})
    w.worker('cloudosd', methods={'getUserById': lambda p: p}, jobs={'report': lambda p: p})
    w.web('POST', 'job', {'name': 'report', 'schedule': '0 3 * * *'})
    w.ctl('service', 'register', 'a-service-with-a-long-name-that-does-not-fit', '--port', '1',
          '--pid', str(os.getpid()), '--health-check', 'tcp://127.0.0.1:1')


@test
def the_keyboard_reaches_everything():
    with World() as w:
        w.log('one')
        w.log('two')
        tab = w.open('logs')
        tab.shows('two')
        for i, view in enumerate(VIEWS):
            tab.key(str((i + 1) % 10))
            tab.until('the view ' + view, '!!document.querySelector("section.view.%s")' % view)
            equal(tab.run('document.querySelector("nav [aria-current=page]").hash'), '#' + view,
                  'where the navigation stands')
        tab.key('1')
        tab.key('/')
        tab.until('the filter', 'document.activeElement.type === "search"')
        tab.type('two 1 ?')  # none of these is a shortcut now
        tab.key('Escape')
        equal(tab.run('[document.activeElement.tagName, document.querySelector("input").value,'
                      'location.hash]'), ['BODY', '', '#logs'], 'after Escape')
        tab.key('?')
        tab.until('the help', 'document.querySelector("#help").open')
        tab.key('2')
        equal(tab.run('location.hash'), '#logs', 'a key behind the help')
        tab.key('Escape')
        tab.until('its end', '!document.querySelector("#help").open')
        tab.run('document.activeElement.blur()')
        tab.key('Tab')
        equal(tab.run('document.activeElement.className'), 'skip', 'the first stop')
        check(tab.run('document.activeElement.getBoundingClientRect().left >= 0'), 'it is seen')
        tab.key('Enter')
        equal(tab.run('document.activeElement.id'), 'main', 'where it leads')
        tab.run('document.querySelector(".rows").focus()')
        tab.key('k')
        tab.key('k')
        tab.key('Enter')
        tab.shows('"message": "one"', '.detail')
        seen = tab.run('getComputedStyle(document.activeElement).outlineStyle')
        check(seen != 'none', 'the focus cannot be seen')


@test
def everything_that_can_be_pressed_has_a_name():
    with World() as w:
        fill(w)
        tab = w.open('logs')
        for view in VIEWS:
            look(w, tab, view)
            nameless = tab.run(
                '[...document.querySelectorAll("button,input,select,textarea,a,summary")]'
                '.filter(e => e.checkVisibility() && !(e.innerText || e.ariaLabel || e.title ||'
                ' e.labels?.length || e.getAttribute("aria-labelledby")))'
                '.map(e => e.outerHTML)')
            equal(nameless, [], 'nameless in ' + view)
            equal(tab.run('document.querySelectorAll("h1").length'), 1, 'headings of ' + view)


@test
def no_view_is_wider_than_a_phone():
    with World() as w:
        fill(w)
        for width in (320, 390, 768):
            tab = w.open('logs', width=width, height=720)
            for view in VIEWS:
                look(w, tab, view)
                wide = tab.run('[document.documentElement.scrollWidth - innerWidth, '
                               '(m => m.scrollWidth - m.clientWidth)(document.querySelector("main"))]')
                equal(wide, [0, 0], '%s at %d pixels' % (view, width))
                inside = tab.run('[...document.querySelectorAll(".rows,.pane,.tree%s")].filter(e => '
                                 'e.scrollWidth > e.clientWidth).map(e => e.className)'
                                 % (',.scroll' if width < 760 else ''))
                equal(inside, [], 'what has to be pushed sideways in %s at %d' % (view, width))
                if view == 'state':
                    tab.click('.leaf')
                    tab.shows('user:7:name', '.pane')
                if view == 'jobs':
                    tab.click('tbody tr')
                    tab.shows('created', '.pane')


@test
def text_can_be_read_in_light_and_in_dark():
    with World() as w:
        fill(w)
        for dark in (False, True):
            tab = w.open('logs', dark=dark, motion=False)
            for view in VIEWS:
                look(w, tab, view)
                ratio, whose = tab.run(CONTRAST)
                check(ratio >= 4.5, 'contrast %.2f in %s, %s: %s' % (
                    ratio, view, 'dark' if dark else 'light', whose))


@test
def one_stream_serves_all_views_and_tracing_only_runs_while_it_is_looked_at():
    with World() as w:
        tab = w.open('logs')

        def streams():
            return [r for r in tab.requests if '/v1/sys/stream' in r]
        for view in ('overview', 'state', 'jobs', 'events', 'rpc', 'metrics', 'guests'):
            tab.view(view)
        equal(len(streams()), 1, 'streams before tracing')
        check('trace' not in streams()[0], streams())
        tab.view('trace')
        tab.until('tracing', 'document.querySelector("#stream").innerText === "live"')
        until('another one', lambda: tab.browser.pump(0.05) or 'trace' in streams()[-1])
        tab.view('logs')
        until('one without', lambda: tab.browser.pump(0.05) or 'trace' not in streams()[-1])
        w.log('still there')
        tab.shows('still there')


@test
def a_daemon_that_is_gone_is_told_and_found_again():
    with World() as w:
        w.log('before')
        tab = w.open('logs')
        tab.shows('before')
        w.ctl('daemon', 'stop', '--force')
        tab.until('the word', 'document.querySelector("#stream").innerText === "reconnecting"')
        tab.view('state')
        tab.shows('The daemon does not answer. It may have ended: cloudosctl daemon start')
        port = w.address.rsplit(':')[-1]
        os.makedirs(os.path.join(w.dir, 'config'), 0o700, exist_ok=True)
        with open(os.path.join(w.dir, 'config/cloudosd.yaml'), 'w') as f:
            f.write('http:\n  port: %s\n' % port)
        w.start()
        w.find()
        if w.url != tab.origin:  # somebody else has the port now
            return
        tab.click('#stream')
        tab.until('the stream', 'document.querySelector("#stream").innerText === "live"')
        tab.click('button', 'Try again')
        tab.shows('has no state yet')
        w.log('after')
        tab.view('logs')
        tab.shows('after')
        tab.shows('before')


@test
def read_only_mode_disables_every_button_that_writes_and_the_gateway_refuses():
    with World('http:\n  read_only: yes\n') as w:
        tab = w.open('state')
        tab.until('the word', '!document.querySelector("#readonly").hidden')
        for view in VIEWS:
            tab.view(view)
            tab.until('the view', 'document.querySelector("main").innerText.length > 40')
            equal(tab.run('[...document.querySelectorAll("[data-write]")].filter(b => !b.disabled)'
                          '.map(b => b.innerText)'), [], 'what can be pressed in ' + view)
        status, code = tab.run(
            'fetch("v1/sys/state", {method: "PUT", headers: {"Content-Type": "application/json"},'
            'body: \'{"key":"a","value":1}\'}).then(async r => [r.status, (await r.json()).error.code])')
        equal((status, code), (403, 'READ_ONLY'), 'what the gateway says')


@test
def a_gateway_with_a_token_asks_for_it():
    with World('http:\n  token: always\n') as w:
        with open(os.path.join(w.dir, 'state/http.token')) as f:
            token = f.read().strip()
        tab = w.open('logs', ready=False)
        tab.until('the question', 'document.querySelector("#token").open')
        tab.run('document.querySelector("#token input").focus()')
        tab.type('wrong')
        tab.key('Enter')
        tab.until('the question again', 'document.querySelector("#token").open && '
                  'document.querySelector("#token input").value === "wrong"')
        tab.run('(i => { i.focus(); i.select(); })(document.querySelector("#token input"))')
        tab.type(token)
        tab.key('Enter')
        tab.until('the stream', 'document.querySelector("#stream").innerText === "live"')
        tab.shows('healthy', '#health')


@test
def a_service_is_chosen_and_its_data_shown():
    with World() as w:
        w.web('PUT', 'state?service=blackroad-os-core', {'key': 'whose', 'value': 'core'})
        w.web('PUT', 'state', {'key': 'mine', 'value': 'cloudosd'})
        tab = w.open('state')
        tab.shows('mine', '.tree')
        tab.until('the service', '[...document.querySelector("#service").options]'
                  '.some(o => o.value === "blackroad-os-core")')
        tab.run('(s => { s.value = "blackroad-os-core"; s.dispatchEvent(new Event("change")); })'
                '(document.querySelector("#service"))')
        tab.shows('whose', '.tree')
        check('mine' not in tab.text('.tree'), tab.text('.tree'))


@test
def a_long_log_stays_bounded():
    with World() as w:
        tab = w.open('logs')
        def busy(start, count):
            """What hours bring, through the page's own stream module."""
            tab.run('import("/page/stream.js").then(async s => { for (let i = %d; i < %d; i++) {'
                    's.frame(JSON.stringify({topic: "log", entry: {id: "x-" + i, timestamp: '
                    'new Date().toISOString(), level: "info", message: "line " + i, service: "busy"}}));'
                    'if (i %% 500 === 0) await new Promise(requestAnimationFrame); } })'
                    % (start, start + count))
            tab.shows('line %d' % (start + count - 1))

        def heap():
            tab.ask('HeapProfiler.collectGarbage')
            return tab.ask('Runtime.getHeapUsage')['usedSize']
        busy(0, 8000)
        before, nodes = heap(), tab.ask('Memory.getDOMCounters')['nodes']
        busy(8000, 12000)
        grown = heap() / before
        check(grown < 1.3, 'memory has grown to %.2f of what it was' % grown)
        check(tab.ask('Memory.getDOMCounters')['nodes'] < 2 * nodes, 'nodes of the document')
        check(tab.run('document.querySelectorAll(".rows li").length') <= 800, 'rows of the list')
        tab.fill('Filter: words or /regex/', 'line')
        kept = tab.run('document.querySelectorAll(".rows li").length')
        check(100 < kept <= 800, 'rows behind a filter: %r' % kept)
        tab.ask('Page.setDownloadBehavior', behavior='allow', downloadPath=w.dir)
        tab.click('button', 'Download')
        path = os.path.join(w.dir, 'cloudos-log.jsonl')
        until('the file', lambda: os.path.exists(path))
        with open(path) as f:
            check(len([json.loads(line) for line in f]) <= 5600, 'entries in memory')


main()
