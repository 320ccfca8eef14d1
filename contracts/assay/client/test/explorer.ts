// An explorer's walk over a contract on a running chain, ASSAY_RPC and ASSAY_CONTRACT: what it is told in different ways
// must agree. All of it is read at one height, while the network goes on.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import {
  AssayEvent,
  AssayQueryClient,
  BatchResponse,
  ClientAtHeight,
  collect,
  EpochResponse,
  NodeResponse,
  Page,
  readEvent,
  SampleKey,
  SampleResponse,
  SessionResponse,
} from "../src";

// Far more than a query takes on a busy machine.
const TIMEOUT = { timeout: 300_000 };
/** Ids that one query may name. */
const MOST_IDS = 100;
const LIMITS = [1, 2, 7, undefined];
const EVENTS_OF_TRANSACTIONS = [
  "assay_node_registered",
  "assay_session_opened",
  "assay_batch_committed",
  "assay_beacon_posted",
  "assay_drawn",
  "assay_verdicts_committed",
  "assay_verdicts_revealed",
  "assay_sample_closed",
  "assay_settled",
] as const;

let client: ClientAtHeight;
let assay: AssayQueryClient;
let contract: string;
let nodes: NodeResponse[];
let sessions: SessionResponse[];
let batches: BatchResponse[];
let samples: SampleResponse[];
let epochs: EpochResponse[];
let events: AssayEvent[];

function required(variable: string): string {
  const value = process.env[variable];
  assert.ok(value, `${variable} is not set`);
  return value;
}

before(async () => {
  contract = required("ASSAY_CONTRACT");
  client = await ClientAtHeight.atLast(required("ASSAY_RPC"));
  assay = new AssayQueryClient(client, contract);
  nodes = await collect<NodeResponse, string>((startAfter) => assay.nodes({ startAfter }));
  sessions = await collect<SessionResponse, string>((startAfter) => assay.sessions({ startAfter }));
  batches = await collect<BatchResponse, string>((startAfter) => assay.batches({ startAfter }));
  samples = [];
  for (const { batch } of batches) {
    samples.push(...(await collect<SampleResponse, number>((startAfter) => assay.samples({ batch, startAfter }))));
  }
  epochs = [];
  for (const { address } of nodes) {
    const read = (startAfter?: string) => assay.epochs({ executor: address, startAfter });
    epochs.push(...(await collect<EpochResponse, string>(read)));
  }
  events = await told();
}, TIMEOUT);

/** The contract's events of all transactions up to the height, in the order of the chain. */
async function told(): Promise<AssayEvent[]> {
  const transactions = await client.searchTx(`execute._contract_address='${contract}' AND tx.height<=${client.height}`);
  const ordered = [...transactions].sort((one, other) => one.height - other.height || one.txIndex - other.txIndex);
  return ordered.filter((tx) => tx.code === 0).flatMap((tx) => tx.events.flatMap(ours));
}

/** The event, if it is the contract's own; one that cannot be read fails the test. */
function ours(event: { type: string; attributes: readonly { key: string; value: string }[] }): AssayEvent[] {
  const read = readEvent(contract, event);
  if (read !== null) return [read];
  const own = event.attributes.some(({ key, value }) => key === "_contract_address" && value === contract);
  assert.ok(!own || !event.type.startsWith("wasm-"), `${event.type} is not in the schema of the events`);
  return [];
}

function of<K extends AssayEvent["kind"]>(kind: K): Extract<AssayEvent, { kind: K }>[] {
  return events.filter((event): event is Extract<AssayEvent, { kind: K }> => event.kind === kind);
}

const sum = (amounts: readonly string[]): bigint => amounts.reduce((total, amount) => total + BigInt(amount), 0n);

test("the network has worked: there is something to explore", TIMEOUT, () => {
  assert.ok(nodes.length >= 4, `${nodes.length} nodes`);
  assert.ok(sessions.length > 0 && batches.length > 0 && samples.length > 0);
  assert.ok(epochs.some(({ status }) => status === "paid" || status === "forfeited"), "no epoch is settled");
});

test("pages of every size join to the whole", TIMEOUT, async () => {
  async function joins<T, K>(whole: T[], read: (limit?: number, startAfter?: K) => Promise<Page<T, K>>) {
    for (const limit of LIMITS) {
      assert.deepEqual(await collect<T, K>((startAfter) => read(limit, startAfter)), whole);
    }
  }
  await joins<NodeResponse, string>(nodes, (limit, startAfter) => assay.nodes({ limit, startAfter }));
  await joins<SessionResponse, string>(sessions, (limit, startAfter) => assay.sessions({ limit, startAfter }));
  await joins<BatchResponse, string>(batches, (limit, startAfter) => assay.batches({ limit, startAfter }));
  for (const { batch } of batches.slice(0, 2)) {
    const own = samples.filter((sample) => sample.batch === batch);
    await joins<SampleResponse, number>(own, (limit, startAfter) => assay.samples({ batch, limit, startAfter }));
  }
  for (const { address: executor } of nodes) {
    const own = epochs.filter((epoch) => epoch.executor === executor);
    await joins<EpochResponse, string>(own, (limit, startAfter) => assay.epochs({ executor, limit, startAfter }));
  }
  const models = await collect<{ model: string }, string>((startAfter) => assay.models({ startAfter }));
  await joins(models, (limit, startAfter?: string) => assay.models({ limit, startAfter }));
});

