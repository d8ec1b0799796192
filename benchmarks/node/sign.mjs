// Signs the operations of benchmarks/sign.py with viem and with ZeroDev's session keys.
//
// Reads one JSON line with the operations, then commands; answers each with one JSON line. The time is taken here, so
// that neither the pipe nor JSON counts.

import { createInterface } from "node:readline";
import { toPermissionValidator } from "@zerodev/permissions";
import { toSudoPolicy } from "@zerodev/permissions/policies";
import { toECDSASigner } from "@zerodev/permissions/signers";
import { concat, createPublicClient, custom, keccak256, numberToHex } from "viem";
import { entryPoint07Address, getUserOperationHash } from "viem/account-abstraction";
import { privateKeyToAccount } from "viem/accounts";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value ?? '{"command":"end"}');
const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const work = await read();
const { chainId, typehash, permissionId, scope } = work;
const account = privateKeyToAccount(work.secret);
const operations = work.operations.map((op) => ({
  ...op,
  userOperation: Object.fromEntries(
    Object.entries(op.userOperation).map(([name, value]) => [name, typeof value === "string" && name !== "nonce" ? value : BigInt(value)]),
  ),
}));

const chain = { id: chainId, name: "bench", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [] } } };
const client = createPublicClient({
  chain,
  transport: custom({ request: async ({ method }) => Promise.reject(new Error(`signing asked the node: ${method}`)) }),
});
const validator = await toPermissionValidator(client, {
  entryPoint: { address: entryPoint07Address, version: "0.7" },
  kernelVersion: "0.3.1",
  signer: await toECDSASigner({ signer: account }),
  policies: [toSudoPolicy({})],
});

const signers = {
  // What gamekit does, said in viem: hash, digest, signature, envelope.
  async viem({ userOperation, claimedAt, deadline, hints }) {
    const hash = getUserOperationHash({ userOperation, entryPointAddress: entryPoint07Address, entryPointVersion: "0.7", chainId });
    const times = [numberToHex(claimedAt, { size: 6 }), numberToHex(deadline, { size: 6 })];
    const digest = keccak256(concat([typehash, hash, permissionId, numberToHex(0, { size: 20 }), ...times]));
    const signature = await account.sign({ hash: digest });
    return concat([...times, signature, hints, scope]);
  },
  // What ZeroDev does for a session key: hash, personal message, signature, prefix.
  zerodev({ userOperation }) {
    return validator.signUserOperation(userOperation);
  },
};

answer({ ready: process.version });
for (let asked = await read(); asked.command !== "end"; asked = await read()) {
  const sign = signers[asked.signer];
  const chosen = operations.slice(0, asked.count);
  const results = [];
  const begin = process.hrtime.bigint();
  for (const operation of chosen) results.push(await sign(operation));
  const ns = process.hrtime.bigint() - begin;
  answer(asked.command === "results" ? { results } : { us: Number(ns) / 1000 / chosen.length });
}
