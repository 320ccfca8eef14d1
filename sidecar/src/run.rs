//! `assayd run`: puts the node together, refuses what cannot work, and runs its tasks until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use assay_common::msg::{ModelResponse, NodeResponse, ParamsResponse, QueryMsg};
use assay_common::params::ClockParams;
use backon::{ConstantBuilder, Retryable};
use cosmwasm_std::Uint128;
use tokio::signal::unix::{signal, SignalKind};
use tokio_util::sync::CancellationToken;

use crate::accuse::{file, Accuser};
use crate::artifacts::Shelf;
use crate::chain::{Account, Chain, ChainError, Sender};
use crate::config::{ChainConfig, Config, ModelConfig};
use crate::duty::Duty;
use crate::engine::{AnswererFactory, Engine};
use crate::executor::admit::Terms;
use crate::executor::batch::Committer;
use crate::executor::desk::{Desk, Parts};
use crate::executor::inferences::Inferences;
use crate::executor::Contract;
use crate::http;
use crate::store::{Identity, Store};
use crate::supervisor::Supervisor;
use crate::validator::calibrations::Calibrations;
use crate::validator::relay::Traffic;
use crate::validator::{keep, pipeline, submit, watch, Bench, Juror};

/// Attempts to reach the chain at the start, a second apart: it may be starting too.
const CONNECT_ATTEMPTS: usize = 30;

/// A node with everything checked.
struct Node {
    config: Config,
    chain: Chain,
    sender: Sender,
    clock: ClockParams,
    bench: Option<Bench>,
    store: Store,
    client: reqwest::Client,
    traffic: Arc<Traffic>,
}

/// Runs a node until SIGTERM or Ctrl-C, or until one of its tasks fails.
///
/// # Errors
/// The chain is syncing or another one, the account has no node, the model or the calibration is not the one that the
/// chain knows, the store is another node's or in use, or a task failed.
pub async fn run(config: Config, answerer: AnswererFactory) -> Result<()> {
    let node = Node::prepare(config, answerer).await?;
    let stop = CancellationToken::new();
    let mut supervisor = Supervisor::new(stop.clone());
    node.start(&mut supervisor, &stop).await?;
    supervisor.join().await?;
    tracing::info!("node.stopped");
    Ok(())
}

impl Node {
    async fn prepare(config: Config, answerer: AnswererFactory) -> Result<Self> {
        let account = Account::load(&config.chain.key_file, &config.chain.address_prefix)?;
        let chain = connect(&config.chain).await?;
        let address = account.address().to_string();
        let params: ParamsResponse = chain
            .query(&QueryMsg::Params {})
            .await
            .with_context(|| format!("the contract {} cannot be asked", config.chain.contract))?;
        let node: NodeResponse =
            chain.query(&QueryMsg::Node { address: address.clone() }).await.with_context(|| {
                format!("{address} is no node of this contract; `assayd register` makes it one")
            })?;
        let bench = match &config.model.path {
            Some(_) => Some(load(&chain, &node, &config.model, answerer).await?),
            None => None,
        };
        ensure!(
            bench.is_some() || config.executor.is_none(),
            "an executor needs a model: set model.path, or leave out the section [executor]"
        );
        let identity = Identity {
            chain_id: config.chain.chain_id.clone(),
            contract: config.chain.contract.clone(),
            address,
            model: bench.as_ref().map(|bench| bench.engine.spec().digest()),
        };
        let store = Store::open(&config.store.path, &identity).await?;
        let sender = Sender::new(chain.clone(), account, &config.chain);
        // An executor must not send a juror elsewhere.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let client = client.build().context("no HTTP client")?;
        let clock = params.in_force.params.clock;
        Ok(Self { config, chain, sender, clock, bench, store, client, traffic: Arc::default() })
    }

    async fn start(&self, supervisor: &mut Supervisor, stop: &CancellationToken) -> Result<()> {
        let listener = http::bind(self.config.http.listen).await?;
        let desk = self.desk();
        let identity = http::Identity {
            address: self.sender.account().address().into(),
            chain_id: self.config.chain.chain_id.clone(),
            model: self.bench.as_ref().map(|bench| (bench.engine.spec().digest(), bench.engine.clone())),
            traffic: self.traffic.clone(),
        };
        let router = http::router(identity, self.shelf(), desk);
        let serving = http::serve(listener, router, stop.clone());
        supervisor.spawn("http", async { Ok(serving.await?) });
        supervisor.spawn("signals", signals(stop.clone()));

        let juror = Arc::new(self.juror());
        let (watching, token) = (juror.clone(), stop.clone());
        supervisor.spawn("watch", async move { watch::run(&watching, token).await });
        supervisor.spawn("pipeline", pipeline::run(juror.clone(), stop.clone()));
        supervisor.spawn("keep", keep::run(juror.clone(), stop.clone()));
        supervisor.spawn("submit", submit::run(juror, stop.clone()));
        if self.config.validator.accuse {
            supervisor.spawn("accuse", file::run(self.accuser(), stop.clone()));
        }
        supervisor.spawn("duty", self.duty().run(stop.clone()));
        if let Some(committer) = self.committer() {
            supervisor.spawn("batch", committer.run(stop.clone()));
        }
        let executor = self.config.executor.is_some();
        tracing::info!(
            node.address = self.sender.account().address(),
            node.executor = executor,
            "node.started"
        );
        Ok(())
    }