test("many at once are what they are one by one, and what does not exist is null", TIMEOUT, async () => {
  const addresses = nodes.map(({ address }) => address);
  const stranger = contract; // an address that is no node
  assert.deepEqual(await assay.nodesById({ addresses: [stranger, ...addresses] }), [null, ...nodes]);
  for (const node of nodes) assert.deepEqual(await assay.node({ address: node.address }), node);

  const some = sessions.slice(0, MOST_IDS - 1);
  const ids = some.map(({ session }) => session);
  assert.deepEqual(await assay.sessionsById({ sessions: [...ids, "999999"] }), [...some, null]);
  for (const session of some.slice(0, 5)) {
    assert.deepEqual(await assay.session({ session: session.session }), session);
  }

  const first = batches.slice(0, MOST_IDS - 1);
  const asked = first.map(({ batch }) => batch);
  assert.deepEqual(await assay.batchesById({ batches: ["999999", ...asked] }), [null, ...first]);
  for (const batch of first.slice(0, 5)) assert.deepEqual(await assay.batch({ batch: batch.batch }), batch);

  const keys = samples.slice(0, 20).map(({ batch, draw }): SampleKey => ({ batch, draw }));
  const beyond = { batch: batches[0]!.batch, draw: 4_000_000_000 };
  const found = await assay.samplesById({ samples: [...keys, beyond] });
  assert.deepEqual(found, [...samples.slice(0, 20), null]);
  for (const [place, key] of keys.slice(0, 5).entries()) assert.deepEqual(await assay.sample(key), samples[place]);

  const accounts = epochs.map(({ executor, epoch }) => ({ executor, epoch }));
  const none = { executor: stranger, epoch: "0" };
  assert.deepEqual(await assay.epochsById({ epochs: [none, ...accounts] }), [null, ...epochs]);

  const evidence = await Promise.all(addresses.map((executor) => assay.evidence({ executor })));
  assert.deepEqual(await assay.evidenceById({ executors: [...addresses, stranger] }), [...evidence, null]);
  const { items: models } = await assay.models({});
  const digests = models.map(({ model }) => model);
  assert.deepEqual(await assay.modelsById({ models: ["00".repeat(32), ...digests] }), [null, ...models]);
});

test("a list of too many ids is refused with the bound in the message", TIMEOUT, async () => {
  const batchesAsked = Array.from({ length: MOST_IDS + 1 }, (_, place) => String(place));
  await assert.rejects(assay.batchesById({ batches: batchesAsked }), /101 ids: at most 100/);
});

test("what a juror must judge, has said and has its seats on is one and the same", TIMEOUT, async () => {
  const seats = samples.flatMap(({ batch, draw, window, second, seats }) =>
    second ? [] : seats.map(({ juror, verdict }) => ({ batch, draw, window, juror, verdict })),
  );
  const juror = seats[0]!.juror;
  const windows = new Set(seats.filter((seat) => seat.juror === juror).map(({ window }) => window));
  for (const window of windows) {
    const own = seats.filter((seat) => seat.juror === juror && seat.window === window);
    const pages = await collect<{ page: number; samples: SampleKey[] }, number>((startAfter) =>
      assay.assignments({ juror, window, startAfter }),
    );
    const assigned = new Set(pages.flatMap(({ samples: on }) => on.map(({ batch, draw }) => `${batch}/${draw}`)));
    for (const { batch, draw } of own) assert.ok(assigned.has(`${batch}/${draw}`), `sample ${batch}/${draw}`);

    const revealed = await collect<{ page: number; verdicts: (SampleKey & { outcome: unknown })[] }, number>(
      (startAfter) => assay.verdicts({ juror, window, startAfter, limit: 1 }),
    );
    const said = new Map(
      revealed.flatMap(({ verdicts }) => verdicts.map((verdict) => [`${verdict.batch}/${verdict.draw}`, verdict.outcome])),
    );
    for (const { batch, draw, verdict } of own) assert.deepEqual(said.get(`${batch}/${draw}`) ?? null, verdict ?? null);
  }
});

test("the pools are the contract's balance to the last unit", TIMEOUT, async () => {
  const { in_force } = await assay.params();
  const { burned, ...held } = await assay.pools();
  const { amount } = await client.getBalance(contract, in_force.params.denom);
  assert.equal(sum(Object.values(held)), BigInt(amount));
  const staked = nodes.flatMap(({ stake, unbonding }) => [stake, ...unbonding.map((part) => part.amount)]);
  assert.equal(sum(staked), BigInt(held.stakes));
  // What sessions hold includes refunds that they were not credited yet.
  const escrow = sum(sessions.map((session) => session.escrow));
  assert.ok(escrow >= BigInt(held.escrow) && escrow <= BigInt(held.escrow) + BigInt(held.refunds));
});

