// gamekit in a browser: log in with a wallet or a token, open a session once, then play without popups.
//
//   const client = new GameClient("wss://game.example/play", walletLogin(window.ethereum, account));
//   client.addEventListener("settled", ({ detail }) => …);          // every event of the protocol, by its type
//   await client.connect();
//   const session = client.sessions[0] ?? await client.grant("arena", "play_match", window.ethereum, account);
//   const { action_id } = await client.act(session.permission_id, "attack", [7]);    // accepted: on disk
//   const outcome = await client.settled(session.permission_id, key);
//
// One ES module, no build step, nothing loaded from elsewhere. The protocol's page is gamekit/protocol/README.md.

export const VERSION = 1;
const BACK_OFF_MS = 200;
const BACK_OFF_MS_MAX = 20_000;
const ACKNOWLEDGE_EVERY = 64;
const OUTCOMES_MAX = 10_000; // remembered for `settled`; the oldest go first
const CLOSE = { TOO_BIG: 1009, VIOLATION: 4400, UNAUTHENTICATED: 4401, EXPIRED: 4408, REPLACED: 4409 };

/** What the server refused something with. `outcome` is final, retry or unknown: whether to ask again. */
export class GamekitError extends Error {
  constructor({ code, outcome, message, compared = {} }) {
    super(message);
    this.name = "GamekitError";
    Object.assign(this, { code, outcome, compared });
  }
}

const unknown = (message) => new GamekitError({ code: "outcome_unknown", outcome: "unknown", message });

/** Log in with a token of the game's own. */
export const tokenLogin = (token) => async () => ({ by: "token", token });

/** Log in with an EIP-1193 wallet: one signature of a readable message (ERC-4361); reconnects use a ticket. */
export const walletLogin = (provider, account, statement = "Play without further popups.") => async (url) => {
  const address = url.replace(/^ws/, "http").replace(/\/$/, "") + "/nonce";
  const answer = await fetch(address, { method: "POST", credentials: "omit" });
  if (!answer.ok) throw new GamekitError({ code: "overloaded", outcome: "retry", message: "no login nonce" });
  const told = await answer.json();
  const message = [
    `${told.domain} wants you to sign in with your Ethereum account:`, account, "", statement, "",
    `URI: ${told.uri}`, "Version: 1", `Chain ID: ${told.chain_id}`, `Nonce: ${told.nonce}`,
    `Issued At: ${new Date().toISOString().replace(/\.\d+Z$/, "Z")}`,
  ].join("\n");
  const text = "0x" + hexOf(new TextEncoder().encode(message));
  const signature = await provider.request({ method: "personal_sign", params: [text, account] });
  return { by: "wallet", message, signature };
};

/** What `open` carries, from a signed authorization as libraries give it ({chainId, address, nonce, r, s, yParity}) or as the protocol has it. */
const signedAuthorization = (signed) => {
  if (signed.signature) return signed;
  const word = (value) => BigInt(value).toString(16).padStart(64, "0");
  const signature = `0x${word(signed.r)}${word(signed.s)}${signed.yParity ? "1c" : "1b"}`;
  return { chain_id: Number(signed.chainId), delegate: signed.address ?? signed.contractAddress, nonce: Number(signed.nonce), signature };
};

const hexOf = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const newKey = () => hexOf(crypto.getRandomValues(new Uint8Array(12)));
const nameOf = (permissionId, key) => `${permissionId} ${key}`;

/** A player's connection: reconnects, resumes after the last event, sends again what has no answer, under its own keys. */
export class GameClient extends EventTarget {
  #url; #login; #socket = null; #ticket = null; #resume = null; #lastId = 0; #closed = false; #failures = 0; #unread = 0;
  #asked = new Map(); // unanswered actions by name, oldest first: { permission_id, journal_epoch, action, answer }
  #turn = []; // asked for since the loop last turned
  #replies = new Map(); // other requests of this connection, by id
  #outcomes = new Map(); // name → { promise, resolve, reject, done }

  /** @param {{epoch: string, cursor: number}?} resume where an earlier page stopped reading: `client.position`. */
  constructor(url, login, resume = null) {
    super();
    this.#url = url;
    this.#login = login;
    this.#resume = resume;
    this.welcome = null;
  }

