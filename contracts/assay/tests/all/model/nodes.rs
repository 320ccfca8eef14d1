//! Nodes and their stakes.

use std::collections::BTreeMap;

use assay_common::ids::{BatchId, ModelDigest, Window};
use assay_contract::error::ContractError;

use super::{check_address, Answer, Cx, Node, World};

const MOST_MODELS: usize = 16;
const MOST_UNBONDINGS: usize = 7;
const MOST_GUARDIANS: usize = 16;

impl World {
    pub fn register_node(&mut self, cx: &Cx, models: &[ModelDigest], endpoint: &str) -> Answer {
        let known = self.nodes.get(&cx.sender).cloned();
        if known.as_ref().is_some_and(|node| !node.has_left()) {
            return Err(ContractError::NodeKnown { address: cx.sender.clone() });
        }
        check_endpoint(endpoint)?;
        let needed = self.dearest_stake(cx, models)?;
        if cx.funds < needed {
            return Err(ContractError::StakeTooLow { stake: cx.funds.into(), needed: needed.into() });
        }
        let number = match &known {
            Some(node) => node.number,
            None => u32::try_from(self.numbers.len()).expect("few nodes"),
        };
        let mut tables = Vec::new();
        for model in models {
            self.check_open(model)?;
            tables.push((model, self.planned_table(cx, model, (number, cx.funds))?));
        }
        for (model, table) in tables {
            self.store_table(cx, model, table);
        }
        if known.is_none() {
            self.numbers.push(cx.sender.clone());
        }
        let node = Node {
            number,
            models: models.to_vec(),
            endpoint: endpoint.into(),
            stake: cx.funds,
            unbonding: Vec::new(),
            reputation: 0,
            evidence: known.as_ref().map(|node| node.evidence).unwrap_or_default(),
            benched: false,
            last_epoch: known.as_ref().and_then(|node| node.last_epoch),
            juror: known.and_then(|node| node.juror),
        };
        self.nodes.insert(cx.sender.clone(), node);
        Ok(())
    }

    pub fn update_node(&mut self, cx: &Cx, models: Option<&[ModelDigest]>, endpoint: Option<&str>) -> Answer {
        let stakes = models.is_some() || cx.funds > 0;
        if !stakes && endpoint.is_none() {
            return Err(ContractError::NothingToUpdate { denom: cx.params.denom.clone() });
        }
        if let Some(endpoint) = endpoint {
            check_endpoint(endpoint)?;
        }
        let before = self.nodes[&cx.sender].clone();
        let mut node = before.clone();
        node.endpoint = endpoint.unwrap_or(&before.endpoint).into();
        if stakes {
            node.models = models.unwrap_or(&before.models).to_vec();
            node.stake += cx.funds;
            node.benched = false;
            self.check_stake(cx, &node)?;
            let mut tables = Vec::new();
            for dropped in before.models.iter().filter(|model| !node.models.contains(model)) {
                tables.push((*dropped, self.planned_table(cx, dropped, (node.number, 0))?));
            }
            for model in &node.models {
                if !before.models.contains(model) {
                    self.check_open(model)?;
                }
                tables.push((*model, self.planned_table(cx, model, (node.number, node.stake))?));
            }
            for (model, table) in tables {
                self.store_table(cx, &model, table);
            }
        }
        self.nodes.insert(cx.sender.clone(), node);
        Ok(())
    }

    pub fn unbond(&mut self, cx: &Cx, amount: u128) -> Answer {
        let release = self.running() + u64::from(cx.params.limits.unbonding_seconds);
        let mut node = self.nodes[&cx.sender].clone();
        if amount == 0 || amount > node.stake {
            return Err(ContractError::BadUnbonding { amount: amount.into(), stake: node.stake.into() });
        }
        if node.unbonding.len() == MOST_UNBONDINGS {
            return Err(ContractError::TooManyUnbondings { most: MOST_UNBONDINGS });
        }
        node.stake -= amount;
        node.unbonding.push((amount, release));
        if node.stake > 0 {
            self.check_stake(cx, &node)?;
        }
        self.nodes.insert(cx.sender.clone(), node);
        self.follow_stake(cx, &cx.sender);
        Ok(())
    }

    pub fn withdraw(&mut self, cx: &Cx) -> Answer {
        let node = self.nodes[&cx.sender].clone();
        let running = self.running();
        let Some(first) = node.unbonding.iter().map(|(_, release)| *release).min() else {
            return Err(ContractError::NothingUnbonding { node: cx.sender.clone() });
        };
        if first > running {
            return Err(ContractError::StillUnbonding { release: cx.now + (first - running), now: cx.now });
        }
        let covered = node.stake >= self.dearest_stake(cx, &node.models)?;
        self.check_work(cx, &node, covered)?;
        if !covered {
            self.check_seats(cx, &node)?;
        }
        let (ripe, left): (Vec<_>, Vec<_>) =
            node.unbonding.iter().copied().partition(|(_, release)| *release <= running);
        let amount = ripe.iter().map(|(amount, _)| amount).sum();
        let stored = self.nodes.get_mut(&cx.sender).expect("the sender is a node");
        stored.unbonding = left;
        if stored.has_left() {
            stored.reputation = 0;
        }
        self.pay_out(&cx.sender, amount);
        Ok(())
    }

