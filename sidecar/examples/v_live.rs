// Throw-away: tries chain/ against a real wasmd.
#![allow(clippy::unwrap_used)]
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use assay_common::msg::*;
use assay_common::params::{Params, *};
use assay_sidecar::chain::tx::any;
use assay_sidecar::chain::*;
use assay_sidecar::config::ChainConfig;
use cosmos_sdk_proto::cosmos::bank::v1beta1::*;
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmwasm::wasm::v1::*;
use cosmwasm_std::{Uint128, Uint64};
use assay_common::ids::*;
use assay_common::session::*;

fn config(contract: &str, key: &str) -> ChainConfig {
    ChainConfig { rpc: "http://127.0.0.1:46957".into(), chain_id: "v-1".into(), contract: contract.into(), key_file: key.into(),
        address_prefix: "wasm".into(), denom: "uassay".into(), gas_price_micro: 25_000, poll: Duration::from_millis(200) }
}
async fn balance(chain: &Chain, a: &str) -> String {
    let q = QueryBalanceRequest { address: a.into(), denom: "uassay".into() };
    let r: QueryBalanceResponse = chain.grpc("/cosmos.bank.v1beta1.Query/Balance", &q).await.unwrap();
    r.balance.unwrap().amount
}
fn send(from: &str, to: &str, amount: u128) -> cosmrs::Any {
    any(&MsgSend { from_address: from.into(), to_address: to.into(), amount: vec![Coin { denom: "uassay".into(), amount: amount.to_string() }] })
}
fn params(start: u64) -> Params {
    Params {
        denom: "uassay".into(),
        clock: ClockParams { start, window_seconds: 5, windows_per_epoch: 4 },
        beacon: BeaconParams { public_key: hex::decode("83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a").unwrap().into(), genesis: 1, period_seconds: 1, delay_seconds: 2 },
        jury: JuryParams { seats: 3, quorum: 2, min_others_to_commit: 3, min_others_to_slash: 3, max_samples_per_window: 200 },
        evidence: EvidenceParams { honest_fail_ppm: 10_000, alternatives_ppm: PerAlternative([30_000, 100_000, 400_000]), audits: Uint64::new(10_000), false_forfeit_one_in: Uint64::new(1_000_000_000) },
        reputation: ReputationParams { step_ppm: 200_000, min_checked: 4, min_conclusive_ppm: 800_000, base_rate_ppm: 10_000 },
        fees: FeeParams { verdict_ppm: 70_000, reserve_ppm: 10_000, min_stake_fees: 10, slash_ppm: 100_000 },
        limits: LimitParams { session_epochs: 30, claims_per_batch: 50, inferences_per_batch: 65_536, max_prompt: 8192, max_new: 4096, artifact_bytes_per_token: 256, artifact_bytes_fixed: 65536, draw_page: 100, verdict_page: 50, settle_page: 200 },
    }
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_env_filter("info,assay_sidecar=debug").init();
    let args: Vec<String> = std::env::args().collect();
    let key = "/tmp/v-chain/key";
    if args[1] == "addr" {
        let a = if Path::new(key).exists() { Account::load(Path::new(key), "wasm") } else { Account::generate(Path::new(key), "wasm") }.unwrap();
        println!("{}", a.address());
        return;
    }
    let account = Account::load(Path::new(key), "wasm").unwrap();
    let me = account.address().to_string();
    let cfg = config("wasm1nothing", key);
    println!("wrong chain: {:#}", anyhow::Error::from(Chain::connect(&ChainConfig { chain_id: "other".into(), ..cfg.clone() }).await.err().unwrap()));
    println!("unreachable: {:#}", anyhow::Error::from(Chain::connect(&ChainConfig { rpc: "http://127.0.0.1:1".into(), ..cfg.clone() }).await.err().unwrap()));
    let chain = Chain::connect(&cfg).await.unwrap();
    println!("height {} earliest {} balance {}", chain.height().await.unwrap(), chain.earliest_height().await.unwrap(), balance(&chain, &me).await);
    let sender = Sender::new(chain.clone(), account.clone(), &cfg);
    let nobody = Account::generate(Path::new(&format!("/tmp/v-chain/k{}", std::process::id())), "wasm").unwrap();
    let poor = Sender::new(chain.clone(), nobody.clone(), &cfg);
    println!("no account: {}", poor.execute_messages(vec![send(nobody.address(), &me, 1)]).await.err().unwrap());
    let t = Instant::now();
    let done = sender.execute_messages(vec![send(&me, nobody.address(), 1_000_000)]).await.unwrap();
    println!("sent: height {} gas {} in {:?}; got {}", done.height, done.gas_used, t.elapsed(), balance(&chain, nobody.address()).await);
    // five at once through clones
    let t = Instant::now();
    let all = futures::future::join_all((0..5).map(|i| { let (s, me) = (sender.clone(), me.clone()); async move { s.execute_messages(vec![send(&me, &me, i + 1)]).await } })).await;
    println!("five at once: {:?} in {:?}", all.iter().map(|r| r.as_ref().map(|i| i.height).map_err(|e| e.to_string())).collect::<Vec<_>>(), t.elapsed());
    // A second sender that does not know of a pending one.
    let other = Sender::new(chain.clone(), account.clone(), &cfg);
    let p1 = sender.broadcast_messages(vec![send(&me, &me, 7)], |p| async move { println!("persisted {p:?}"); Ok(()) }).await.unwrap();
    let t = Instant::now();
    println!("behind: {:?} in {:?}", other.execute_messages(vec![send(&me, &me, 8)]).await.map(|i| i.height).map_err(|e| e.to_string()), t.elapsed());
    println!("first: {:?}", sender.confirm(&p1).await.map(|c| format!("{c:?}").chars().take(60).collect::<String>()));
    println!("stale: {:?}", sender.execute_messages(vec![send(&me, &me, 9)]).await.map(|i| i.height).map_err(|e| e.to_string()));
    println!("too much: {:?}", sender.execute_messages(vec![send(&me, &me, u128::MAX / 4)]).await.map(|i| i.height).map_err(|e| e.to_string()));
    println!("persist fails: {:?}", sender.broadcast_messages(vec![send(&me, &me, 9)], |_| async { anyhow::bail!("disk full") }).await.map_err(|e| format!("{:#}", anyhow::Error::from(e))));
    let ghost = Pending { hash: "AB".repeat(32), timeout_height: chain.height().await.unwrap() + 2 };
    println!("ghost now: {:?}", sender.lookup(&ghost).await.map(|c| format!("{c:?}")));
    println!("ghost later: {:?}", sender.confirm(&ghost).await.map(|c| format!("{c:?}")));
    // websocket
    let wake = tokio::sync::Notify::new();
    let t = Instant::now();
    tokio::select! { r = chain.wake_on_blocks(&wake) => println!("websocket ended: {r:?}"), () = wake.notified() => println!("woken in {:?}", t.elapsed()), () = tokio::time::sleep(Duration::from_secs(5)) => println!("not woken") }
    // contract
    let wasm = std::fs::read("/work/main/target/wasm/assay_contract.wasm").unwrap();
    let done = sender.execute_messages(vec![any(&MsgStoreCode { sender: me.clone(), wasm_byte_code: wasm, instantiate_permission: None })]).await.unwrap();
    println!("stored: gas {}", done.gas_used);
    let codes: QueryCodesResponse = chain.grpc("/cosmwasm.wasm.v1.Query/Codes", &QueryCodesRequest { pagination: None }).await.unwrap();
    let code_id = codes.code_infos.last().unwrap().code_id;
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 8;
    let msg = InstantiateMsg { governance: me.clone(), params: params(start) };
    let r = sender.execute_messages(vec![any(&MsgInstantiateContract { sender: me.clone(), admin: String::new(), code_id, label: "assay".into(), msg: serde_json::to_vec(&msg).unwrap(), funds: vec![] })]).await;
    println!("instantiated: {:?}", r.map(|i| i.gas_used).map_err(|e| e.to_string()));
    let c: QueryContractsByCodeResponse = chain.grpc("/cosmwasm.wasm.v1.Query/ContractsByCode", &QueryContractsByCodeRequest { code_id, pagination: None }).await.unwrap();
    let cfg = config(c.contracts.last().unwrap(), key);
    let chain = Chain::connect(&cfg).await.unwrap();
    let sender = Sender::new(chain.clone(), account.clone(), &cfg);
    println!("clock {:?}", chain.clock().await.unwrap());
    let p: Params = chain.query(&QueryMsg::Params {}).await.unwrap();
    println!("params equal: {}", p == msg.params);
    let spec = ModelSpec { name: "m".into(), weights: Digest([1; 32]), scheme: NumericScheme::F32, vocabulary: 100 };
    let done = sender.execute(Call::new(ExecuteMsg::RegisterModel { spec: spec.clone(), reference_fee: Uint128::new(1000), calibration: Digest([2; 32]) })).await.unwrap();
    println!("model: height {} gas {} events {:?}", done.height, done.gas_used, done.events);
    println!("events of block: {:?}", chain.events(done.height).await.unwrap());
    let done = sender.execute(Call { msg: ExecuteMsg::RegisterNode { models: vec![spec.digest()], endpoint: "http://127.0.0.1:1".into() }, funds: 50_000 }).await;
    println!("node: {:?}", done.map(|i| (i.gas_used, i.events)).map_err(|e| e.to_string()));
    println!("twice: {:?}", sender.execute(Call { msg: ExecuteMsg::RegisterNode { models: vec![spec.digest()], endpoint: "http://127.0.0.1:1".into() }, funds: 50_000 }).await.map(|i| i.gas_used).map_err(|e| e.to_string()));
    println!("unknown model: {:?}", chain.query::<ModelResponse>(&QueryMsg::Model { model: ModelDigest([9; 32]) }).await.map_err(|e| e.to_string()));
    println!("node: {:?}", chain.query::<NodeResponse>(&QueryMsg::Node { address: me.clone() }).await);
    println!("due: {:?}", chain.query::<DueResponse>(&QueryMsg::Due { limit: Some(10) }).await);
    println!("seats: {:?}", chain.query::<Page<SampleKey, SampleKey>>(&QueryMsg::Assignments { juror: me.clone(), window: Window(0), start_after: Some(SampleKey { batch: BatchId(0), draw: u32::MAX }), limit: Some(100) }).await);
    println!("commitment: {:?}", chain.query::<CommitmentResponse>(&QueryMsg::Commitment { juror: me.clone(), window: Window(0), page: 0 }).await);
    println!("no such block: {}", chain.events(10_000_000).await.err().unwrap());
    println!("tally: {:?}", sender.execute(Call::new(ExecuteMsg::Tally { batch: BatchId(1), from: 0, limit: 10 })).await.map(|i| i.gas_used).map_err(|e| e.to_string()));
    println!("{:?}", balance(&chain, &me).await);
}