    fn juror(&self) -> Juror {
        Juror {
            chain: self.chain.clone(),
            sender: self.sender.clone(),
            store: self.store.clone(),
            config: self.config.validator.clone(),
            clock: self.clock,
            poll: self.config.chain.poll,
            client: self.client.clone(),
            traffic: self.traffic.clone(),
            bench: self.bench.clone(),
        }
    }

    fn accuser(&self) -> Accuser {
        Accuser {
            chain: self.chain.clone(),
            sender: self.sender.clone(),
            store: self.store.clone(),
            poll: self.config.chain.poll,
        }
    }

    fn duty(&self) -> Duty {
        Duty {
            chain: self.chain.clone(),
            sender: self.sender.clone(),
            beacon_url: self.config.beacon.url.clone(),
            client: self.client.clone(),
            poll: self.config.chain.poll,
        }
    }

    fn shelf(&self) -> Shelf {
        let contract = Contract::on(self.chain.clone());
        let prefix = &self.config.chain.address_prefix;
        Shelf::new((contract, self.chain.domain().clone()), prefix, self.store.clone(), self.traffic.clone())
    }

    fn desk(&self) -> Option<Desk> {
        let (config, bench) = (self.config.executor.clone()?, self.bench.as_ref()?);
        let spec = bench.engine.spec();
        Some(Desk::open(Parts {
            contract: Contract::on(self.chain.clone()),
            account: self.sender.account().clone(),
            engine: bench.engine.clone(),
            inferences: Inferences::new(self.store.clone()),
            terms: Terms {
                domain: self.chain.domain().clone(),
                address: self.sender.account().address().into(),
                model: spec.digest(),
                vocabulary: spec.vocabulary,
                context: bench.engine.context(),
                clock: self.clock,
                min_fee: config.min_fee.map_or(bench.reference_fee, Uint128::from),
            },
            config,
        }))
    }

    fn committer(&self) -> Option<Committer> {
        let (config, bench) = (self.config.executor.clone()?, self.bench.as_ref()?);
        Some(Committer {
            contract: Contract::on(self.chain.clone()),
            sender: self.sender.clone(),
            inferences: Inferences::new(self.store.clone()),
            model: bench.engine.spec().digest(),
            config,
            poll: self.config.chain.poll,
        })
    }
}

async fn connect(config: &ChainConfig) -> Result<Chain> {
    let retries =
        ConstantBuilder::default().with_delay(Duration::from_secs(1)).with_max_times(CONNECT_ATTEMPTS - 1);
    let chain = (|| Chain::connect(config)).retry(retries).when(ChainError::is_outage).await?;
    Ok(chain)
}

/// Loads the model and its calibration, and checks both against what the chain knows.
async fn load(
    chain: &Chain,
    node: &NodeResponse,
    config: &ModelConfig,
    answerer: AnswererFactory,
) -> Result<Bench> {
    let registered = registered(chain, node).await?;
    let weights = registered.iter().map(|known| known.spec.weights.0).collect();
    let engine = Engine::start_pinned(config.clone(), weights, answerer)
        .await
        .context("the model that this node is registered for cannot be loaded")?;
    let spec = engine.spec();
    let Some(known) = registered.iter().find(|known| known.model == spec.digest()) else {
        bail!(
            "the weights are a registered model's, but this node runs them as {} {}: another numeric scheme or name",
            spec.name,
            spec.digest()
        );
    };
    let first = config.calibration.as_ref();
    let first = first.context("a model needs its calibration: set model.calibration")?;
    let calibrations = Calibrations::load(known, first, config.next_calibration.as_deref())?;
    tracing::info!(model.digest = %known.model, model.device = engine.device(), "model.loaded");
    Ok(Bench { engine, calibrations, reference_fee: known.reference_fee })
}

/// The chain's records of the models that this node is registered for.
async fn registered(chain: &Chain, node: &NodeResponse) -> Result<Vec<ModelResponse>> {
    let mut registered = Vec::with_capacity(node.models.len());
    for model in &node.models {
        registered.push(chain.query(&QueryMsg::Model { model: *model }).await?);
    }
    Ok(registered)
}

async fn signals(stop: CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = stop.cancelled() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    stop.cancel();
    Ok(())
}
