// SPDX-License-Identifier: MIT
// The one event stream of this tab, which all views share.  It is read with fetch, not with
// EventSource: so a refusal has its sentence, a token can be sent, and silence is noticed.
import { headers, url } from './core.js';

const SILENCE = 45000, LONGEST = 15000; // the gateway sends a comment every 15 s
const listeners = new Map(), wanted = { log: 1, event: 1, metric: 1 };
let abort, wake, last = '', tell = () => {};

export const onState = f => { tell = f; };
export function on(topic, f) {
	listeners.set(topic, (listeners.get(topic) || new Set()).add(f));
	return () => listeners.get(topic).delete(f);
}
// Frames of that topic from now on, or not any more: tracing has a price, so it is asked for.
export function want(topic, yes) {
	if (!!wanted[topic] === yes)
		return;
	wanted[topic] = yes;
	again();
}
export function again() {
	abort?.abort('again');
	wake?.();
}

export function frame(text) {
	let f;
	try {
		f = JSON.parse(text);
	} catch {
		return; // half a frame at the end of a connection
	}
	for (const listener of listeners.get(f.gap ? 'gap' : f.topic) || [])
		listener(f.gap || f.entry, f);
}

// id: and data: lines; comments only prove that the connection lives.
export async function read(body, alive, take, tellId = () => {}) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '', data = [];
	for (;;) {
		const { value, done } = await reader.read();
		if (done)
			return;
		alive();
		const lines = (rest + value).split('\n');
		rest = lines.pop();
		for (const line of lines) {
			if (line.startsWith('data:'))
				data.push(line.slice(5).trimStart());
			else if (line.startsWith('id:'))
				tellId(line.slice(3).trim());
			else if (!line.trim() && data.length)
				take(data.splice(0).join('\n'));
		}
	}
}

export async function run() {
	for (let wait = 500; ; wait = Math.min(wait * 2, LONGEST)) {
		let silence, why = 'the connection ended', begun = Infinity;
		abort = new AbortController();
		const { signal } = abort;
		const alive = () => {
			clearTimeout(silence);
			silence = setTimeout(() => abort.abort('silence'), SILENCE);
		};
		try {
			tell('connecting', '');
			alive();
			const topics = Object.keys(wanted).filter(t => wanted[t]).join();
			const r = await fetch(url('v1/sys/stream', { topics, service: '*' }),
				{ signal, cache: 'no-store', headers: headers({ Accept: 'text/event-stream', ...(last && { 'Last-Event-ID': last }) }) });
			if (!r.ok) {
				why = (await r.json().catch(() => null))?.error?.message || `the gateway answered ${r.status}`;
				if (r.status === 401)
					dispatchEvent(new Event('token'));
			} else {
				begun = performance.now();
				tell('live', '');
				dispatchEvent(new Event('live'));
				await read(r.body, alive, frame, id => { last = id; });
			}
		} catch {
			if (signal.reason === 'silence')
				why = 'nothing came for 45 s';
			else if (begun === Infinity)
				why = 'the daemon does not answer';
		}
		clearTimeout(silence);
		if (signal.reason === 'again') {
			wait = 250;
			continue;
		}
		if (performance.now() - begun > 5000)
			wait = 500;
		const pause = wait * (0.75 + Math.random() / 2);
		tell('waiting', why, Date.now() + pause);
		await new Promise(done => {
			wake = done;
			setTimeout(done, pause);
		});
		wake = null;
	}
}
addEventListener('online', again);
