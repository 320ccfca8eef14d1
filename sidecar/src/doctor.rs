//! `assayd doctor`: everything that a node needs, one line each, before it costs anything to find out.

use std::process::ExitCode;

use anyhow::{ensure, Context, Result};
use assay_common::msg::{ModelResponse, NodeResponse, QueryMsg};

use crate::calibrate;
use crate::chain::{Account, Chain};
use crate::config::{ChainConfig, Config};
use crate::engine::Engine;
use crate::executor::answer::honest_factory;
use crate::model::LIBTORCH_VERSION;

/// Prints one line for each part; the exit code is 1 if any part fails.
pub async fn run(config: &Config) -> ExitCode {
    let mut healthy = true;
    let mut say = |part: &str, result: Result<String>| {
        healthy &= result.is_ok();
        match result {
            Ok(text) => println!("ok    {part:<12} {text}"),
            Err(error) => println!("FAIL  {part:<12} {error:#}"),
        }
    };
    let account = Account::load(&config.chain.key_file, &config.chain.address_prefix);
    say("key", account.as_ref().map(|a| a.address().to_string()).map_err(|e| anyhow::anyhow!("{e}")));
    for rpc in config.chain.rpcs() {
        say("rpc", rpc_line(&config.chain, rpc).await);
    }
    let chain = Chain::connect(&config.chain).await;
    match &chain {
        Ok(chain) => say("chain", chain_line(chain).await),
        Err(error) => say("chain", Err(anyhow::anyhow!("{}", error_chain(error)))),
    }
    if let (Ok(chain), Ok(account)) = (&chain, &account) {
        say("node", node_line(chain, account.address()).await);
    }
    let engine = Engine::start(config.model.clone(), honest_factory()).await;
    match &engine {
        Ok(engine) => {
            say("libtorch", Ok(format!("{LIBTORCH_VERSION}, {} threads", tch::get_num_threads())));
            say("device", Ok(engine.device().to_string()));
            let spec = engine.spec();
            say("model", Ok(format!("{} {} weights {}", spec.name, spec.digest(), spec.weights)));
            if let Ok(chain) = &chain {
                say("on chain", model_line(chain, config, engine).await);
            }
        }
        Err(error) => say("model", Err(anyhow::anyhow!("{}", error_chain(error)))),
    }
    if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// One node by itself, whether it is in use or a fallback.
async fn rpc_line(config: &ChainConfig, rpc: &str) -> Result<String> {
    let alone = ChainConfig { rpc: rpc.into(), rpc_fallbacks: Vec::new(), ..config.clone() };
    let height = Chain::connect(&alone).await?.height().await?;
    Ok(format!("{rpc} at height {height}"))
}

async fn chain_line(chain: &Chain) -> Result<String> {
    let height = chain.height().await?;
    let clock = chain.clock().await.with_context(|| format!("contract {}", chain.domain().contract))?;
    let window = clock.window.map_or("not started".into(), |w| format!("window {w}"));
    Ok(format!(
        "{} at height {height}, contract {}, {window}",
        chain.domain().chain_id,
        chain.domain().contract
    ))
}

async fn node_line(chain: &Chain, address: &str) -> Result<String> {
    let node: NodeResponse = chain
        .query(&QueryMsg::Node { address: address.into() })
        .await
        .with_context(|| format!("{address} is not registered; `assayd register` does it"))?;
    Ok(format!(
        "stake {}, reputation {} of a million, endpoint {}",
        node.stake, node.reputation.0, node.endpoint
    ))
}

async fn model_line(chain: &Chain, config: &Config, engine: &Engine) -> Result<String> {
    let model = engine.spec().digest();
    let known: ModelResponse = chain
        .query(&QueryMsg::Model { model })
        .await
        .with_context(|| format!("the chain does not know model {model}; is this the right file?"))?;
    let path = config.model.calibration.as_ref().context("the configuration names no calibration")?;
    let (calibration, digest) = calibrate::load(path, model)?;
    ensure!(
        digest == known.calibration.record.digest,
        "the calibration is {digest}, the chain asks for {}",
        known.calibration.record.digest
    );
    ensure!(
        calibration.certifies(engine.platform()),
        "the calibration has no cell that was measured by {}: this node would abstain from every check",
        engine.platform()
    );
    Ok(format!("reference fee {}, calibration {digest}", known.reference_fee))
}

/// An error and its causes in one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
