// SPDX-License-Identifier: MIT
// Charts of recorded metrics: one for each name and set of tags, drawn by hand.
import { api, clean, clock, el, empty, failed, num, session, short, span, svg } from './core.js';
import { search } from './live.js';
import { on } from './stream.js';

const W = 360, H = 110, MOST = 60, POINTS = 2000, RANGES = [['5 minutes', 300], ['15 minutes', 900], ['1 hour', 3600], ['6 hours', 21600]];
let range = 900, text = '', series = new Map(), come = () => {};
on('metric', (m, f) => m && (f.service || session.service) === session.service && come(m));

function put(m) {
	const tags = Object.entries(m.tags || {}).map(([k, v]) => `${k}=${v}`).sort().join(' '), id = m.name + ' ' + tags;
	let s = series.get(id);
	if (!s) {
		if (series.size >= MOST * 4)
			return;
		series.set(id, s = { id, name: m.name, tags, points: [], ids: new Set() });
	}
	const t = Date.parse(m.timestamp), v = num(m.value);
	if (s.ids.has(m.id) || isNaN(v))
		return;
	s.unit = m.unit || s.unit;
	s.ids.add(m.id);
	let i = s.points.length;
	while (i && s.points[i - 1].t > t)
		i--;
	s.points.splice(i, 0, { t, v, id: m.id });
	for (const old of s.points.splice(0, Math.max(0, s.points.length - POINTS)))
		s.ids.delete(old.id);
	s.stale = true;
}

function chart(s, now, from) {
	const points = s.points.filter(p => p.t >= from);
	const values = points.map(p => p.v), low = Math.min(...values, values.every(v => v >= 0) ? 0 : Infinity), high = Math.max(...values), room = high - low || 1;
	const x = t => 4 + (t - from) / (now - from) * (W - 8), y = v => H - 6 - (v - low) / room * (H - 16);
	const read = el('span.read'), cursor = svg('line', { class: 'cursor', y1: 0, y2: H, x1: -9, x2: -9 }), unit = s.unit ? ' ' + s.unit : '';
	const last = points[points.length - 1];
	read.textContent = last ? short(last.v) + unit : 'nothing in this time';
	const line = points.map(p => `${x(p.t).toFixed(1)},${y(p.v).toFixed(1)}`).join(' ');
	const moved = e => {
		const box = e.currentTarget.getBoundingClientRect(), t = from + ((e.clientX - box.left) / box.width * W - 4) / (W - 8) * (now - from);
		const near = points.reduce((a, p) => !a || Math.abs(p.t - t) < Math.abs(a.t - t) ? p : a, null);
		if (near) {
			cursor.setAttribute('x1', x(near.t));
			cursor.setAttribute('x2', x(near.t));
			read.textContent = `${short(near.v)}${unit} at ${clock(near.t).slice(0, 8)}`;
		}
	};
	return el('figure.chart', null, el('figcaption', null, el('b', { title: s.id }, clean(s.name)), read, el('small', null, clean(s.tags))),
		svg('svg', { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${s.name} ${s.tags}: ${points.length} samples, last ${read.textContent}`, onpointermove: moved,
			onpointerleave: () => { cursor.setAttribute('x1', -9); cursor.setAttribute('x2', -9); read.textContent = last ? short(last.v) + unit : ''; } },
			[0.25, 0.5, 0.75].map(f => svg('line', { class: 'grid', x1: 0, x2: W, y1: f * H, y2: f * H })),
			points.length > 1 && svg('polygon', { class: 'area', points: `${x(points[0].t)},${H} ${line} ${x(last.t)},${H}` }),
			svg('polyline', { class: 'line', points: line }), points.length < 40 && points.map(p => svg('circle', { r: 2, cx: x(p.t), cy: y(p.v) })), cursor),
		el('p.axis', null, el('span', null, span((now - from) / 1000) + ' ago'), el('span', null, 'now')),
		el('p.facts', null, points.length ? [el('span', null, 'min ' + short(Math.min(...values))), el('span', null, 'max ' + short(high)), el('span', null, 'mean ' + short(values.reduce((a, b) => a + b) / values.length)), el('span', null, `${values.length} samples`)] : '–'));
}

export default {
	name: 'Metrics', hint: 'What services measure',
	mount(root) {
		const grid = el('div.charts'), made = new Map();
		const find = search('Filter: name or tag', () => { text = find.value; draw(true); });
		find.value = text;
		const pick = el('select', { 'aria-label': 'Time', onchange: () => { range = Number(pick.value); load(); } }, RANGES.map(([name, s]) => el('option', { value: s, selected: s === range }, 'Last ' + name)));
		root.append(el('div.bar', null, find, pick, el('span.grow'), el('a', { href: 'metrics', target: '_blank', rel: 'noreferrer' }, 'Prometheus text')), grid);

		function draw(all) {
			const words = text.toLowerCase().split(/\s+/), rows = [...series.values()].filter(s => words.every(w => s.id.toLowerCase().includes(w))).sort((a, b) => a.id < b.id ? -1 : 1).slice(0, MOST);
			// not wider than what there is, and the same for all
			const now = Date.now(), first = Math.min(...rows.map(s => s.points[0].t)), from = Math.max(now - range * 1000, Math.min(first, now - 58000) - 2000);
			for (const s of rows)
				if (all || s.stale || !made.has(s.id)) {
					const e = chart(s, now, from);
					if (made.get(s.id)?.matches(':hover'))
						continue;
					made.get(s.id)?.replaceWith(e);
					made.set(s.id, e);
					s.stale = false;
				}
			const want = rows.map(s => made.get(s.id));
			if (!want.length)
				grid.replaceChildren(series.size ? empty('No metric is called like that.') : empty(`${session.service} has recorded no metrics in this time.`,
					'To try it: ', el('code', null, 'cloudosctl metric add cpu.usage 42 --unit percent')));
			else if (want.length !== grid.childElementCount || want.some((e, i) => grid.children[i] !== e))
				grid.replaceChildren(...want);
		}
		async function load() {
			try {
				const r = await api('GET', 'v1/sys/metrics', { query: { from: new Date(Date.now() - range * 1000).toISOString(), limit: 1000, order: 'desc' } });
				series = new Map();
				made.clear();
				for (const m of r.metrics.reverse())
					put(m);
				draw(true);
			} catch (e) {
				grid.replaceChildren(failed(e, load));
			}
		}
		come = put;
		load();
		let turn = 0;
		const timer = setInterval(() => document.hidden || grid.querySelector('.empty.bad') || draw(++turn % 10 === 0), 1000);
		return () => { clearInterval(timer); come = () => {}; };
	},
	reset() { series = new Map(); }
};
