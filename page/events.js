// SPDX-License-Identifier: MIT
// Events as they happen, and a form to publish one.
import { act, api, busy, clean, copy, download, el, empty, field, headers, jsonOf, print, time, toast, url } from './core.js';
import { live, matcher, pauser, search } from './live.js';
import { on, read } from './stream.js';

let text = '', name = 'demo:hello', data = '{"from": "the page"}';
const brief = v => clean(print(v, 0)).slice(0, 400);

const list = live({
	label: 'Events',
	row: e => [time(e.timestamp), el('span.name', null, clean(e.event)), el('span.service', { title: 'source' }, clean(e.source || '')), el('span.message', null, brief(e.data))],
	tone: e => /failed|lost|unhealthy/.test(e.event) ? 'bad' : '',
	detail: e => [el('pre', null, clean(print(e))), el('button', { onclick: () => copy(print(e), 'Event') }, 'Copy event')],
	none: all => all ? empty('Nothing matches.', 'The filter hides ', String(all), ' events.')
		: empty('No events in the last hour.', 'State, jobs and services emit their own; the form below publishes one, as does: cloudosctl event emit demo:hello')
});
on('event', e => e && list.add(e));

// What happened before the page was opened: the stream of events from then on, until it is
// silent for a moment.
async function history() {
	const abort = new AbortController(), old = [], enough = () => abort.abort();
	let quiet = setTimeout(enough, 5000);
	try {
		const since = new Date(Date.now() - 3600000).toISOString();
		const r = await fetch(url('v1/sys/events', { service: '*', since }), { signal: abort.signal, cache: 'no-store', headers: headers() });
		await read(r.body, () => {
			clearTimeout(quiet);
			quiet = setTimeout(enough, 300);
		}, text => old.push(JSON.parse(text)) > 5000 && enough());
	} catch {
		// its end
	}
	clearTimeout(quiet);
	for (const e of old.slice(-1000).reverse())
		list.add(e, true);
	list.redraw();
}
let loaded = false;

// user:* or words
function apply() {
	const glob = /^[^\s/]+\*$/.test(text) && text.slice(0, -1), m = matcher(text);
	if (m)
		list.filter(e => glob !== false ? e.event.startsWith(glob) : m(`${e.event} ${e.source} ${brief(e.data)}`));
	return m;
}

export default {
	name: 'Events', hint: 'What happens, as it happens',
	mount(root) {
		const find = search('Filter: user:*, words or /regex/', () => {
			text = find.value;
			find.setAttribute('aria-invalid', String(!apply()));
		});
		find.value = text;
		const what = el('input', { value: name, required: true, spellcheck: 'false', oninput: () => { name = what.value; } });
		const payload = el('textarea', { rows: 2, spellcheck: 'false', value: data, oninput: () => { data = payload.value; } });
		const publish = act('Publish', null, { type: 'submit' });
		root.append(el('div.bar', null, find, pauser(list), el('button.quiet', {
			onclick: () => download(list.shown.map(e => print(e, 0)).join('\n') + '\n', 'cloudos-events.jsonl')
		}, 'Download')), list.element,
		el('form.line', {
			'aria-label': 'Publish an event',
			onsubmit: e => {
				e.preventDefault();
				busy(publish, async () => {
					const json = jsonOf(payload, 'The data');
					await api('POST', 'v1/sys/event', { body: `{"event":${JSON.stringify(what.value)}${json ? `,"data":${json}` : ''}}` });
					toast(`${what.value} published`);
				});
			}
		}, field('Event', what), field('Data (JSON)', payload), publish));
		apply();
		if (!loaded)
			history();
		loaded = true;
	}
};
