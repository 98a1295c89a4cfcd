// SPDX-License-Identifier: MIT
// A console for methods: of programs, backends, commands, and of ports of other systems.
import { act, api, clean, copy, el, empty, failed, field, jsonOf, num, print, session, toast } from './core.js';

const past = []; // calls of this tab
let draft = { method: 'sys.ping', params: '{}', timeout: '10000' };

export default {
	name: 'RPC', hint: 'Call methods and see how long they take',
	mount(root) {
		let abort = null;
		const side = el('div.tree', { 'aria-label': 'Methods' }), out = el('div', { 'aria-live': 'polite' }), history = el('ol.calls', { 'aria-label': 'Calls of this tab' });
		const keep = () => { draft = { method: method.value, params: params.value, timeout: timeout.value }; };
		const method = el('input', { value: draft.method, required: true, spellcheck: 'false', oninput: keep });
		const params = el('textarea', { rows: 5, spellcheck: 'false', value: draft.params, oninput: keep });
		const timeout = el('input', { type: 'number', min: 1, max: 300000, value: draft.timeout, oninput: keep });
		const call = act('Call', null, { type: 'submit' }), stop = el('button.quiet', { type: 'button', hidden: true, onclick: () => abort?.abort() }, 'Stop');
		const form = el('form', {
			'aria-label': 'Call a method', onsubmit: e => { e.preventDefault(); send(); },
			onkeydown: e => (e.ctrlKey || e.metaKey) && e.key === 'Enter' && form.requestSubmit()
		}, field('Method', method), field('Parameters (JSON)', params), el('div.bar', null, field('Timeout in ms', timeout), el('span.grow'), stop, call));
		root.append(el('div.split', null, side, el('div.pane', null, form, out, history)));

		async function send() {
			let json;
			try {
				json = jsonOf(params, 'The parameters');
			} catch (e) {
				return toast(e.message, true);
			}
			const body = `{"method":${JSON.stringify(method.value)}${json ? `,"params":${json}` : ''}${timeout.value ? `,"timeout":${timeout.value}` : ''}}`;
			const begun = performance.now(), one = { method: method.value, params: params.value, service: session.service };
			abort = new AbortController();
			stop.hidden = false;
			call.disabled = true;
			try {
				const r = await api('POST', 'v1/sys/rpc', { body, signal: abort.signal });
				Object.assign(one, r.error ? { status: 'error', value: r.error } : { status: 'ok', value: r.result });
			} catch (e) {
				Object.assign(one, e.name === 'AbortError' ? { status: 'stopped', value: 'Stopped by you; the handler was told.' }
					: { status: e.code || 'error', value: e.status ? { status: e.status, code: e.code, message: e.message, details: e.details } : e.message });
			}
			one.ms = performance.now() - begun;
			stop.hidden = true;
			call.disabled = session.readOnly;
			past.unshift(one);
			past.length = Math.min(past.length, 50);
			draw(one);
		}
		function draw(one) {
			if (one)
				out.replaceChildren(el('p.facts', null, el('span.badge.' + (one.status === 'ok' ? 'good' : 'bad'), null, el('i.dot'), one.status), el('span', null, el('b', null, one.ms.toFixed(1)), ' ms'),
					el('span', null, clean(one.method)), el('button.quiet', { onclick: () => copy(print(one.value), 'Result') }, 'Copy')), el('pre.value', { tabindex: 0 }, clean(print(one.value))));
			history.replaceChildren(...past.map(p => el('li', null, el('button', {
				onclick: () => { method.value = p.method; params.value = p.params; keep(); draw(p); method.focus(); }
			}, el('span.badge.' + (p.status === 'ok' ? 'good' : 'bad'), null, el('i.dot'), p.status), el('span', null, clean(p.method)), el('small', null, clean(p.params.replace(/\s+/g, ' ')).slice(0, 60)), el('span.took', null, p.ms.toFixed(1) + ' ms')))));
		}
		async function methods() {
			try {
				const r = await api('GET', 'v1/sys/methods');
				const all = (r.methods || []).map(m => typeof m === 'string' ? { name: m } : m).filter(m => !/job/.test(m.subject || m.type || ''));
				side.replaceChildren(...all.length ? all.map(m => el('button.leaf', { title: m.name, onclick: () => { method.value = m.name; keep(); params.focus(); } },
					el('span', null, clean(m.name)), el('small', null, [m.kind, m.system, num(m.inFlight) > 0 && `${print(m.inFlight)} in flight`].filter(Boolean).join(' · '))))
					: [empty(`${session.service} has no methods.`, 'A program offers them by attaching, with a command or an HTTP backend in cloudosd.yaml, or on a port.')]);
			} catch (e) {
				side.replaceChildren(failed(e, methods));
			}
		}
		draw(past[0]);
		methods();
		return () => abort?.abort();
	}
};
