// SPDX-License-Identifier: MIT
/*
 * Answers RPC calls and runs jobs of cloudosd from Node: cloudos-handlers/1, see
 * docs/handlers.md.  Nothing but Node's own modules.
 *
 *	const { Handlers, Failure } = require('./cloudos-handlers');
 *	const handlers = new Handlers({ service: 'blackroad-os-core' });
 *
 *	handlers.method('getUserById', async (params, call) => {
 *		if (!users.has(params.id))
 *			throw new Failure('USER_NOT_FOUND', 'there is no such user', params);
 *		return users.get(params.id);
 *	});
 *	handlers.run();
 *
 * call.signal is an AbortSignal that tells that nobody waits any more; call.progress(value)
 * says how far it is.  A job goes on while cloudosd is away: the next one is told of the run,
 * and of its result.
 */
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');

const type = { HELLO: 1, WELCOME: 2, REGISTER: 3, UNREGISTER: 4, REGISTERED: 5, CALL: 6,
	RESULT: 7, ERROR: 8, CANCEL: 9, PROGRESS: 10, HEARTBEAT: 11 };
const HEAD = 16, MOST = 16 << 20;
const KEEP = 60000; /* ms that a result is kept, should it have been lost with cloudosd */

class Failure extends Error {
	constructor(code, message, details) {
		super(message);
		this.code = code;
		this.details = details;
	}
}

/* Where cloudosd of this user listens: for http.request. */
function defaultAddress() {
	const { CLOUDOS_DIR, XDG_RUNTIME_DIR } = process.env;
	let run = `/tmp/cloudos-${process.geteuid()}`;

	if (CLOUDOS_DIR)
		run = path.join(CLOUDOS_DIR, 'run');
	else if (XDG_RUNTIME_DIR && fs.existsSync(XDG_RUNTIME_DIR))
		run = path.join(XDG_RUNTIME_DIR, 'cloudos');
	return { socketPath: path.join(run, 'http.sock') };
}

class Handlers {
	constructor({ service, address, concurrency = 64 } = {}) {
		this.service = service;
		this.address = address || defaultAddress();
		this.concurrency = concurrency;
		this.methods = new Map();
		this.jobs = new Map();
		this.calls = new Map();
		this.runs = new Map();
		this.socket = null;
		this.stopping = false;
		this.numbers = 0;
	}

	/* run(params, call) returns a result, or a promise of one. */
	method(name, run) {
		this.methods.set(name, run);
		if (this.socket)
			this.register({ methods: [name] });
	}

	job(name, run) {
		this.jobs.set(name, run);
		if (this.socket)
			this.register({ jobs: [name] });
	}

	/* Attaches; again and again until stop.  The promise: registered for the first time. */
	run() {
		return new Promise((resolve) => {
			this.registered = resolve;
			this.connect(100);
		});
	}

	stop() {
		this.stopping = true;
		clearTimeout(this.timer);
		if (this.socket)
			this.socket.destroy();
	}

	connect(wait) {
		const again = () => {
			if (!this.stopping)
				this.timer = setTimeout(() => this.connect(Math.min(wait * 2, 5000)), wait);
		};
		const request = http.request({ ...this.address, method: 'POST',
			path: '/v1/sys/handlers', headers: { Host: 'localhost', Connection: 'Upgrade',
				Upgrade: 'cloudos-handlers/1', 'Content-Length': 0 } });

		request.on('upgrade', (response, socket, head) => this.attached(socket, head));
		request.on('response', (response) => {
			response.resume();
			again();
		});
		request.on('error', again);
		request.end();
	}

	attached(socket, head) {
		this.socket = socket;
		this.pending = head;
		socket.on('data', (bytes) => {
			this.pending = this.pending.length ? Buffer.concat([this.pending, bytes]) : bytes;
			this.take(socket);
		});
		socket.on('error', () => socket.destroy());
		socket.on('close', () => this.lost(socket));
		this.prune();
		this.send(socket, type.HELLO, 0n, { service: this.service,
			maxConcurrency: this.concurrency,
			runs: [...this.runs].map(([run, call]) => ({ run, token: call.token })) });
		this.register({ methods: [...this.methods.keys()], jobs: [...this.jobs.keys()] });
		this.take(socket);
	}

