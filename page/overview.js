// SPDX-License-Identifier: MIT
// Everything at a glance: the daemon's checks, the services with the reason of their health.
import { api, badge, bytes, clean, el, empty, every, failed, num, span, spark, table } from './core.js';
import { errors } from './logs.js';

const past = new Map(); // service → the last shares of a processor
const KEEP = 60;

// What the fields of one service come to, whoever reports it.
function share(s) {
	const now = performance.now() / 1000, seconds = num(s.cpuSeconds), was = past.get(s.name) || { load: [] };
	const load = isNaN(seconds) || isNaN(was.seconds) ? num(s.cpu) : Math.max(0, (seconds - was.seconds) / (now - was.at));
	if (!isNaN(load))
		was.load.push(load);
	was.load.splice(0, was.load.length - KEEP);
	past.set(s.name, Object.assign(was, { seconds, at: now, use: load }));
	return was;
}

const card = (title, value, note, href, tone) => el(href ? 'a.card' : 'div.card', { href, class: `card ${tone || ''}` },
	el('span', null, title), el('strong', null, value), el('small', null, note));

const services = () => table([
	{ title: 'Service', cell: s => el('div', null, el('b', null, clean(s.name)), el('small', null, [s.personality || 'linux', s.role, s.version && 'v' + s.version].filter(Boolean).map(clean).join(' · '))) },
	{ title: 'Health', cell: s => badge(s.status) },
	{ title: 'Reason', class: 'reason', cell: s => clean(s.reason || '–') },
	{ title: 'Address', class: 'mono', cell: s => clean(s.endpoint || (s.port ? ':' + print(s.port) : '–')) },
	{ title: 'CPU', right: true, cell: s => isNaN(s.past.use) ? '–' : [spark(s.past.load, 'CPU of the last minutes'), ` ${Math.round(s.past.use * 100)} %`] },
	{ title: 'Memory', right: true, cell: s => bytes(s.rss) },
	{ title: 'Process', right: true, cell: s => s.pid ? [String(s.pid), el('small', null, s.uptime != null ? 'up ' + span(num(s.uptime)) : '')] : '–' }
], { key: s => s.name + '/' + (s.pid || ''), caption: 'Services' });
const print = v => String(num(v));

export default {
	name: 'Overview', hint: 'Services and why they are healthy or not',
	mount(root) {
		const cards = el('div.cards'), checks = el('div.checks'), list = services(), box = el('div'), stopped = el('p.dim'), trouble = el('div');
		root.append(trouble, cards, el('h2', null, 'Services'), box, stopped, el('h2', null, 'Checks of the daemon'), checks);
		const stop = every(3000, async () => {
			try {
				const get = path => api('GET', path, { query: { service: '' }, any: true }).catch(() => ({}));
				const [health, reg, guests] = await Promise.all([api('GET', 'v1/sys/health', { query: { service: '' }, any: true }),
					get('v1/sys/services'), get('v1/sys/sessions')]);
				const known = reg?.services || [], all = known.filter(s => s.status !== 'stopped').map(s => ({ ...s, past: share(s) }));
				const idle = known.filter(s => s.status === 'stopped');
				const sick = all.filter(s => !/^(healthy|checking)$/.test(s.status));
				const recent = errors.filter(t => t > Date.now() - 300000).length;
				trouble.replaceChildren();
				cards.replaceChildren(
					card('cloudosd', health.status || 'unknown', 'up ' + span(num(health.uptime)), null, { healthy: 'good', degraded: 'warn' }[health.status] || 'bad'),
					card('Services', sick.length ? `${all.length - sick.length} of ${all.length}` : String(all.length), sick.length ? 'healthy' : all.length ? 'all healthy' : 'none registered', null, sick.length ? 'warn' : ''),
					card('Guests', String(guests?.sessions?.length ?? '–'), 'programs under cloudos-exec', '#guests'),
					card('Errors', String(recent), 'logged in 5 minutes', '#logs', recent ? 'warn' : ''),
					card('Memory', bytes(health.memory?.rss), 'resident, of the daemon'));
				if (all.length) {
					list.update(all.sort((a, b) => sick.includes(b) - sick.includes(a) || (a.name < b.name ? -1 : 1)));
					if (box.firstChild !== list.element)
						box.replaceChildren(list.element);
				} else {
					box.replaceChildren(empty('No services yet.', 'Start one under its name: ',
						el('code', null, 'cloudos-exec --personality=blackroad --service core -- node app.js')));
				}
				for (const name of past.keys())
					known.some(s => s.name === name) || past.delete(name);
				stopped.replaceChildren(...idle.length ? ['Known and not running: ', idle.map(s => clean(s.name)).join(', '), '.'] : []);
				checks.replaceChildren(...Object.entries(health.checks || {}).map(([name, c]) => el('div.check-row', null, badge(c.status), el('b', null, clean(name)),
					el('span', null, clean(c.message || '')), c.latency != null && el('small', null, `${num(c.latency)} ms`))));
			} catch (e) {
				trouble.replaceChildren(failed(e, () => stop.now()));
			}
		});
		return stop;
	}
};
