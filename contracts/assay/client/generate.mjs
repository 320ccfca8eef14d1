// Writes the client of the contract's schema, `generate.mjs SCHEMAS OUT`: types, a class with a method for each query and
// message, and the types of the events.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import codegen from "@cosmwasm/ts-codegen";

const [schemas, outPath] = process.argv.slice(2);
if (outPath === undefined) throw new Error("usage: generate.mjs SCHEMAS OUT");

// What an event's value becomes; what is not here is text and keeps the name that the queries have for it.
const PLAIN = { u32: "number", u64: "number", i64: "number", bool: "boolean", String: "string" };

function eventTypes(kinds) {
  const attributes = kinds.flatMap((kind) => kind.attributes.map((attribute) => attribute.type));
  const named = [...new Set(attributes)].filter((type) => !(type in PLAIN)).sort();
  const field = ({ key, type, about }) =>
    (about === "" ? "" : `  /** ${about} */\n`) + `  ${key}: ${PLAIN[type] ?? type};\n`;
  const name = (kind) => kind.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
  const declared = kinds.map(
    ({ kind, version, about, attributes }) =>
      `/** ${about} */\nexport interface ${name(kind)} {\n  kind: "${kind}";\n  event_version: ${version};\n` +
      `${attributes.map(field).join("")}}\n`,
  );
  return (
    "// Written by generate.mjs from the schema of the events; change that instead.\n\n" +
    `import { ${named.join(", ")} } from "./Assay.types";\n\n${declared.join("\n")}\n` +
    `export type AssayEvent =\n${kinds.map(({ kind }) => `  | ${name(kind)}`).join("\n")};\n`
  );
}

const off = { enabled: false };
// The generator reads every file of a directory, and there are others beside the contract's schema.
const dir = mkdtempSync(join(tmpdir(), "assay-schema-"));
try {
  // It gives these answers one name where it declares them and another where it uses them, unless the name is plain.
  const schema = readFileSync(join(schemas, "assay-contract.json"), "utf8").replaceAll("Array_of_Nullable_", "ArrayOfNullable");
  writeFileSync(join(dir, "assay-contract.json"), schema);
  await codegen.default({
    contracts: [{ name: "Assay", dir }],
    outPath,
    options: {
      bundle: off,
      types: { enabled: true },
      client: { enabled: true, noImplicitOverride: true },
      reactQuery: off,
      recoil: off,
      messageComposer: off,
      messageBuilder: off,
      useContractsHook: off,
    },
  });
} finally {
  rmSync(dir, { recursive: true });
}
writeFileSync(join(outPath, "Assay.events.ts"), eventTypes(JSON.parse(readFileSync(join(schemas, "events.json"), "utf8"))));