test("clock, parameters and evidence keep their rules", TIMEOUT, async () => {
  const [{ in_force, pending }, clock, pause] = [await assay.params(), await assay.clock(), await assay.pauseStatus()];
  assert.ok(clock.window && clock.epoch, "the protocol has not begun");
  const { window_seconds, windows_per_epoch, start } = in_force.params.clock;
  assert.equal(BigInt(clock.window), BigInt(Math.floor((clock.now - start) / window_seconds)));
  assert.equal(BigInt(clock.epoch), BigInt(clock.window) / BigInt(windows_per_epoch));
  assert.deepEqual(await assay.paramsOf({ epoch: clock.epoch }), in_force);
  assert.equal(pending ?? null, null);
  assert.equal(pause.until ?? null, null);
  const verdict = await assay.validateParams({ patch: {} });
  assert.deepEqual(verdict, { errors: [], changes: [] });
  for (const { address } of nodes) {
    const { cusum, bound } = await assay.evidence({ executor: address });
    assert.equal(cusum.length, 3);
    assert.ok(bound > 0 && cusum.every((evidence) => evidence < bound));
  }
});

test("beacons and claims are as the events told", TIMEOUT, async () => {
  for (const { window, round, randomness } of of("assay_beacon_posted")) {
    assert.deepEqual(await assay.beacon({ window }), { round, randomness });
  }
  const { claimable } = await assay.pools();
  const owed = await Promise.all(nodes.map(({ address }) => assay.claimable({ address })));
  assert.ok(sum(owed.map(({ amount }) => amount)) <= BigInt(claimable));
});

test("the events of the transactions tell what the queries say", TIMEOUT, () => {
  for (const kind of EVENTS_OF_TRANSACTIONS) assert.ok(of(kind).length > 0, `no ${kind}`);
  const sorted = (texts: readonly string[]) => [...texts].sort();
  assert.deepEqual(sorted(of("assay_node_registered").map(({ node }) => node)), nodes.map(({ address }) => address));
  const opened = of("assay_session_opened").map(({ session }) => session);
  assert.deepEqual(sorted(opened), sorted(sessions.map(({ session }) => session)));

  const committed = new Map(of("assay_batch_committed").map((event) => [event.batch, event]));
  assert.equal(committed.size, batches.length);
  for (const { batch, root, fees, count, samples: drawn, rate_q32 } of batches) {
    const event = committed.get(batch)!;
    assert.deepEqual([event.root, event.fees, event.count, event.samples, event.rate], [root, fees, count, drawn, rate_q32]);
  }
  const closed = of("assay_sample_closed").map(({ batch, draw }) => `${batch}/${draw}`);
  const judged = samples.filter(({ outcome }) => outcome !== null && outcome !== undefined);
  assert.deepEqual(sorted(closed), sorted(judged.map(({ batch, draw }) => `${batch}/${draw}`)));
});

test("each step begins where the one before ended, and the last ends where the chain is", TIMEOUT, () => {
  for (const node of nodes) {
    let [evidence, reputation, rate] = [0, 0, 2 ** 32];
    for (const step of of("assay_settled").filter(({ executor }) => executor === node.address)) {
      assert.equal(step.evidence_before, evidence);
      // A proof takes the reputation before the settlement does.
      const proven = of("assay_fraud_proven").some(({ executor }) => executor === node.address);
      if (!proven) assert.deepEqual([step.reputation_before, step.rate_before], [reputation, rate]);
      evidence = step.status === "forfeited" ? 0 : step.evidence_after;
      [reputation, rate] = [step.reputation_after, step.rate_after];
    }
    assert.deepEqual([reputation, rate], [node.reputation, node.rate_q32]);

    let stake = 0n;
    let last = "";
    for (const event of events) {
      if (!("node" in event) || event.node !== node.address) continue;
      if (event.kind === "assay_node_registered") stake = BigInt(event.stake);
      if (!("stake_before" in event)) continue;
      // Of what one message takes for several reasons each event has the stake before and after all of it.
      const step = `${event.stake_before} ${event.stake_after}`;
      if (event.kind === "assay_stake_taken" && step === last) continue;
      last = step;
      assert.equal(BigInt(event.stake_before), stake, event.kind);
      stake = BigInt(event.stake_after);
    }
    assert.equal(stake, BigInt(node.stake));
  }
});

test("a settled epoch was told as it is kept", TIMEOUT, () => {
  for (const epoch of epochs.filter(({ status }) => status === "paid" || status === "forfeited")) {
    const steps = of("assay_settled").filter((e) => e.executor === epoch.executor && e.epoch === epoch.epoch);
    const last = steps.at(-1);
    assert.ok(last, `nobody told of epoch ${epoch.epoch} of ${epoch.executor}`);
    const { status, reward, refunded, slashed, bounty } = last;
    assert.deepEqual(
      [status, reward, refunded, slashed, bounty],
      [epoch.status, epoch.reward, epoch.refunded, epoch.slashed, epoch.bounty],
    );
  }
});
