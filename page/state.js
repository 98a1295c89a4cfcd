// SPDX-License-Identifier: MIT
// The state of a service: a tree of keys, each read before it is edited, and an edit that
// never overwrites what somebody else wrote meanwhile without saying so.
import { act, ago, api, busy, copy, clean, el, empty, failed, field, jsonOf, print, session, toast } from './core.js';
import { search } from './live.js';
import { on } from './stream.js';

const PAGE = 200;
let prefix = '', chosen = '', opened = new Set(), changed = () => {};
on('event', (e, f) => e?.event?.startsWith('state:') && (f.service || session.service) === session.service && changed(e.data?.key));

// Keys as a tree: user:7:name and user/7/name are both three deep.
function tree(entries) {
	const root = { kids: new Map(), leaves: [] };
	for (const e of entries) {
		let at = root, from = 0;
		for (const m of e.key.matchAll(/[:/]+/g)) {
			const part = e.key.slice(from, m.index + m[0].length);
			from = m.index + m[0].length;
			if (from === e.key.length)
				break;
			at.kids.has(part) || at.kids.set(part, { kids: new Map(), leaves: [], path: e.key.slice(0, from) });
			at = at.kids.get(part);
		}
		at.leaves.push({ e, label: e.key.slice(at === root ? 0 : at.path.length) });
	}
	return root;
}
const count = n => n.leaves.length + [...n.kids.values()].reduce((a, k) => a + count(k), 0);

