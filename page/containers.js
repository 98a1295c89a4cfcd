// SPDX-License-Identifier: MIT
// Containers: how they are, what they printed last; start, stop, restart, remove.  Images.
import { act, ago, api, badge, busy, bytes, clean, clock, el, empty, every, failed, num, print, put, table } from './core.js';
import { on } from './stream.js';

let changed = () => {}, shown = '';
on('event', e => /^(container|image):/.test(e?.event) && changed());

const LINES = 200;
const ALIVE = /^(running|paused|restarting|stopping)$/;
const path = (c, verb) => `v1/sys/container/${encodeURIComponent(print(c.id))}${verb ? '/' + verb : ''}`;
const words = list => (list || []).map(w => /^[\w@%+=:,./-]+$/.test(w) ? w : JSON.stringify(w)).join(' ');
const state = c => el('div', null, badge(c.state), c.exitCode != null && !ALIVE.test(c.state) && el('small', null, `status ${print(c.exitCode)}${c.oomKilled ? ', out of memory' : ''}`));
const ports = c => c.network?.ports?.length ? clean(c.network.ports.join(' ')) : '–';

export default {
	name: 'Containers', hint: 'How they are, and what they printed last',
	mount(root) {
		const box = el('div'), pane = el('div.pane.below'), pictures = el('div');
		const tell = (label, verb) => c => act(label, ev => busy(ev.target, async () => {
			await api('POST', path(c, verb), { body: '{}' }); // the row says that it has been done
			again();
		}));
		const start = tell('Start', 'start'), stop = tell('Stop', 'stop'), restart = tell('Restart', 'restart'), resume = tell('Go on', 'unpause');
		let asked = ''; // whose removal a second press confirms
		const remove = c => {
			const sure = 'Remove for good?', id = print(c.id);
			const b = act(asked === id ? sure : 'Remove', () => {
				if (asked !== id) {
					asked = id;
					b.textContent = sure;
					b.classList.add('danger');
					return;
				}
				asked = '';
				busy(b, async () => {
					await api('DELETE', path(c));
					again();
				});
			}, { class: asked === id ? 'danger' : null });
			return b;
		};
		const buttons = c => el('div.actions', null, c.state === 'paused' && resume(c), ALIVE.test(c.state) ? [restart(c), stop(c)] : [start(c), remove(c)]);
		const list = table([
			{ title: 'Container', cell: c => el('div', null, el('b', null, clean(c.name)), el('small.mono', null, clean(words(c.command)).slice(0, 80))) },
			{ title: 'Image', cell: c => clean(c.image || c.config?.rootfs || '–') }, { title: 'State', cell: state },
			{ title: 'Health', cell: c => c.health && c.health !== 'none' ? badge(c.health) : '–' }, { title: 'Ports', class: 'mono', cell: ports },
			{ title: 'Since', cell: c => ago(ALIVE.test(c.state) ? c.started : c.finished || c.created) }, { cell: buttons }
		], { key: c => print(c.id), open: c => show(c), caption: 'Containers', sign: c => print(c, 0) + Math.floor(Date.now() / 10000) });
		const images = table([
			{ title: 'Image', cell: i => el('div', null, el('b', null, clean((i.names || []).join(', ') || 'without a name')), el('small.id', null, clean(i.id).slice(7, 19))) },
			{ title: 'System', cell: i => clean(`${i.os || '–'}/${i.architecture || '–'}`) }, { title: 'Layers', right: true, cell: i => String((i.layers || []).length) },
			{ title: 'Size', right: true, cell: i => bytes(i.size) }, { title: 'Made', cell: i => ago(i.created) }
		], { key: i => i.id, caption: 'Images' });
		root.append(box, pane, el('h2', null, 'Images'), pictures);

		const fill = async (where, rows, from, member, none) => {
			try {
				const all = (await api('GET', from, { query: { service: '', ...(member === 'containers' && { all: 'true' }) } }))[member];
				rows.update(all);
				if (where.firstChild !== (all.length ? rows.element : none))
					put(where, all.length ? rows.element : none);
			} catch (e) {
				put(where, failed(e, () => turn.now()));
			}
		};
		const noContainers = empty('No containers yet.', 'Make one: ', el('code', null, 'cloudosctl container run -d busybox sleep 1000'));
		const noImages = empty('No images yet.', 'Make a small one: ', el('code', null, 'cloudosctl image create-busybox'), ', or import a file: ', el('code', null, 'cloudosctl image import FILE'));
		const turn = every(3000, () => Promise.all([fill(box, list, 'v1/sys/containers', 'containers', noContainers), fill(pictures, images, 'v1/sys/images', 'images', noImages), shown && look()]));
		let timer;
		const again = changed = () => {
			clearTimeout(timer);
			timer = setTimeout(() => turn.now(), 200);
		};

		const head = el('div'), facts = el('p.facts'), log = el('pre.value', { tabindex: 0, 'aria-label': 'What it printed last' });
		const close = () => { shown = ''; put(pane); };
		let was = '';
		function show(c) {
			shown = print(c.id);
			was = '';
			put(head);
			put(facts);
			put(log);
			put(pane, head, facts, el('h3', null, 'Last lines'), log);
			look();
		}
		async function look() {
			const id = shown;
			try {
				const [c, { lines }] = await Promise.all([api('GET', path({ id: JSON.parse(id) })), api('GET', path({ id: JSON.parse(id) }, 'logs'), { query: { tail: LINES } })]);
				if (shown !== id)
					return;
				put(head, el('div.bar', null, el('h2', null, clean(c.name)), badge(c.state), c.health !== 'none' && badge(c.health), el('span.grow'), el('button.quiet', { 'aria-label': 'Close', onclick: close }, '✕')));
				put(facts, el('span', null, 'created ', ago(c.created)), c.started && el('span', null, 'started ', ago(c.started)), num(c.pid) > 0 && el('span', null, 'process ' + print(c.pid)),
					num(c.restarts) > 0 && el('span', null, print(c.restarts) + ' restarts'), el('span', null, 'network ' + clean(c.network?.mode || '–'), c.network?.ip && ' ' + clean(c.network.ip)),
					c.unenforced?.length > 0 && el('b.warn', null, 'not enforced: ' + c.unenforced.join(', ')), c.error && el('b.bad', null, clean(c.error)));
				const text = print(lines, 0), end = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
				if (text === was)
					return;
				was = text;
				put(log, lines.length ? lines.map(l => el(l.stream === 'stderr' ? 'span.warn' : 'span', { title: clock(l.time) }, clean(l.line), l.partial ? '' : '\n')) : 'It has printed nothing.');
				if (end)
					log.scrollTop = log.scrollHeight;
			} catch (e) {
				if (shown === id)
					e.status === 404 ? close() : put(head, failed(e, look));
			}
		}
		if (shown)
			show({ id: JSON.parse(shown) });
		return () => { clearTimeout(timer); changed = () => {}; turn(); };
	}
};
