// SPDX-License-Identifier: MIT
// The foreign calls of guests, live.  Only asked for while it is looked at.
import { clean, copy, download, el, empty, print, time } from './core.js';
import { live, matcher, pauser, search } from './live.js';
import { on, want } from './stream.js';

let text = '', only = false;
const line = e => clean(`${e.program || ''} ${e.pid} ${e.call}(${e.arguments || ''}) = ${e.result}`);
const took = us => us == null ? '' : us < 1000 ? `${Math.round(us)} µs` : `${(us / 1000).toFixed(1)} ms`;

const list = live({
	label: 'Calls',
	row: e => [time(e.timestamp), el('span.service', { title: `${e.personality}, process ${e.pid}` }, clean(e.program || '') || String(e.pid)), el('span.message', null,
		el('b', null, clean(e.call)), `(${clean(e.arguments || '').slice(0, 600)}) `, el('span.result', null, '= ' + clean(e.result))),
		el('span.took', null, e.dropped && `${e.dropped} before it too fast to show · `, took(e.microseconds))],
	tone: e => e.failed ? 'bad' : '',
	detail: e => [el('pre', null, line(e)), el('pre', null, clean(print(e))), el('button', { onclick: () => copy(line(e), 'Call') }, 'Copy call')],
	none: all => all ? empty('Nothing matches.', 'The filter hides ', String(all), ' calls.')
		: empty('No foreign calls yet.', 'Each CloudOS, Anos, ClankerOS or playsys call of a running guest appears here, with arguments and result. Start one: cloudos-exec ./program')
});
on('trace', (e, f) => e && list.add(f.dropped ? { ...e, dropped: f.dropped } : e));

function apply() {
	const m = matcher(text);
	if (m)
		list.filter(e => (!only || e.failed) && m(line(e)));
	return m;
}

export default {
	name: 'Trace', hint: 'The foreign calls of guests',
	mount(root) {
		const find = search('Filter: program, call, argument or /regex/', () => {
			text = find.value;
			find.setAttribute('aria-invalid', String(!apply()));
		});
		find.value = text;
		const fails = el('input', { type: 'checkbox', checked: only, onchange: () => { only = fails.checked; apply(); } });
		root.append(el('div.bar', null, find, el('label.check', null, fails, 'Failed only'), pauser(list),
			el('button.quiet', { onclick: () => list.clear() }, 'Clear'),
			el('button.quiet', { onclick: () => download(list.shown.map(line).join('\n') + '\n', 'cloudos-trace.txt') }, 'Download')), list.element);
		apply();
		want('trace', true);
		return () => want('trace', false);
	}
};