	lost(socket) {
		if (this.socket !== socket)
			return;
		this.socket = null;
		for (const call of this.calls.values()) {
			call.socket = null;
			if (!this.runs.has(call.run))
				call.abort.abort();
		}
		this.calls.clear();
		if (!this.stopping)
			this.timer = setTimeout(() => this.connect(100), 100);
	}

	prune() {
		for (const [run, call] of this.runs)
			if (call.finished && Date.now() - call.finished > KEEP)
				this.runs.delete(run);
	}

	/* cloudosd says which runs are still ours, and by which numbers. */
	resume(socket, runs) {
		for (const { run, id } of runs) {
			const call = this.runs.get(run);

			if (call && id) {
				Object.assign(call, { socket, id: BigInt(id) });
				this.calls.set(call.id, call);
				if (call.result)
					this.tell(call, ...call.result);
			} else if (call) {
				this.runs.delete(run);
				call.abort.abort();
			}
		}
	}

	/* Of a call whose connection is gone nothing is told. */
	tell(call, kind, value) {
		if (call.socket)
			this.send(call.socket, kind, call.id, value);
	}

	register(names) {
		this.send(this.socket, type.REGISTER, BigInt(++this.numbers), names);
	}

	/* value: what goes out as JSON; undefined: nothing */
	send(socket, kind, id, value) {
		const payload = value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value));
		const head = Buffer.alloc(HEAD);

		head.writeUInt32BE(payload.length + HEAD - 4, 0);
		head[4] = kind;
		head.writeBigUInt64BE(id, 8);
		if (!socket.destroyed)
			socket.write(Buffer.concat([head, payload]));
	}

	take(socket) {
		while (this.pending.length >= HEAD) {
			const length = this.pending.readUInt32BE(0) + 4;

			if (length < HEAD || length > MOST) {
				socket.destroy();
				return;
			}
			if (this.pending.length < length)
				return;
			const frame = this.pending.subarray(0, length);
			this.pending = this.pending.subarray(length);
			this.frame(socket, frame[4], frame.readBigUInt64BE(8), frame.subarray(HEAD));
		}
	}

	frame(socket, kind, id, payload) {
		switch (kind) {
		case type.CALL:
			void this.answer(socket, id, JSON.parse(payload.toString()));
			break;
		case type.CANCEL:
			this.calls.get(id)?.abort.abort();
			break;
		case type.WELCOME:
			this.resume(socket, JSON.parse(payload.toString()).runs);
			break;
		case type.HEARTBEAT:
			this.send(socket, type.HEARTBEAT, id);
			break;
		case type.REGISTERED:
			this.registered?.();
			break;
		case type.ERROR:
			process.emitWarning(`cloudosd refuses a frame: ${payload}`);
			break;
		}
	}

	async answer(socket, id, said) {
		const abort = new AbortController();
		const run = (said.kind === 'job' ? this.jobs : this.methods).get(said.name);
		const call = { socket, id, abort, run: said.run, token: said.token };

		this.calls.set(id, call);
		if (said.kind === 'job' && said.token)
			this.runs.set(said.run, call);
		try {
			const result = await run(said.params, { name: said.name, caller: said.caller,
				run: said.run, attempt: said.attempt, timeoutMs: said.timeoutMs,
				signal: abort.signal,
				progress: (value) => this.tell(call, type.PROGRESS, value) });

			call.result = [type.RESULT, result];
		} catch (problem) {
			call.result = [type.ERROR, {
				code: problem.code || 'RPC_ERROR', message: String(problem.message),
				details: problem.details,
				stack: problem instanceof Failure ? undefined : problem.stack }];
		}
		call.finished = Date.now();
		this.prune();
		try {
			this.tell(call, ...call.result);
		} catch (problem) { /* a result that is no JSON */
			call.result = [type.ERROR, { code: 'RPC_ERROR', message: String(problem.message) }];
			this.tell(call, ...call.result);
		}
		this.calls.delete(call.id);
	}
}

module.exports = { Failure, Handlers };
