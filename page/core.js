// SPDX-License-Identifier: MIT
// What every view needs: elements, requests, exact numbers, text that stays text.

export const session = { service: 'cloudosd', readOnly: false, token: sessionStorage.getItem('token') || '' };
const LIVE = new Set(['value', 'checked', 'disabled', 'hidden', 'open', 'selected']);

function fill(e, props, kids) {
	for (const [k, v] of Object.entries(props || {})) {
		if (v == null || v === false)
			continue;
		if (k.startsWith('on'))
			e.addEventListener(k.slice(2), v);
		else if (LIVE.has(k))
			e[k] = v;
		else
			e.setAttribute(k, v === true ? '' : v);
	}
	e.append(...kids.flat(3).filter(k => k != null && k !== false));
	return e;
}

// el('p.class', { onclick, value, title ... }, 'text', element ...): text is never markup.
export function el(tag, props, ...kids) {
	const [name, ...classes] = tag.split('.');
	const e = document.createElement(name);
	if (classes.length)
		e.className = classes.join(' ');
	return fill(e, props, kids);
}

// In place of what an element holds now; nested lists and nothings are fine.
export const put = (e, ...kids) => e.replaceChildren(...kids.flat(3).filter(k => k != null && k !== false));

export const svg = (tag, props, ...kids) =>
	fill(document.createElementNS('http://www.w3.org/2000/svg', tag), props, kids);

// A button that changes something: of no use in read-only mode.
export const act = (label, onclick, props) => el('button', {
	type: 'button', ...props, onclick, 'data-write': true,
	...(session.readOnly && { disabled: true, title: 'The gateway is read-only (http.read_only)' })
}, label);

export const field = (label, input, hint) =>
	el('label.field', null, el('span', null, label), input, hint && el('small', null, hint));

export function toast(text, bad) {
	const t = el(bad ? 'p.bad' : 'p', null, text, el('button.quiet', { 'aria-label': 'Dismiss', onclick: () => t.remove() }, '✕'));
	const box = document.getElementById('toasts');
	box.append(t);
	while (box.childElementCount > 3)
		box.firstChild.remove();
	setTimeout(() => t.remove(), bad ? 12000 : 5000);
}

// Runs an action of a button: it is busy meanwhile, and a failure is told.
export async function busy(button, work) {
	button.disabled = true;
	try {
		return await work();
	} catch (e) {
		toast(e.message, true);
	} finally {
		button.disabled = session.readOnly && button.hasAttribute('data-write');
	}
}

// ---- JSON whose numbers are shown and sent as they were written: 2^53+1, 1e400, 1.0 ----

const mark = '#' + crypto.getRandomValues(new Uint32Array(2)).join('');
const marked = new RegExp(`\\{\\s*"${mark}":\\s*"([^"]*)"\\s*\\}`, 'g');

export const parse = text => JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g,
	m => m[0] === '"' || String(Number(m)) === m ? m : `{"${mark}":"${m}"}`));
export const print = (value, indent = 2) =>
	value === undefined ? '' : JSON.stringify(value, null, indent).replace(marked, '$1');
// The number in a parsed value, for arithmetic.
export const num = v => v && typeof v === 'object' ? Number(v[mark]) : v == null ? NaN : Number(v);

// Text of a JSON input field, checked; undefined if it is empty.
export function jsonOf(input, what) {
	const text = input.value.trim();
	try {
		if (text)
			JSON.parse(text);
		input.removeAttribute('aria-invalid');
		return text || undefined;
	} catch (e) {
		input.setAttribute('aria-invalid', 'true');
		input.focus();
		throw new Error(`${what} is not JSON: ${e.message}`);
	}
}

// ---- requests ----

export class Refusal extends Error {
	constructor(status, error) {
		super(error?.message || `The gateway answered ${status}.`);
		Object.assign(this, { status, code: error?.code, details: error?.details });
	}
}

export const headers = more => ({ ...(session.token && { Authorization: 'Bearer ' + session.token }), ...more });

export function url(path, query) {
	const u = new URL(path, document.baseURI.split('#')[0]);
	for (const [k, v] of Object.entries({ service: session.service, ...query }))
		if (v != null && v !== '')
			u.searchParams.set(k, v);
	return u;
}

// api('GET', 'v1/sys/state', { query, body (text or value), signal, any (also errors) })
export async function api(method, path, o = {}) {
	let r, text;
	try {
		r = await fetch(url(path, o.query), {
			method, signal: o.signal, cache: 'no-store',
			headers: headers(method !== 'GET' && { 'Content-Type': 'application/json' }),
			body: o.body === undefined || typeof o.body === 'string' ? o.body : JSON.stringify(o.body)
		});
		text = await r.text();
	} catch (e) {
		if (e.name === 'AbortError')
			throw e;
		throw new Error('The daemon does not answer. It may have ended: cloudosctl daemon start');
	}
	let value = null;
	try {
		value = text ? parse(text) : null;
	} catch {
		throw new Error(`The answer to ${method} ${path} is not JSON.`);
	}
	if (r.status === 401 || value?.error?.code === 'FORBIDDEN')
		dispatchEvent(new Event('token'));
	if (!r.ok && !o.any)
		throw new Refusal(r.status, value?.error);
	return value;
}

// Calls work now and every so often while the page is visible; returns the end of it.
export function every(ms, work) {
	let timer, over = false, running = false;
	const turn = async () => {
		clearTimeout(timer);
		if (over || running)
			return;
		running = true;
		if (!document.hidden)
			await work();
		running = false;
		if (!over)
			timer = setTimeout(turn, ms);
	};
	const seen = () => document.hidden || turn();
	document.addEventListener('visibilitychange', seen);
	turn();
	return Object.assign(() => {
		over = true;
		clearTimeout(timer);
		document.removeEventListener('visibilitychange', seen);
	}, { now: turn });
}

