// SPDX-License-Identifier: MIT
// Live logs of all services.
import { api, clean, copy, download, el, empty, failed, print, time } from './core.js';
import { live, matcher, pauser, search } from './live.js';
import { on } from './stream.js';

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'], LONG = 2000;
const services = new Set();
export const errors = []; // times of the last errors, for the overview
let level = 0, text = '', service = '', loading = null, refresh = () => {};

const meta = m => m == null ? '' : typeof m !== 'object' ? String(m) :
	Object.entries(m).map(([k, v]) => `${k}=${typeof v === 'string' ? v : print(v, 0)}`).join(' ');
const line = e => `${e.timestamp} ${e.level} ${e.service} ${clean(e.message)} ${clean(meta(e.meta))}`.trim();

const list = live({
	label: 'Log',
	row: e => [time(e.timestamp), el('span.level.' + (LEVELS.includes(e.level) ? e.level : 'info'), null, e.level),
		el('span.service', { title: e.service }, clean(e.service)),
		el('span.message', null, clean(e.message.slice(0, LONG)), e.message.length > LONG && ' …', e.meta != null && el('span.meta', null, ' ' + clean(meta(e.meta)).slice(0, LONG)))],
	tone: e => e.level === 'error' || e.level === 'fatal' ? 'bad' : e.level === 'warn' ? 'warn' : '',
	detail: e => [el('pre', null, clean(e.message)), el('pre', null, print(e)),
		el('button', { onclick: () => copy(print(e), 'Entry') }, 'Copy entry')],
	none: all => all ? empty('Nothing matches.', 'The filter hides ', String(all), ' entries; Esc in the filter clears it.')
		: empty('No log entries yet.', 'Programs write them with POST v1/sys/log; what a service started with cloudos-exec prints lands here, too. ',
			'To try it: cloudosctl log write "hello"')
});

function take(e, early) {
	if (!e || typeof e.message !== 'string')
		return;
	if (e.level === 'error' || e.level === 'fatal') {
		errors.push(Date.parse(e.timestamp));
		if (errors.length > 1000)
			errors.shift();
	}
	if (!services.has(e.service) && services.size < 200) {
		services.add(e.service);
		refresh();
	}
	list.add(e, early);
}
on('log', e => take(e));

async function history() {
	const { logs } = await api('GET', 'v1/sys/logs', { query: { service: '*', order: 'desc', limit: 500 } });
	for (const e of logs) // the newest first
		take(e, true);
	list.redraw();
}

function apply() {
	const m = matcher(text);
	if (m)
		list.filter(e => LEVELS.indexOf(e.level) >= level && (!service || e.service === service) && m(line(e)));
	return m;
}

export default {
	name: 'Logs', hint: 'What all services say, as they say it',
	mount(root) {
		const trouble = el('div'), pick = el('select', { 'aria-label': 'Service', onchange: () => { service = pick.value; apply(); } });
		refresh = () => {
			pick.replaceChildren(el('option', { value: '' }, 'All services'), ...[...services].sort().map(s => el('option', { value: s }, clean(s))));
			pick.value = service;
		};
		refresh();
		const find = search('Filter: words or /regex/', () => {
			text = find.value;
			find.setAttribute('aria-invalid', String(!apply()));
		});
		find.value = text;
		const levels = el('select', { 'aria-label': 'Level', onchange: () => { level = levels.selectedIndex; apply(); } },
			LEVELS.map((l, i) => el('option', { selected: i === level }, i ? l + ' and worse' : 'All levels')));
		root.append(el('div.bar', null, find, levels, pick, pauser(list),
			el('button.quiet', { onclick: () => copy(list.shown.map(line).join('\n'), 'Log') }, 'Copy'),
			el('button.quiet', { onclick: () => download(list.shown.map(e => print(e, 0)).join('\n') + '\n', 'cloudos-log.jsonl') }, 'Download')),
		trouble, list.element);
		apply();
		const load = async () => {
			try {
				await (loading ||= history()); // once, if it works
				trouble.replaceChildren();
			} catch (e) {
				loading = null;
				trouble.replaceChildren(failed(e, load));
			}
		};
		load();
		addEventListener('live', load); // the stream is back
		return () => { removeEventListener('live', load); refresh = () => {}; };
	}
};
