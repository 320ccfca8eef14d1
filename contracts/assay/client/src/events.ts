// Reading the contract's events out of transactions and blocks.
import { AssayEvent } from "./Assay.events";
import kinds from "../../schema/events.json";

/** An event as CometBFT has it. */
export interface RawEvent {
  readonly type: string;
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
}

const PREFIX = "wasm-";
const byName = new Map(kinds.map((kind) => [kind.kind, kind]));

/**
 * An event of the contract at this address; null where it is another's, of a kind that is not known here, or from before
 * events had versions.
 *
 * Throws where it is of another version than this code knows, or an attribute is missing or cannot be read.
 */
export function readEvent(contract: string, event: RawEvent): AssayEvent | null {
  const values = new Map(event.attributes.map(({ key, value }) => [key, value]));
  const kind = event.type.startsWith(PREFIX) ? byName.get(event.type.slice(PREFIX.length)) : undefined;
  const version = values.get("event_version");
  if (values.get("_contract_address") !== contract || kind === undefined || version === undefined) return null;
  if (version !== String(kind.version)) {
    throw new Error(`${kind.kind} is of version ${version}, version ${kind.version} is known here`);
  }
  const read: Record<string, unknown> = { kind: kind.kind, event_version: kind.version };
  for (const { key, type } of kind.attributes) {
    const text = values.get(key);
    if (text === undefined) throw new Error(`${kind.kind} has no attribute ${key}`);
    read[key] = value(type, text, `${kind.kind}: ${key}`);
  }
  return read as unknown as AssayEvent;
}

function value(type: string, text: string, where: string): string | number | boolean {
  switch (type) {
    case "u32":
    case "u64":
    case "i64": {
      const number = Number(text);
      if (!Number.isSafeInteger(number)) throw new Error(`${where} is ${text}, no whole number that fits`);
      return number;
    }
    case "bool":
      if (text !== "true" && text !== "false") throw new Error(`${where} is ${text}, neither true nor false`);
      return text === "true";
    default:
      return text;
  }
}