// ---- text ----

// Log text is hostile: colours and titles of terminals go, other control characters and
// those that turn the direction of text are shown instead of being obeyed.
export const clean = text => String(text)
	.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g, '')
	.replace(/[\0-\x08\x0b-\x1f\x7f]/g, c => c === '\x7f' ? '␡' : String.fromCharCode(0x2400 + c.charCodeAt()))
	.replace(/[\x80-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, c => `⟨U+${c.charCodeAt().toString(16).toUpperCase().padStart(4, '0')}⟩`);

const two = (n, w = 2) => String(n).padStart(w, '0');
export function clock(iso) {
	const d = new Date(iso);
	return isNaN(d) ? '–' : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${two(d.getMilliseconds(), 3)}`;
}
export const time = iso => el('time', { datetime: iso, title: iso }, clock(iso));

export function span(seconds) {
	const s = Math.abs(seconds);
	for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]])
		if (s >= size)
			return `${Math.floor(s / size)} ${unit}`;
	return s >= 1 ? `${Math.floor(s)} s` : `${Math.round(s * 1000)} ms`;
}
export function ago(iso) {
	const s = (new Date(iso) - Date.now()) / 1000;
	if (!iso || isNaN(s))
		return '–';
	return el('time', { datetime: iso, title: new Date(iso).toLocaleString() + ' · ' + iso },
		Math.abs(s) < 1 ? 'now' : s > 0 ? 'in ' + span(s) : span(s) + ' ago');
}
export function bytes(n) {
	let i = 0;
	for (n = num(n); n >= 1000 && i < 4; i++)
		n /= 1024;
	return isNaN(n) ? '–' : `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][i]}`;
}
export const short = n => isNaN(n) ? '–' : Math.abs(n) >= 1e6 || (n && Math.abs(n) < 1e-3) ? n.toExponential(2) :
	String(Math.round(n * (Math.abs(n) < 100 ? 1000 : 10)) / (Math.abs(n) < 100 ? 1000 : 10));

const GOOD = /^(healthy|ok|completed|up|connected|running|active)$/, BAD = /^(unhealthy|critical|down|failed|error|fatal|lost|dead)$/,
	MEH = /^(degraded|warn|warning|cancelled|stopping|stopped|starting|pending)$/;
export const tone = word => GOOD.test(word) ? 'good' : BAD.test(word) ? 'bad' : MEH.test(word) ? 'warn' : 'none';
export const badge = word => el('span.badge.' + tone(word), null, el('i.dot'), word || 'unknown');

export const empty = (title, ...what) => el('div.empty', null, el('p', null, el('strong', null, title)), el('p', null, what));
export const failed = (e, again) => el('div.empty.bad', { role: 'alert' }, el('p', null, el('strong', null, e.message)),
	again && el('button', { onclick: again }, 'Try again'));

export async function copy(text, what) {
	try {
		await navigator.clipboard.writeText(text);
		toast(what + ' copied');
	} catch {
		toast('The browser does not let the page copy; use Download.', true);
	}
}
export function download(text, name) {
	const href = URL.createObjectURL(new Blob([text], { type: 'application/x-ndjson' }));
	el('a', { href, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(href), 1000);
}

// A line of the last values; a polyline without axes.
export function spark(values, label) {
	const top = Math.max(...values, 1e-9), n = Math.max(values.length - 1, 1);
	return svg('svg', { class: 'spark', viewBox: '0 0 80 20', role: 'img', 'aria-label': label, preserveAspectRatio: 'none' },
		svg('polyline', { points: values.map((v, i) => `${(i / n * 80).toFixed(1)},${(19 - v / top * 18).toFixed(1)}`).join(' ') }));
}

// A table whose rows are kept by key, so that focus and selection survive a refresh.
export function table(columns, { key, open, caption, sign = r => print(r, 0) }) {
	const body = el('tbody'), kept = new Map();
	const build = r => el('tr', open && {
		tabindex: 0, class: 'open', onclick: e => e.target.closest('button,a') || open(r),
		onkeydown: e => e.target === e.currentTarget && e.key === 'Enter' && open(r)
	}, columns.map(c => el('td' + (c.right ? '.right' : ''), { 'data-label': c.title || null, class: c.class }, c.cell(r))));
	return {
		element: el('div.scroll', null, el('table', null, el('caption', null, caption),
			el('thead', null, el('tr', null, columns.map(c => el('th' + (c.right ? '.right' : ''), { scope: 'col' }, c.title || el('span.hide', null, 'Actions'))))), body)),
		update(rows) {
			const seen = new Set();
			let at = body.firstChild;
			for (const r of rows) {
				const k = key(r), s = sign(r), was = kept.get(k);
				let tr = was?.tr;
				if (seen.has(k))
					continue;
				seen.add(k);
				if (!was || was.s !== s) {
					tr = build(r);
					const held = [...was?.tr.querySelectorAll('button') || []].indexOf(document.activeElement);
					const self = was && was.tr === document.activeElement;
					if (at === was?.tr)
						at = at.nextSibling;
					was?.tr.replaceWith(tr);
					kept.set(k, { s, tr });
					if (self)
						tr.focus();
					else if (held >= 0)
						(tr.querySelectorAll('button')[held] || tr).focus();
				}
				if (tr === at)
					at = at.nextSibling;
				else if (tr.nextSibling !== at || !tr.parentNode)
					body.insertBefore(tr, at);
			}
			for (const [k, { tr }] of kept)
				if (!seen.has(k)) {
					tr.remove();
					kept.delete(k);
				}
		}
	};
}