export default {
	name: 'State', hint: 'Keys and values, edited without overwriting others',
	mount(root) {
		let entries = new Map(), more = null, over = false, editing = false;
		const side = el('div.tree', { 'aria-label': 'Keys' }), pane = el('div.pane', { 'aria-live': 'polite' });
		const find = search('Prefix', () => { prefix = find.value; load(); });
		find.value = prefix;
		root.append(el('div.bar', null, find, act('New key', () => edit(null), { 'data-key': 'n' })), el('div.split', null, side, pane));

		const leaf = ({ e, label }) => el('button.leaf', { 'aria-current': e.key === chosen ? 'true' : null, title: e.key, onclick: () => show(e.key) },
			el('span', null, clean(label)), el('small', null, clean(print(e.value, 0)).slice(0, 60)));
		const branch = n => [...[...n.kids].map(([part, k]) => el('details', {
			open: opened.has(k.path) || chosen.startsWith(k.path) || !!prefix || entries.size <= 30,
			ontoggle: ev => ev.target === ev.currentTarget && opened[ev.target.open ? 'add' : 'delete'](k.path)
		}, el('summary', null, clean(part), el('small', null, String(count(k)))), branch(k))), ...n.leaves.map(leaf)];

		function draw() {
			const at = document.activeElement?.closest('.leaf')?.title, top = side.scrollTop;
			side.replaceChildren(...entries.size ? branch(tree([...entries.values()])) : [empty(prefix ? 'No key begins like that.' : `${session.service} has no state yet.`,
				prefix ? '' : ['New key makes one, as does ', el('code', null, "cloudosctl state set greeting '\"hello\"'")])]);
			if (more)
				side.append(el('button.more', { onclick: ev => busy(ev.target, () => page(more)) }, 'More keys'));
			side.scrollTop = top;
			if (at)
				[...side.querySelectorAll('.leaf')].find(b => b.title === at)?.focus({ preventScroll: true });
		}
		async function page(after) {
			const asked = prefix, r = await api('GET', 'v1/sys/state', { query: { prefix, limit: PAGE, after } });
			if (over || asked !== prefix)
				return;
			if (!after)
				entries = new Map();
			for (const e of r.state)
				entries.set(e.key, e);
			more = r.next || (r.state.length === PAGE ? r.state[PAGE - 1].key : null);
			draw();
		}
		const load = () => page('').catch(e => side.replaceChildren(failed(e, load)));

		const get = async key => {
			try {
				return await api('GET', 'v1/sys/state', { query: { key } });
			} catch (e) {
				if (e.status === 404)
					return null;
				throw e;
			}
		};
		const facts = e => el('p.facts', null, el('span', null, 'version ', el('b', null, print(e.version))), el('span', null, 'changed ', ago(e.updatedAt)),
			(e.expiresAt || e.ttl != null) && el('span', null, 'expires ', e.expiresAt ? ago(e.expiresAt) : `after ${print(e.ttl)} s`));

		async function show(key) {
			chosen = key;
			editing = false;
			for (const b of side.querySelectorAll('.leaf'))
				b.title === key ? b.setAttribute('aria-current', 'true') : b.removeAttribute('aria-current');
			try {
				const e = await get(key);
				if (over || chosen !== key || editing)
					return;
				if (!e)
					return pane.replaceChildren(empty('That key is gone.', 'It was deleted, or its time is over.'));
				pane.replaceChildren(el('h2.key', null, clean(key)), facts(e), el('pre.value', { tabindex: 0, 'aria-label': 'Value' }, clean(print(e.value))),
					el('div.bar', null, act('Edit', () => edit(e), { 'data-key': 'e' }), el('button.quiet', { onclick: () => copy(print(e.value), 'Value') }, 'Copy'),
						act('Delete', ev => drop(ev.target, e), { class: 'danger' })));
			} catch (e) {
				pane.replaceChildren(failed(e, () => show(key)));
			}
		}

		// Asks by a second press; deletes that version only.
		function drop(button, e) {
			if (button.dataset.sure) {
				return busy(button, async () => {
					try {
						await api('DELETE', 'v1/sys/state', { query: { key: e.key, expectedVersion: print(e.version) } });
						toast(`${e.key} deleted`);
						entries.delete(e.key);
						chosen = '';
						draw();
						pane.replaceChildren();
					} catch (x) {
						if (x.code === 'VERSION_CONFLICT' || x.status === 412)
							show(e.key);
						throw x;
					}
				});
			}
			button.dataset.sure = '1';
			button.textContent = 'Delete for good?';
			setTimeout(() => { delete button.dataset.sure; button.textContent = 'Delete'; }, 4000);
		}

		function edit(e, mine) {
			editing = true;
			const key = el('input', { value: e?.key ?? prefix, disabled: !!e, required: true, spellcheck: 'false' });
			const before = mine ?? (e ? print(e.value) : '');
			const value = el('textarea', { rows: Math.min(Math.max(before.split('\n').length + 2, 5), 16), spellcheck: 'false', required: true, value: before });
			const ttl = el('input', { type: 'number', min: 0, step: 'any', placeholder: e ? 'as it is' : 'never' });
			let plain;
			const save = act('Save', null, { type: 'submit' }), clash = el('div', { role: 'alert' });
			const write = async version => {
				const json = jsonOf(value, 'The value');
				if (!json)
					throw new Error('A value is needed; null is one.');
				const body = `{"key":${JSON.stringify(key.value)},"value":${json}${version != null ? `,"expectedVersion":${version}` : ''}${ttl.value ? `,"ttl":${ttl.value}` : ''}}`;
				try {
					await api('PUT', 'v1/sys/state', { body });
				} catch (x) {
					if (x.code !== 'VERSION_CONFLICT')
						throw x;
					return conflict(x, await get(key.value));
				}
				toast(`${key.value} saved`);
				await show(key.value);
				load();
			};
			// Theirs beside mine: nothing is written before a choice is made.
			function conflict(x, theirs) {
				clash.replaceChildren(el('div.conflict', null, el('h3', null, 'Changed by somebody else meanwhile'), el('p', null, x.message),
					theirs ? [facts(theirs), el('pre.value', null, clean(print(theirs.value)))] : el('p', null, 'The key does not exist any more.'),
					el('div.bar', null, act(theirs ? `Replace version ${print(theirs.version)} with mine` : 'Create it again', ev => busy(ev.target, () => write(theirs ? print(theirs.version) : null))),
						theirs && el('button', { onclick: () => edit(theirs) }, 'Take theirs into the editor'), el('button.quiet', { onclick: () => show(key.value) }, 'Discard mine'))));
				plain.hidden = true;
				clash.scrollIntoView({ block: 'nearest' });
				clash.querySelector('button').focus();
			}
			pane.replaceChildren(el('form', {
				'aria-label': e ? 'Edit ' + e.key : 'New key',
				onsubmit: ev => { ev.preventDefault(); busy(save, () => write(e ? print(e.version) : 0)); },
				onkeydown: ev => (ev.ctrlKey || ev.metaKey) && ev.key === 'Enter' && ev.currentTarget.requestSubmit()
			}, field('Key', key), field('Value (JSON)', value), field('Time to live in seconds', ttl, e && 'Empty keeps it, 0 takes it away.'), clash,
			plain = el('div.bar', null, save, el('button.quiet', { type: 'button', onclick: () => e ? show(e.key) : pane.replaceChildren() }, 'Cancel'),
				el('small', null, e ? `Saves only if it is still version ${print(e.version)}.` : 'Saves only if there is no such key.'))));
			(e ? value : key).focus();
		}

		let timer;
		changed = key => {
			clearTimeout(timer);
			timer = setTimeout(() => {
				load();
				if (key === chosen && !editing)
					show(key);
			}, 300);
		};
		load();
		if (chosen)
			show(chosen);
		else
			pane.append(empty('Choose a key.', 'Its value, version and age appear here.'));
		return () => { over = true; clearTimeout(timer); changed = () => {}; };
	},
	reset() { chosen = ''; prefix = ''; opened = new Set(); }
};
