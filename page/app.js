// SPDX-License-Identifier: MIT
// The frame around the views: routes, the service chooser, keys, health and stream states.
import { api, clean, el, every, session, toast } from './core.js';
import { again, on, onState, run } from './stream.js';
import logs from './logs.js';
import overview from './overview.js';
import state from './state.js';
import jobs from './jobs.js';
import events from './events.js';
import rpc from './rpc.js';
import metrics from './metrics.js';
import trace from './trace.js';
import guests from './guests.js';
import containers from './containers.js';

const views = { logs, overview, state, jobs, events, rpc, metrics, trace, guests, containers };
const OWN = new Set(['state', 'jobs', 'rpc', 'metrics', 'events']); // those that show one service's data or act for it
const $ = id => document.getElementById(id), main = $('main');
let leave, current;

function route() {
	const name = location.hash.slice(1);
	if (name === 'main')
		return;
	enter(views[name] ? name : 'logs');
}
function enter(name) {
	leave?.();
	current = name;
	const root = el('section.view.' + name, { 'aria-labelledby': 'title' }, el('h1', { id: 'title' }, views[name].name, el('small', null, views[name].hint, OWN.has(name) ? ' · ' + session.service : '')));
	main.replaceChildren(root);
	document.title = `${views[name].name} · cloudos`;
	for (const a of $('nav').children)
		a.getAttribute('href') === '#' + name ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current');
	$('nav').querySelector('[aria-current]').scrollIntoView({ block: 'nearest', inline: 'center' });
	leave = views[name].mount(root);
}
$('nav').append(...Object.entries(views).map(([name, v], i) => el('a', { href: '#' + name, title: v.hint }, el('span', null, v.name), el('kbd', { 'aria-hidden': 'true' }, String((i + 1) % 10)))));
document.querySelector('.skip').addEventListener('click', e => { e.preventDefault(); main.focus(); });

// ---- whose data ----

const chooser = $('service');
async function services() {
	const names = new Set(['cloudosd', session.service]);
	for (const s of (await api('GET', 'v1/sys/services', { query: { service: '' } }).catch(() => null))?.services || [])
		names.add(s.name);
	if (names.size !== chooser.options.length && document.activeElement !== chooser)
		chooser.replaceChildren(...[...names].map(n => el('option', { value: n, selected: n === session.service }, clean(n))));
}
chooser.addEventListener('change', () => {
	session.service = chooser.value;
	for (const v of Object.values(views))
		v.reset?.();
	enter(current);
});
chooser.append(el('option', { value: 'cloudosd' }, 'cloudosd'));

// ---- health of the daemon, and of the stream ----

const chip = (e, tone, text, title) => {
	e.className = 'chip ' + tone;
	e.title = title;
	const label = e.querySelector('span');
	if (label.textContent !== text)
		label.textContent = text;
};
async function health() {
	try {
		const h = await api('GET', 'v1/sys/health', { query: { service: '' }, any: true });
		const bad = Object.entries(h.checks || {}).filter(([, c]) => c.status !== 'ok').map(([n, c]) => `${n}: ${c.message || c.status}`);
		chip($('health'), { healthy: 'good', degraded: 'warn' }[h.status] || 'bad', h.status || h.error?.code || 'unknown', bad.join('\n') || 'All checks of the daemon are well');
	} catch (e) {
		chip($('health'), 'bad', 'no answer', e.message);
	}
}
$('health').addEventListener('click', () => { location.hash = 'overview'; });

onState((word, why, next) => {
	chip($('stream'), { live: 'good', connecting: 'warn' }[word] || 'bad', word === 'waiting' ? 'reconnecting' : word,
		word === 'live' ? 'Events arrive as they happen; click to connect again' : `${why || 'Connecting'}${next ? `; next try in ${Math.ceil((next - Date.now()) / 1000)} s, or click` : ''}`);
});
$('stream').addEventListener('click', again);
on('gap', (gap, f) => toast(`${gap.lost} entries (${f.topic}) were lost on the way to this page: it was too slow.`, true));

// ---- keys ----

const help = $('help'), KEYS = [['1 … 9 0', 'the views, in their order'], ['/', 'filter'], ['p', 'pause or follow'], ['j k ↓ ↑', 'down and up in a list'], ['Enter', 'open or close a row'],
	['End', 'to the newest, and follow'], ['n', 'new key, new job'], ['e', 'edit the value'], ['Ctrl Enter', 'save, call'], ['s', 'choose the service'], ['?', 'this help'], ['Esc', 'leave a field, close']];
help.append(el('h2', { id: 'help-title' }, 'Keyboard'), el('dl', null, KEYS.map(([k, what]) => [el('dt', null, el('kbd', null, k)), el('dd', null, what)])),
	el('p', null, 'Everything here is also a command: ', el('code', null, 'cloudosctl help'), '. The interface is described in ', el('a', { href: 'openapi.json', target: '_blank', rel: 'noreferrer' }, 'openapi.json'), '.'),
	el('form', { method: 'dialog' }, el('button', { autofocus: true }, 'Close')));
$('help-open').addEventListener('click', () => help.showModal());

addEventListener('keydown', e => {
	const typing = e.target.matches('input,select,textarea');
	if (e.key === 'Escape' && typing) {
		if (e.target.type === 'search' && e.target.value) {
			e.target.value = '';
			e.target.dispatchEvent(new Event('input'));
		}
		e.target.blur();
		e.preventDefault();
	}
	if (typing || e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]'))
		return;
	const button = /^[a-z/]$/.test(e.key) ? main.querySelector(`[data-key="${e.key}"]`) : null;
	if (/^[0-9]$/.test(e.key)) {
		history.pushState(null, '', '#' + Object.keys(views)[(+e.key + 9) % 10]); // now, for the next key
		route();
	} else if (e.key === '?') {
		help.showModal();
	} else if (e.key === 's') {
		chooser.focus();
	} else if (button) {
		button.matches('input') ? button.focus() : button.click();
	} else {
		return;
	}
	e.preventDefault();
});

// ---- a token, where the gateway wants one; kept for this tab only ----

const token = $('token'), secret = el('input', { type: 'password', autocomplete: 'off', 'aria-labelledby': 'token-title' });
token.append(el('form', {
	method: 'dialog', onsubmit: () => {
		session.token = secret.value;
		sessionStorage.setItem('token', secret.value);
		again();
		begin();
		enter(current);
	}
}, el('h2', { id: 'token-title' }, 'Access token'), el('p', null, 'This gateway answers to those who have its token (http.token in cloudosd.yaml).'), secret, el('button', null, 'Go on')));
addEventListener('token', () => token.open || token.showModal());

async function begin() {
	const config = await api('GET', 'v1/sys/config', { query: { service: '' } }).catch(() => ({}));
	session.readOnly = !!config.readOnly;
	$('readonly').hidden = !session.readOnly;
	document.documentElement.dataset.version = config.service?.version || '';
}

addEventListener('error', e => toast(`The page made a mistake: ${e.message}`, true));
addEventListener('unhandledrejection', e => e.reason?.name !== 'AbortError' && toast(`The page made a mistake: ${e.reason?.message || e.reason}`, true));
await Promise.race([begin(), new Promise(done => setTimeout(done, 3000))]); // a daemon that hangs is shown as such
addEventListener('hashchange', route);
route();
every(5000, () => Promise.all([health(), services()]));
run();
