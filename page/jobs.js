// SPDX-License-Identifier: MIT
// Jobs: when they ran, when they will, what came of it; run now, cancel, retry, create.
import { act, ago, api, badge, busy, clean, el, empty, every, failed, field, jsonOf, num, print, put, span, table, toast } from './core.js';
import { on } from './stream.js';

let changed = () => {}, shown = '';
on('event', e => e?.event?.startsWith('job:') && changed());

const FINAL = /^(completed|failed|cancelled)$/;
const path = (j, verb) => `v1/sys/job/${encodeURIComponent(j.id)}${verb ? '/' + verb : ''}`;
const lasted = j => j.startedAt && j.completedAt ? span((new Date(j.completedAt) - new Date(j.startedAt)) / 1000) : '–';

export default {
	name: 'Jobs', hint: 'Last and next runs, and what came of them',
	mount(root) {
		const box = el('div'), pane = el('div.pane.below', { 'aria-live': 'polite' }), form = create();
		const tell = (verb, said) => j => act(verb, ev => busy(ev.target, async () => {
			const now = await api('POST', path(j, said[0]), { body: '{}' });
			toast(`${j.name} ${said[1]}`);
			again();
			if (said[0] === 'retry')
				show(now); // a new one
		}));
		const now = tell('Run now', ['run', 'started']), cancel = tell('Cancel', ['cancel', 'cancelled']), retry = tell('Retry', ['retry', 'queued again']);
		const buttons = j => el('div.actions', null, j.schedule && !FINAL.test(j.status) && now(j),
			j.status === 'failed' && retry(j), !FINAL.test(j.status) && cancel(j));
		const list = table([
			{ title: 'Job', cell: j => el('div', null, el('b', null, clean(j.name)), el('small.id', null, j.id)) },
			{ title: 'Status', cell: j => el('div', null, badge(j.status), j.progress != null && el('small', null, clean(print(j.progress, 0)).slice(0, 80))) },
			{ title: 'Schedule', class: 'mono', cell: j => j.schedule ? clean(j.schedule) : el('span.dim', null, 'once') },
			{ title: 'Next run', cell: j => ago(j.nextRunAt) },
			{ title: 'Last run', cell: j => el('div', null, ago(j.lastRunAt || j.startedAt), (j.lastStatus || j.error) && el('small', null, j.lastStatus && j.schedule ? badge(j.lastStatus) : clean(j.error?.message || '').slice(0, 120))) },
			{ title: 'Runs', right: true, cell: j => j.runCount != null ? print(j.runCount) : lasted(j) },
			{ cell: buttons }
		], { key: j => j.id, open: show, caption: 'Jobs', sign: j => print(j, 0) + Math.floor(Date.now() / 5000) });
		root.append(el('div.bar', null, el('button', {
			'data-key': 'n', 'aria-expanded': 'false', onclick: e => {
				form.hidden = !form.hidden;
				e.target.setAttribute('aria-expanded', String(!form.hidden));
				form.hidden || form.querySelector('input').focus();
			}
		}, 'New job')), form, box, pane);

		const turn = every(5000, async () => {
			try {
				const { jobs } = await api('GET', 'v1/sys/jobs', { query: { limit: 100 } });
				list.update(jobs);
				put(box, jobs.length ? list.element : empty('No jobs yet.', 'New job makes one, as does ', el('code', null, 'cloudosctl job create NAME'), '. It needs a program that answers to that name.'));
			} catch (e) {
				box.replaceChildren(failed(e, () => turn.now()));
			}
		});
		let timer;
		const again = changed = () => {
			clearTimeout(timer);
			timer = setTimeout(() => { turn.now(); shown && show({ id: shown }); }, 200);
		};

		async function show(job) {
			shown = job.id;
			try {
				const j = await api('GET', path(job));
				const runs = j.schedule ? (await api('GET', 'v1/sys/jobs', { query: { parent: j.id, limit: 20 } })).jobs : [];
				if (shown !== j.id)
					return;
				const history = table([
					{ title: 'Run', cell: r => el('small', null, r.id) }, { title: 'Status', cell: r => badge(r.status) },
					{ title: 'Started', cell: r => ago(r.startedAt) }, { title: 'Took', right: true, cell: lasted },
					{ title: 'Outcome', class: 'reason', cell: r => clean(r.error ? r.error.message : print(r.result, 0)).slice(0, 300) },
					{ cell: buttons }
				], { key: r => r.id, caption: 'Runs' });
				history.update(runs);
				put(pane, el('div.bar', null, el('h2', null, clean(j.name)), badge(j.status), el('span.grow'), el('button.quiet', { 'aria-label': 'Close', onclick: () => { shown = ''; pane.replaceChildren(); } }, '✕')),
					el('p.facts', null, el('span', null, 'created ', ago(j.createdAt)), j.startedAt && [el('span', null, 'started ', ago(j.startedAt)), el('span', null, 'took ', lasted(j))],
						j.retryOf && el('span', null, 'again, after ' + j.retryOf), num(j.attempt) > 1 && el('span', null, 'attempt ' + print(j.attempt)),
						num(j.missed) > 0 && el('span', null, print(j.missed) + ' missed'), num(j.skipped) > 0 && el('span', null, print(j.skipped) + ' skipped'), j.timezone && el('span', null, clean(j.timezone))),
					j.params !== undefined && [el('h3', null, 'Parameters'), el('pre.value', null, clean(print(j.params)))],
					j.result !== undefined && [el('h3', null, 'Result'), el('pre.value', null, clean(print(j.result)))],
					j.error && [el('h3', null, 'Error'), el('pre.value.bad', null, clean(j.error.message + (j.error.stack ? '\n\n' + j.error.stack : '')))],
					runs.length > 0 && [el('h3', null, 'History'), history.element]);
			} catch (e) {
				pane.replaceChildren(failed(e, () => show(job)));
			}
		}
		function create() {
			const name = el('input', { required: true, spellcheck: 'false', list: 'job-names' }), names = el('datalist', { id: 'job-names' });
			const params = el('textarea', { rows: 2, spellcheck: 'false', placeholder: '{}' });
			const cron = el('input', { spellcheck: 'false', placeholder: 'once, now' }), save = act('Create', null, { type: 'submit' });
			api('GET', 'v1/sys/methods').then(r => names.append(...(r.jobs || r.methods || []).filter(m => r.jobs || /job/.test(m.subject || m.type || '')).map(m => el('option', { value: m.name || m }))), () => {});
			return el('form.line', {
				hidden: true, 'aria-label': 'New job',
				onsubmit: e => {
					e.preventDefault();
					busy(save, async () => {
						const json = jsonOf(params, 'The parameters');
						const j = await api('POST', 'v1/sys/job', {
							body: `{"name":${JSON.stringify(name.value)}${json ? `,"params":${json}` : ''}${cron.value.trim() ? `,"schedule":${JSON.stringify(cron.value.trim())}` : ''}}`
						});
						toast(`${j.name} created`);
						again();
						show(j);
					});
				}
			}, names, field('Name', name), field('Parameters (JSON)', params), field('Schedule', cron, '0 3 * * mon-fri · @daily · CRON_TZ=Europe/Berlin 30 2 * * *'), save);
		}
		if (shown)
			show({ id: shown });
		return () => { clearTimeout(timer); changed = () => {}; turn(); };
	},
	reset() { shown = ''; }
};
