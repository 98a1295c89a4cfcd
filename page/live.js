// SPDX-License-Identifier: MIT
// A list that follows what comes: bounded, filtered, paused by scrolling up or by its button.
import { el } from './core.js';

const KEEP = 5000, SHOW = 800; // entries in memory, rows in the document

// o: row(entry) an element's children, detail(entry) what it opens to, none() the empty state
export function live(o) {
	const list = el('ol.rows', { role: 'log', 'aria-live': 'off', 'aria-label': o.label, tabindex: 0, onkeydown: keys, onclick: click, onscroll: scrolled });
	const none = el('div.fillup'), pill = el('button.pill', { hidden: true, onclick: () => follow(true) });
	const ring = [], ids = new Set(), of = new WeakMap();
	let pass = () => true, following = true, drawn = 0, count = 0, due = false, onfollow = () => {};

	function add(entry, early) {
		if (entry.id && ids.has(entry.id))
			return;
		ids.add(entry.id);
		ring[early ? 'unshift' : 'push']({ entry, n: early ? 0 : ++count });
		if (ring.length > KEEP + 500)
			for (const old of ring.splice(0, ring.length - KEEP))
				ids.delete(old.entry.id);
		if (!due) {
			due = true;
			requestAnimationFrame(draw);
		}
	}

	const make = item => {
		const li = el('li', { tabindex: -1 }, o.row(item.entry));
		if (o.tone?.(item.entry))
			li.className = o.tone(item.entry);
		of.set(li, item.entry);
		return li;
	};

	function draw() {
		due = false;
		pill.hidden = following;
		const fresh = following ? 0 : ring.filter(i => i.n > drawn && pass(i.entry)).length;
		pill.textContent = fresh ? `${fresh} new · follow ↓` : 'Paused · follow ↓';
		if (!following || !list.isConnected)
			return;
		const first = ring.findIndex(i => i.n > drawn);
		if (first >= 0)
			list.append(...ring.slice(first).filter(i => pass(i.entry)).slice(-SHOW).map(make));
		drawn = count;
		while (list.childElementCount > SHOW)
			list.firstChild.remove();
		none.replaceChildren(...list.childElementCount ? [] : [o.none(ring.length)]);
		if (first >= 0)
			list.scrollTop = list.scrollHeight;
	}

	function redraw() {
		if (following)
			drawn = count;
		list.replaceChildren(...ring.filter(i => i.n <= drawn && pass(i.entry)).slice(-SHOW).map(make));
		none.replaceChildren(...list.childElementCount ? [] : [o.none(ring.length)]);
		list.scrollTop = list.scrollHeight;
	}

	function follow(yes) {
		if (following === yes)
			return;
		following = yes;
		onfollow(yes);
		if (yes)
			redraw();
		draw();
	}

	// Going up pauses, the end of the list follows again.
	let top = 0;
	function scrolled() {
		const end = list.scrollHeight - list.clientHeight - list.scrollTop < 8;
		if (list.scrollTop < top - 2 && !end)
			follow(false);
		else if (end && !following && list.scrollTop > top)
			follow(true);
		top = list.scrollTop;
	}

	function toggle(li) {
		const had = li.querySelector(':scope > .detail');
		if (had) {
			had.remove();
		} else {
			follow(false);
			li.append(el('div.detail', null, o.detail(of.get(li))));
		}
	}
	function click(e) {
		const li = e.target.closest('li');
		if (li && !e.target.closest('.detail,button') && !String(getSelection()))
			toggle(li);
	}
	function keys(e) {
		const li = document.activeElement.closest('li');
		const to = { ArrowDown: 'nextSibling', j: 'nextSibling', ArrowUp: 'previousSibling', k: 'previousSibling' }[e.key];
		if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('button'))
			return;
		if (to) {
			follow(false);
			(li ? li[to] : list.lastChild)?.focus();
		} else if (e.key === 'Enter' && li) {
			toggle(li);
		} else if (e.key === 'End' || e.key === 'G') {
			follow(true);
			list.focus();
		} else {
			return;
		}
		e.preventDefault();
	}

	return {
		element: el('div.live', null, list, none, pill),
		add, follow, redraw,
		filter(f) { pass = f; redraw(); },
		clear() { ring.length = 0; ids.clear(); redraw(); },
		get following() { return following; },
		get shown() { return ring.map(i => i.entry).filter(pass); },
		get size() { return ring.length; },
		set onfollow(f) { onfollow = f; }
	};
}

// The button beside a list that pauses and follows; p does the same.
export function pauser(list) {
	const b = el('button.pause', { 'data-key': 'p', onclick: () => list.follow(!list.following) });
	const say = yes => {
		b.textContent = yes ? 'Pause' : 'Follow';
		b.setAttribute('aria-pressed', String(!yes));
	};
	list.onfollow = say;
	say(list.following);
	return b;
}

// A text filter: words that must all be there, or /a regular expression/.
export function matcher(text) {
	const re = /^\/(.+)\/$/.exec(text.trim());
	if (re)
		try {
			const r = new RegExp(re[1], 'i');
			return s => r.test(s);
		} catch {
			return null;
		}
	const words = text.toLowerCase().split(/\s+/).filter(Boolean);
	return s => words.every(w => s.toLowerCase().includes(w));
}
export const search = (label, oninput) => el('input', {
	type: 'search', placeholder: label, 'aria-label': label, 'data-key': '/', spellcheck: 'false', autocomplete: 'off', oninput
});
