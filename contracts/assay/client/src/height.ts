// Reading a chain as it was at one height, so that what is read in several queries belongs together.
import { CosmWasmClient, JsonObject } from "@cosmjs/cosmwasm-stargate";
import { Coin } from "@cosmjs/amino";
import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { QueryBalanceRequest, QueryBalanceResponse } from "cosmjs-types/cosmos/bank/v1beta1/query";
import {
  QuerySmartContractStateRequest,
  QuerySmartContractStateResponse,
} from "cosmjs-types/cosmwasm/wasm/v1/query";

/** A client whose queries of contracts and balances are answered out of the state after one block. */
export class ClientAtHeight extends CosmWasmClient {
  private constructor(
    private readonly comet: Comet38Client,
    readonly height: number,
  ) {
    super(comet);
  }

  /** At the last block that the node has. */
  static async atLast(rpc: string): Promise<ClientAtHeight> {
    const comet = await Comet38Client.connect(rpc);
    return new ClientAtHeight(comet, (await comet.status()).syncInfo.latestBlockHeight);
  }

  override async queryContractSmart(address: string, queryMsg: JsonObject): Promise<JsonObject> {
    const queryData = new TextEncoder().encode(JSON.stringify(queryMsg));
    const request = QuerySmartContractStateRequest.encode({ address, queryData }).finish();
    const { data } = QuerySmartContractStateResponse.decode(
      await this.ask("/cosmwasm.wasm.v1.Query/SmartContractState", request),
    );
    return JSON.parse(new TextDecoder().decode(data));
  }

  override async getBalance(address: string, denom: string): Promise<Coin> {
    const request = QueryBalanceRequest.encode({ address, denom }).finish();
    const { balance } = QueryBalanceResponse.decode(await this.ask("/cosmos.bank.v1beta1.Query/Balance", request));
    return balance ?? { denom, amount: "0" };
  }

  private async ask(path: string, data: Uint8Array): Promise<Uint8Array> {
    const { code, log, value } = await this.comet.abciQuery({ path, data, height: this.height });
    if (code !== 0) throw new Error(log ?? `the chain refuses ${path} with code ${code}`);
    return value;
  }
}
