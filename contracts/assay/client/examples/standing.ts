// Prints the standing of every node, and how its epochs ended: ASSAY_RPC and ASSAY_CONTRACT say where.
import { AssayQueryClient, ClientAtHeight, collect, NodeResponse, readEvent } from "../src";

async function main(rpc: string, contract: string): Promise<void> {
  const chain = await ClientAtHeight.atLast(rpc);
  const assay = new AssayQueryClient(chain, contract);

  const nodes = await collect<NodeResponse, string>((startAfter) => assay.nodes({ startAfter }));
  const evidence = await assay.evidenceById({ executors: nodes.map((node) => node.address) });
  for (const [place, node] of nodes.entries()) {
    const { cusum = [0], bound = 1 } = evidence[place] ?? {};
    const share = Math.max(...cusum) / bound;
    console.log(node.address, node.stake, node.reputation / 1e6, node.rate_q32 / 2 ** 32, share.toFixed(2));
  }

  for (const { height, events } of await chain.searchTx(`wasm-assay_settled._contract_address='${contract}'`)) {
    for (const event of events.map((raw) => readEvent(contract, raw))) {
      if (event?.kind !== "assay_settled" || event.status === "open") continue;
      console.log(height, event.executor, event.epoch, event.status, event.reputation_before, event.reputation_after);
    }
  }
}

main(process.env["ASSAY_RPC"] ?? "", process.env["ASSAY_CONTRACT"] ?? "").catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
