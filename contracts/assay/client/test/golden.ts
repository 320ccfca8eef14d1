// Reads every event as the contract writes it: the golden files of the contract's own tests.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { RawEvent, readEvent } from "../src";
import kinds from "../../schema/events.json";

// From dist/client/test, where this runs.
const GOLDEN = join(__dirname, "../../../../tests/golden/events");
const CONTRACT = "assay1contract";

function golden(kind: string): RawEvent {
  const text = readFileSync(join(GOLDEN, `${kind}.snap`), "utf8");
  const lines = text.slice(text.indexOf("---\n", 4) + 4).split("\n");
  const pairs = lines.filter((line) => line !== "").map((line) => line.split(" = "));
  const attributes = pairs.map(([key = "", value = ""]) => ({ key: key.trim(), value }));
  return { type: `wasm-${kind}`, attributes: [{ key: "_contract_address", value: CONTRACT }, ...attributes] };
}

function changed(event: RawEvent, key: string, value: string): RawEvent {
  return { ...event, attributes: event.attributes.map((one) => (one.key === key ? { key, value } : one)) };
}

test("there is a golden file for each kind and for nothing else", () => {
  const files = readdirSync(GOLDEN).map((file) => file.replace(/\.snap$/, ""));
  assert.deepEqual(files.sort(), kinds.map(({ kind }) => kind).sort());
});

test("every event is read as it was written", () => {
  for (const { kind, version, attributes } of kinds) {
    const raw = golden(kind);
    const read: Record<string, unknown> = { ...readEvent(CONTRACT, raw) };
    assert.deepEqual([read["kind"], read["event_version"]], [kind, version]);
    for (const { key } of attributes) {
      const written = raw.attributes.find((attribute) => attribute.key === key);
      assert.equal(String(read[key]), written?.value, `${kind}: ${key}`);
    }
  }
  const drawn = readEvent(CONTRACT, golden("assay_drawn"));
  assert.ok(drawn?.kind === "assay_drawn");
  assert.equal(typeof drawn.complete, "boolean");
  assert.equal(typeof drawn.to, "number");
  assert.equal(typeof drawn.batch, "string");
});

test("an event of another version or without an attribute is refused, and another's is none", () => {
  const raw = golden("assay_drawn");
  assert.throws(() => readEvent(CONTRACT, changed(raw, "event_version", "2")), /version 2, version 1 is known/);
  assert.throws(() => readEvent(CONTRACT, changed(raw, "to", "1.5")), /assay_drawn: to is 1\.5/);
  const short = { ...raw, attributes: raw.attributes.filter(({ key }) => key !== "batch") };
  assert.throws(() => readEvent(CONTRACT, short), /no attribute batch/);
  assert.equal(readEvent("assay1another", raw), null);
  assert.equal(readEvent(CONTRACT, { ...raw, type: "transfer" }), null);
});
