// Plays one match with gamekit.js as a page would, and prints what it saw as one JSON object.
//   node browser.mjs <module> <websocket URL> <signing URL> <account>
import { pathToFileURL } from "node:url";

const [module, url, signing, account] = process.argv.slice(2);
const { GameClient, tokenLogin, walletLogin } = await import(pathToFileURL(module));

const requests = [];
const wallet = {
  async request({ method, params }) {
    requests.push(method);
    if (method !== "personal_sign") return "0x" + "01".repeat(65);
    return (await fetch(signing, { method: "POST", body: params[0] })).text();
  },
};
const told = [];
const errorOf = (promise) => promise.then(() => "no error", ({ code, outcome }) => `${code} ${outcome}`);

const client = new GameClient(url, walletLogin(wallet, account));
for (const type of ["welcome", "settled", "reorged", "final", "session_opened", "ended"]) {
  client.addEventListener(type, ({ detail }) => told.push([type, detail.cursor ?? null]));
}
const welcome = await client.connect();
const [session] = client.sessions;
const id = session.permission_id;

const accepted = await Promise.all([
  client.act(id, "attack", [1], { key: "k1" }),
  client.act(id, "attack", { target: 2 }, { key: "k2", notAfter: 9, value: "5" }),
]);
const outcome = await client.settled(id, "k1");
const refused = await errorOf(client.act(id, "withdraw", [], { key: "k3" }));
const cancelled = await client.cancel(id, "nothing");
const opened = await client.grant("arena", "play_match", wallet, account);
const wanted = { chainId: 31337, address: "0x" + "de".repeat(20), nonce: 4, r: "0x01", s: "0x" + "02".repeat(32), yParity: 1 };
await fetch(signing + "/newcomer", { method: "POST" });
const needed = await errorOf(client.grant("arena", "play_match", wallet, account));
let shown;
await client.grant("arena", "play_match", wallet, account, {}, async () => true, async (asked) => { shown = asked; return wanted; });
await fetch(signing + "/lapse", { method: "POST" });
const lapsed = await errorOf(client.grant("arena", "play_match", wallet, account, {}, async () => true, async () => wanted));
const unknownSession = await errorOf(client.revoke("0x" + "99".repeat(32)));

const lost = new Promise((resolve) => client.addEventListener("welcome", () => resolve(), { once: true }));
await fetch(signing + "/cut", { method: "POST" });
await lost;
const again = await client.act(id, "attack", [4], { key: "k4" });
const late = await client.settled(id, "k4");

const stranger = await errorOf(new GameClient(url, tokenLogin("nobody")).connect());
client.close();
const closed = await errorOf(client.act(id, "attack", [5]));

console.log(JSON.stringify({
  player: welcome.player, accepted, outcome, refused, cancelled, opened: opened.type, unknownSession, again, late,
  stranger, closed, needed, shown, lapsed, requests, told, position: client.position,
}));
