# SPDX-License-Identifier: MIT
"""A headless Chromium, spoken to over a pair of pipes (the DevTools protocol).

Whatever the page does wrong is collected while it is looked at: exceptions, errors on the
console, violations of its content security policy, requests to anybody but its gateway.
"""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

SLOW = 4 if os.environ.get('CO_SANITIZERS') not in (None, '', 'no') else 1
LIMIT = 90 * SLOW  # seconds; tens of times what is needed, whatever else the machine does
FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-default-apps', '--disable-extensions', '--disable-dev-shm-usage',
         '--no-default-browser-check', '--no-proxy-server', '--mute-audio',
         '--hide-scrollbars', '--remote-debugging-pipe', '--window-size=1280,800']
# Told by the document itself, also when the violation is in no console.
WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', e => violations.push(
	e.effectiveDirective + ' ' + e.blockedURI + ' ' + e.sourceFile + ':' + e.lineNumber));
"""
KEYS = {'Enter': ('Enter', 13, '\r'), 'Escape': ('Escape', 27, ''), 'Tab': ('Tab', 9, ''),
        'ArrowDown': ('ArrowDown', 40, ''), 'ArrowUp': ('ArrowUp', 38, '')}


def chromium():
    """Its path, or None."""
    return next((p for p in map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))
                 if p), None)


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='page-chromium.')
        to_read, self.out = os.pipe()
        self.inp, to_write = os.pipe()
        self.log = open(os.path.join(self.folder, 'stderr'), 'wb')

        def pipes():
            # 3 and 4 are what Chromium reads and writes; neither end may be in the way
            a, b = os.dup(to_read), os.dup(to_write)
            a2, b2 = (os.dup(a), os.dup(b))
            os.dup2(a2, 3)
            os.dup2(b2, 4)

        environment = dict(os.environ, HOME=self.folder, XDG_CONFIG_HOME=self.folder,
                           XDG_CACHE_HOME=self.folder, TZ='UTC')
        self.process = subprocess.Popen(
            [chromium(), *FLAGS, '--user-data-dir=' + os.path.join(self.folder, 'profile'),
             'about:blank'], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=pipes, close_fds=False, start_new_session=True, env=environment)
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.replies, self.tabs = b'', 0, {}, {}

    def send(self, method, session=None, **params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if session:
            message['sessionId'] = session
        os.write(self.out, json.dumps(message).encode() + b'\0')
        return self.number

    def pump(self, seconds):
        """Takes in what the browser says, for at most so long."""
        if not select.select([self.inp], [], [], seconds)[0]:
            return
        data = os.read(self.inp, 1 << 20)
        if not data:
            with open(self.log.name, errors='replace') as f:
                raise AssertionError('Chromium has ended: ' + f.read()[-2000:])
        *whole, self.rest = (self.rest + data).split(b'\0')
        for text in whole:
            message = json.loads(text)
            if 'id' in message:
                self.replies[message['id']] = message
            elif message.get('sessionId') in self.tabs:
                self.tabs[message['sessionId']].told(message['method'], message['params'])

    def ask(self, method, session=None, **params):
        number, end = self.send(method, session, **params), time.monotonic() + LIMIT
        while number not in self.replies:
            if time.monotonic() > end:
                raise AssertionError('Chromium did not answer %s within %d s' % (method, LIMIT))
            self.pump(0.5)
        reply = self.replies.pop(number)
        if 'error' in reply:
            raise AssertionError('%s: %s' % (method, reply['error']['message']))
        return reply['result']

    def tab(self, url, width=1280, height=800, dark=False, motion=True):
        context = self.ask('Target.createBrowserContext')['browserContextId']
        target = self.ask('Target.createTarget', url='about:blank',
                          browserContextId=context)['targetId']
        session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        return Tab(self, target, session, url, (width, height, dark, motion))

    def close(self):
        for fd in (self.out, self.inp):
            os.close(fd)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Tab:
    def __init__(self, browser, target, session, url, look):
        self.browser, self.target, self.session, self.origin = browser, target, session, url
        self.wrong, self.requests = [], []
        browser.tabs[session] = self
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.ask(domain + '.enable')
        self.ask('Page.addScriptToEvaluateOnNewDocument', source=WATCH)
        width, height, dark, motion = look
        self.size(width, height)
        self.ask('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'},
            {'name': 'prefers-reduced-motion', 'value': 'no-preference' if motion else 'reduce'}])
        self.ask('Page.navigate', url=url)

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def size(self, width, height):
        self.ask('Emulation.setDeviceMetricsOverride', width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 500)

    def told(self, method, p):
        if method == 'Runtime.exceptionThrown':
            details = p['exceptionDetails']
            self.wrong.append('exception: ' + details.get('exception', {}).get(
                'description', details['text']))
        elif method == 'Runtime.consoleAPICalled' and p['type'] in ('error', 'warning', 'assert'):
            self.wrong.append('console: %r' % [a.get('value') for a in p['args']])
        elif method == 'Log.entryAdded' and p['entry']['level'] == 'error':
            # the answers that tests ask for (409, 403, 404 ...) are logged by the browser
            if p['entry']['source'] != 'network':
                self.wrong.append('log: %s' % p['entry']['text'])
        elif method == 'Network.requestWillBeSent':
            self.requests.append(p['request']['url'])

    def run(self, script):
        """The value of a JavaScript expression."""
        r = self.ask('Runtime.evaluate', expression=script, awaitPromise=True,
                     returnByValue=True, userGesture=True)
        if 'exceptionDetails' in r:
            raise AssertionError('%s: %s' % (script, r['exceptionDetails'].get(
                'exception', {}).get('description')))
        return r['result'].get('value')

    def until(self, what, script, limit=LIMIT):
        """Waits until the expression is true, and returns it."""
        end = time.monotonic() + limit
        while True:
            try:
                value = self.run(script)
            except AssertionError as e:  # while one document gives way to the next
                if 'context' not in str(e) and 'null' not in str(e) and 'undefined' not in str(e):
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError('%s did not come about within %d s; the page shows:\n%s' % (
                    what, limit, self.run('document.body.innerText')[:3000]))
            self.browser.pump(0.02)

    def text(self, selector='main'):
        return self.run('document.querySelector(%s)?.innerText || ""' % json.dumps(selector))

    def shows(self, text, selector='main'):
        return self.until('"%s" in %s' % (text, selector),
                          '[...document.querySelectorAll(%s)].some(e => e.innerText.includes(%s))'
                          % (json.dumps(selector), json.dumps(text)))

    def view(self, name):
        """Goes to a view by its address."""
        self.run('location.hash = %s' % json.dumps(name))
        self.until('the view ' + name, '!!document.querySelector("section.view.%s")' % name)

    def click(self, selector, text=None):
        """A press of the mouse on the first such element that says `text`."""
        find = '[...document.querySelectorAll(%s)].find(e => e.offsetParent && !e.disabled%s)' % (
            json.dumps(selector), ' && e.innerText.includes(%s)' % json.dumps(text) if text else '')
        self.until('%s "%s" to press' % (selector, text or ''), '!!' + find)
        spot = self.run('(e => { e.scrollIntoView({block: "center"}); '
                        'const r = e.getBoundingClientRect(); '
                        'return [r.x + r.width / 2, r.y + r.height / 2]; })(%s)' % find)
        for kind in ('mousePressed', 'mouseReleased'):
            self.ask('Input.dispatchMouseEvent', type=kind, x=spot[0], y=spot[1],
                     button='left', clickCount=1)

    def key(self, name, modifiers=0):
        key, code, text = KEYS.get(name, (name, ord(name[0].upper()), name))
        more = {'text': text} if text and not modifiers else {}
        for kind in ('keyDown', 'keyUp'):
            self.ask('Input.dispatchKeyEvent', type=kind, key=key, code=key,
                     windowsVirtualKeyCode=code, modifiers=modifiers, **more)
            more = {}

    def type(self, text):
        self.ask('Input.insertText', text=text)

    def fill(self, label, text):
        """Puts a text into the field with that label, as a person would."""
        find = ('[...document.querySelectorAll("input,textarea")].find(e => e.offsetParent && '
                '(e.labels?.[0]?.innerText.startsWith(%s) || e.getAttribute("aria-label") === %s))'
                % (json.dumps(label), json.dumps(label)))
        self.until('the field ' + label, '!!' + find)
        self.run('(e => { e.focus(); e.select(); })(%s)' % find)
        self.type(text) if text else self.key('Delete')

    def shot(self, path):
        data = self.ask('Page.captureScreenshot', format='png')['data']
        with open(path, 'wb') as f:
            f.write(base64.b64decode(data))

    def faults(self):
        """All that was wrong since the tab was opened; a good page: []."""
        out = self.wrong + ['policy: ' + v for v in self.run('window.violations || []')]
        return out + ['request to elsewhere: ' + u for u in self.requests
                      if not u.startswith((self.origin, 'data:', 'blob:' + self.origin))]

    def close(self):
        del self.browser.tabs[self.session]
        self.browser.ask('Target.closeTarget', targetId=self.target)
