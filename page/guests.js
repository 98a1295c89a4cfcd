// SPDX-License-Identifier: MIT
// Programs of all systems that run under cloudos-exec, and the ports they talk through.
import { ago, api, bytes, clean, el, empty, every, failed, num, print, span, table } from './core.js';

const count = v => v == null ? '–' : num(v).toLocaleString('en').replaceAll(',', ' ');
const micro = v => num(v) < 1000 ? `${num(v).toFixed(1)} µs` : `${(num(v) / 1000).toFixed(1)} ms`;
const age = s => s.startedAt ? ago(s.startedAt) : s.age != null ? span(num(s.age)) : '–';

export default {
	name: 'Guests', hint: 'Programs of all systems, and their ports',
	mount(root) {
		const guests = table([
			{ title: 'Guest', cell: s => el('div', null, el('b', null, clean(s.name || '')), el('small.mono', null, clean(s.command || ''))) },
			{ title: 'System', cell: s => clean(s.personality || '–') }, { title: 'Engine', cell: s => clean(s.engine || '–') },
			{ title: 'Process', right: true, cell: s => print(s.pid) }, { title: 'Calls', right: true, cell: s => count(s.calls) },
			{ title: 'Failed', right: true, cell: s => el(num(s.failed) ? 'b.warn' : 'span', null, count(s.failed)) },
			{ title: 'Memory', right: true, cell: s => bytes(s.rss) }, { title: 'Started', cell: age }
		], { key: s => print(s.id), caption: 'Guests', sign: s => print(s, 0) + Math.floor(Date.now() / 10000) });
		const ports = table([
			{ title: 'Port', cell: c => el('div', null, el('b', null, clean(c.name || 'port ' + print(c.id))), el('small', null, `${print(c.receivers)} receiving, ${print(c.connections)} connected`)) },
			{ title: 'System', cell: c => clean(c.personality || '–') }, { title: 'Owner', cell: c => el('div', null, clean(c.owner || 'process'), el('small', null, print(c.pid))) },
			{ title: 'Messages', right: true, cell: c => count(c.messages) }, { title: 'Bytes', right: true, cell: c => bytes(c.bytes) },
			{ title: 'Waiting', right: true, cell: c => el(num(c.queued) ? 'b.warn' : 'span', null, count(c.queued)) },
			{ title: 'Answer in', right: true, cell: c => num(c.answers) ? micro(c.latencyMicroseconds.p50) : '–' },
			{ title: 'Errors', right: true, cell: c => el(num(c.errors) ? 'b.warn' : 'span', null, count(c.errors)) }
		], { key: c => print(c.id), caption: 'Ports' });
		const a = el('div'), b = el('div');
		root.append(el('h2', null, 'Guests'), a, el('h2', null, 'Ports'), b);
		const put = (box, list, rows, none) => {
			list.update(rows);
			const want = rows.length ? list.element : none;
			if (box.firstChild !== want)
				box.replaceChildren(want);
		};
		const one = async (box, list, path, member, none) => {
			try {
				put(box, list, (await api('GET', path, { query: { service: '' } }))[member].sort((x, y) => num(y.messages ?? 0) - num(x.messages ?? 0)), none);
			} catch (e) {
				box.replaceChildren(failed(e, () => turn.now()));
			}
		};
		const noGuests = empty('No guest runs.', 'Start one: ', el('code', null, 'cloudos-exec ./program'), ' or ', el('code', null, 'cloudos-exec --personality=anos ./driver.elf'));
		const noPorts = empty('No ports are open.', 'They appear when programs of CloudOS, Anos, ClankerOS or playsys talk to each other.');
		const turn = every(2000, () => Promise.all([one(a, guests, 'v1/sys/sessions', 'sessions', noGuests), one(b, ports, 'v1/sys/channels', 'channels', noPorts)]));
		return turn;
	}
};