    /// Its last epoch's work must be settled; that of the present epoch is covered by what stays, if that is enough.
    fn check_work(&self, cx: &Cx, node: &Node, covered: bool) -> Answer {
        let last = node.last_epoch.filter(|last| !covered || *last != cx.epoch).or_else(|| {
            self.accounts.get(&(cx.sender.clone(), cx.epoch.0)).and_then(|account| account.previous)
        });
        let Some(epoch) = last else { return Ok(()) };
        if self.is_unsettled(&cx.sender, epoch) {
            return Err(ContractError::UnsettledWork { node: cx.sender.clone(), epoch });
        }
        Ok(())
    }

    pub fn is_unsettled(&self, executor: &str, epoch: assay_common::ids::Epoch) -> bool {
        let account = self.accounts.get(&(executor.to_string(), epoch.0));
        account.is_some_and(|account| !account.status.is_settled())
    }

    /// Everything drawn up to the last window for which it committed must be closed.
    fn check_seats(&mut self, cx: &Cx, node: &Node) -> Answer {
        let committed = self.commitments.keys().filter(|(juror, ..)| *juror == node.number);
        let Some(last) = committed.map(|(_, window, _)| *window).max() else { return Ok(()) };
        let first = self.untallied.keys().next().map(|(window, _)| *window);
        let contested = self.contested().into_keys().next().map(|(window, _)| window);
        match first.into_iter().chain(contested).min().filter(|window| *window <= last) {
            Some(window) => {
                if first.is_none_or(|first| window < first) {
                    self.meet("seats held by a contest alone");
                }
                Err(ContractError::OpenSeats { juror: cx.sender.clone(), window: Window(window) })
            }
            None => Ok(()),
        }
    }

    /// By the window of its first draw and its batch, how many samples have a second level under way.
    pub fn contested(&self) -> BTreeMap<(u64, BatchId), u32> {
        let mut counts = BTreeMap::new();
        for (id, batch) in self.batches.iter().filter(|(_, batch)| !batch.gone) {
            let open = batch.samples.iter().filter(|sample| sample.closed.is_none());
            for sample in open.filter(|sample| sample.second.is_some()) {
                *counts.entry((sample.window.0, *id)).or_default() += 1;
            }
        }
        counts
    }

    pub fn set_guardians(&mut self, cx: &Cx, digest: ModelDigest, guardians: &[String]) -> Answer {
        if !self.models.contains_key(&digest) {
            return Err(ContractError::UnknownModel { model: digest });
        }
        if guardians.len() > MOST_GUARDIANS {
            let count = guardians.len();
            return Err(ContractError::TooManyGuardians { count, most: MOST_GUARDIANS });
        }
        let mut numbers = Vec::new();
        for guardian in guardians {
            check_address(guardian)?;
            let number = self.serving(guardian, &digest)?.number;
            if numbers.contains(&number) {
                return Err(ContractError::GuardianTwice { address: guardian.clone() });
            }
            numbers.push(number);
        }
        let model = self.models.get_mut(&digest).expect("it is known");
        let before = std::mem::replace(&mut model.guardians, numbers.clone());
        let mut table = self.table(&digest, cx.next_table());
        for number in before.into_iter().filter(|number| !numbers.contains(number)) {
            match self.weight(cx, &digest, number) {
                0 => table.remove(&number),
                weight => table.insert(number, weight),
            };
        }
        self.seat_guardians(cx, &digest, &mut table, None);
        self.store_table(cx, &digest, table);
        Ok(())
    }

    pub fn serving(&self, address: &str, model: &ModelDigest) -> Result<&Node, ContractError> {
        let node = self.nodes.get(address);
        let node = node.ok_or_else(|| ContractError::NotRegistered { address: address.into() })?;
        if node.models.contains(model) {
            Ok(node)
        } else {
            Err(ContractError::NotServing { node: address.into(), model: *model })
        }
    }

    fn check_stake(&self, cx: &Cx, node: &Node) -> Answer {
        let needed = self.dearest_stake(cx, &node.models)?;
        if node.stake < needed {
            return Err(ContractError::StakeTooLow { stake: node.stake.into(), needed: needed.into() });
        }
        Ok(())
    }

    fn dearest_stake(&self, cx: &Cx, models: &[ModelDigest]) -> Result<u128, ContractError> {
        if models.is_empty() || models.len() > MOST_MODELS {
            return Err(ContractError::BadModelCount { count: models.len(), most: MOST_MODELS });
        }
        for (place, model) in models.iter().enumerate() {
            if models[..place].contains(model) {
                return Err(ContractError::ModelTwice { model: *model });
            }
            if !self.models.contains_key(model) {
                return Err(ContractError::UnknownModel { model: *model });
            }
        }
        Ok(models.iter().map(|model| self.least_stake(cx, model)).max().expect("there is one"))
    }

    pub fn check_open(&self, digest: &ModelDigest) -> Answer {
        match self.models.get(digest) {
            None => Err(ContractError::UnknownModel { model: *digest }),
            Some(model) if model.deprecated => Err(ContractError::ModelDeprecated { model: *digest }),
            Some(_) => Ok(()),
        }
    }
}

fn check_endpoint(endpoint: &str) -> Answer {
    let host = ["http://", "https://"].iter().find_map(|scheme| endpoint.strip_prefix(scheme));
    let named = host.is_some_and(|host| host.chars().next().is_some_and(|first| first != '/'));
    let plain = endpoint.chars().all(|c| ('!'..='~').contains(&c) && !"?#@\\".contains(c));
    if named && plain && endpoint.len() <= 256 {
        Ok(())
    } else {
        Err(ContractError::BadEndpoint { endpoint: endpoint.into() })
    }
}