  get sessions() { return this.welcome?.sessions ?? []; }
  get position() { return this.#resume; }

  /** Connect and log in; resolves with the welcome, rejects when the login is refused. */
  connect() {
    this.#closed = false;
    return new Promise((resolve, reject) => this.#connect({ resolve, reject }));
  }

  /** Disconnect. What was accepted goes on without us. */
  close() {
    this.#end(unknown("the client was closed"));
    this.#socket?.close(1000);
  }

  /** Ask for one action; resolves when it is accepted, which is: on disk, with { key, action_id }. */
  act(permissionId, fn, args = [], { key = newKey(), notAfter = 0, value = "0" } = {}) {
    const action = { key, function: fn, arguments: args };
    if (notAfter) action.not_after = notAfter;
    if (value !== "0") action.value = String(value);
    return new Promise((resolve, reject) => {
      if (!this.welcome || this.#closed) return reject(unknown("not connected"));
      const asked = { permission_id: permissionId, journal_epoch: this.welcome.journal_epoch, action, answer: { resolve, reject } };
      this.#outcome(permissionId, key);
      this.#asked.set(nameOf(permissionId, key), asked);
      if (this.#socket && this.#turn.push(asked) === 1) queueMicrotask(() => this.#flush());
    });
  }

  /** Wait for the outcome of an action; a reorg may take it back: then ask again. */
  settled(permissionId, key) { return this.#outcome(permissionId, key).promise; }

  cancel(permissionId, key) { return this.#ask({ type: "cancel", permission_id: permissionId, key }).then(({ done }) => done); }
  revoke(permissionId) { return this.#ask({ type: "revoke", permission_id: permissionId }); }

  /**
   * Open a session: the wallet signs once what `proposed.explanation` says. Resolves when the chain has it.
   *
   * Where the account is the owner's own address (EIP-7702), `authorize` must also give the signed `proposed.authorization`,
   * wherever its key is: no wallet signs one through an injected provider. It is only asked where it is needed.
   */
  async grant(game, unit, provider, owner, account = {}, confirm = async (_proposed) => true, authorize = null) {
    const proposed = await this.#ask({ type: "propose", game, unit, account: { owner, ...account } });
    if (proposed.authorization && !authorize) {
      const message = `${owner} must authorize ${proposed.authorization.delegate}, which this wallet cannot sign for a page`;
      throw new GamekitError({ code: "authorization_invalid", outcome: "final", message });
    }
    if (!(await confirm(proposed))) throw new GamekitError({ code: "declined", outcome: "final", message: "not confirmed" });
    const authorization = proposed.authorization && signedAuthorization(await authorize(proposed.authorization));
    const { method, payload } = proposed;
    const params = method === "personal_sign" ? [payload, owner] : [owner, JSON.stringify(payload)];
    const signature = await provider.request({ method, params });
    const ended = ["session_opened", "session_lapsed"];
    let listen;
    const opened = new Promise((resolve, reject) => {
      listen = ({ detail }) => {
        if (detail.permission_id !== proposed.permission_id) return;
        if (detail.type === "session_opened") return resolve(detail);
        reject(new GamekitError({ code: detail.code, outcome: "final", message: detail.reason }));
      };
      for (const type of ended) this.addEventListener(type, listen);
    });
    opened.catch(() => {}); // told below, if `open` itself has not failed
    try {
      const request = { type: "open", request_id: proposed.request_id, signature };
      await this.#ask(authorization ? { ...request, authorization } : request);
      return await opened;
    } finally {
      for (const type of ended) this.removeEventListener(type, listen);
    }
  }

  async #connect(waiting) {
    let login;
    try {
      login = this.#ticket ? { by: "ticket", ticket: this.#ticket } : await this.#login(this.#url);
    } catch (error) {
      if (error.outcome === "retry" || error instanceof TypeError) return this.#again(waiting); // TypeError: no network
      return waiting ? waiting.reject(error) : this.#end(error);
    }
    if (this.#closed) return waiting?.reject(unknown("the client was closed"));
    const socket = new WebSocket(this.#url.replace(/^http/, "ws"));
    socket.onopen = () => {
      const hello = { type: "hello", version: VERSION, login };
      if (this.#resume) hello.resume = { journal_epoch: this.#resume.epoch, cursor: this.#resume.cursor };
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = ({ data }) => this.#receive(socket, JSON.parse(data), waiting);
    socket.onclose = ({ code, reason }) => this.#lost(socket, code, reason, login.by === "ticket", waiting);
    socket.onerror = () => {}; // close follows
  }

  #receive(socket, frame, waiting) {
    switch (frame.type) {
      case "welcome":
        this.#welcomed(socket, frame);
        return waiting?.resolve(frame);
      case "accepted":
        for (const { key, action_id } of frame.actions) this.#answered(frame.permission_id, key)?.resolve({ key, action_id });
        return;
      case "done": case "proposed": case "pong":
        return this.#reply(frame.id)?.resolve(frame);
      case "error":
        return this.#reply(frame.id)?.reject(new GamekitError(frame));
      case "refused":
        for (const refused of frame.actions) this.#refused(frame.permission_id, refused);
        if (!frame.cursor) return;
    }
    this.#happened(socket, frame);
  }

  #welcomed(socket, frame) {
    if (this.welcome && this.welcome.journal_epoch !== frame.journal_epoch) {
      for (const outcome of this.#outcomes.values()) outcome.reject(unknown("the server's journal was restored"));
    }
    this.welcome = frame;
    this.#socket = socket;
    this.#ticket = frame.ticket;
    this.#resume = { epoch: frame.journal_epoch, cursor: frame.cursor };
    this.#failures = this.#unread = this.#lastId = 0;
    this.#turn = [...this.#asked.values()]; // keys make asking again harmless
    this.#flush();
    this.dispatchEvent(new CustomEvent("welcome", { detail: frame }));
  }

  #happened(socket, frame) {
    this.#resume = { ...this.#resume, cursor: frame.cursor };
    if (frame.type === "settled") {
      const { user_op_hash, transaction_hash, block_number } = frame;
      for (const { key, action_id, ok, error = "" } of frame.actions) {
        this.#answered(frame.permission_id, key)?.resolve({ key, action_id }); // its answer was lost with a connection
        this.#outcome(frame.permission_id, key).resolve({ ok, error, user_op_hash, transaction_hash, block_number });
      }
    } else if (frame.type === "reorged") {
      for (const key of frame.keys) this.#outcomes.delete(nameOf(frame.permission_id, key));
    }
    this.dispatchEvent(new CustomEvent(frame.type, { detail: frame }));
    if (++this.#unread >= ACKNOWLEDGE_EVERY) {
      this.#unread = 0;
      socket.send(JSON.stringify({ type: "acknowledge", cursor: frame.cursor }));
    }
  }

  #lost(socket, code, reason, usedTicket, waiting) {
    if (this.#socket === socket) this.#socket = null;
    for (const id of [...this.#replies.keys()]) this.#reply(id).reject(unknown("the connection was lost before the answer"));
    if (this.#closed) return waiting?.reject(unknown("the client was closed"));
    if (code === CLOSE.UNAUTHENTICATED || code === CLOSE.EXPIRED) this.#ticket = null;
    const refused = code === CLOSE.UNAUTHENTICATED && !usedTicket;
    if (refused || [CLOSE.REPLACED, CLOSE.VIOLATION, CLOSE.TOO_BIG].includes(code)) {
      const error = new GamekitError({ code: refused ? "authentication_failed" : "closed", outcome: "final", message: reason || String(code) });
      waiting?.reject(error);
      return this.#end(error);
    }
    this.#again(this.welcome ? null : waiting);
  }

  #again(waiting) {
    const wait = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS * 2 ** Math.min(this.#failures++, 16)) * (0.5 + Math.random() / 2);
    setTimeout(() => (this.#closed ? waiting?.reject(unknown("the client was closed")) : this.#connect(waiting)), wait);
  }

  #end(error) {
    this.#closed = true;
    for (const { answer } of this.#asked.values()) answer.reject(error);
    for (const outcome of this.#outcomes.values()) outcome.reject(error);
    this.#asked.clear();
    this.dispatchEvent(new CustomEvent("ended", { detail: error }));
  }

  #refused(permissionId, refused) {
    const error = new GamekitError(refused);
    this.#answered(permissionId, refused.key)?.reject(error);
    this.#outcome(permissionId, refused.key).reject(error);
    this.#outcomes.delete(nameOf(permissionId, refused.key));
  }

  #answered(permissionId, key) {
    const name = nameOf(permissionId, key);
    const asked = this.#asked.get(name);
    this.#asked.delete(name);
    return asked?.answer;
  }

  #outcome(permissionId, key) {
    const name = nameOf(permissionId, key);
    let outcome = this.#outcomes.get(name);
    if (!outcome) {
      outcome = {};
      outcome.promise = new Promise((resolve, reject) => Object.assign(outcome, { resolve, reject }));
      outcome.promise.catch(() => {}); // nobody has to wait for an outcome
      this.#outcomes.set(name, outcome);
      if (this.#outcomes.size > OUTCOMES_MAX) this.#outcomes.delete(this.#outcomes.keys().next().value);
    }
    return outcome;
  }

  /** Send what was asked for in this turn: neighbours of one session share a frame. */
  #flush() {
    const turn = this.#turn.splice(0);
    const most = this.welcome.limits.actions_per_frame_max;
    while (turn.length && this.#socket) {
      const { permission_id, journal_epoch } = turn[0];
      const other = (asked) => asked.permission_id !== permission_id || asked.journal_epoch !== journal_epoch;
      const end = turn.findIndex(other);
      const actions = turn.splice(0, Math.min(most, end < 0 ? turn.length : end)).map(({ action }) => action);
      this.#socket.send(JSON.stringify({ type: "act", id: ++this.#lastId, permission_id, journal_epoch, actions }));
    }
  }

  #ask(request) {
    return new Promise((resolve, reject) => {
      if (!this.#socket) return reject(unknown("not connected"));
      const id = ++this.#lastId;
      this.#replies.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ ...request, id }));
    });
  }

  #reply(id) {
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    return reply;
  }
}
