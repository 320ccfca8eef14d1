//! Stake tables: by epoch a plain map from node to stake.

use std::collections::BTreeMap;

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::params::MAX_NODES_PER_MODEL;
use assay_contract::error::ContractError;
use assay_contract::sweep::Item;

use super::{Cx, Node, World};

pub type Table = BTreeMap<u32, u128>;

impl World {
    /// The table that is in force in an epoch.
    pub fn table(&self, model: &ModelDigest, epoch: u64) -> Table {
        let earlier = self.tables.range((*model, 0)..=(*model, epoch));
        earlier.last().map(|(_, table)| table.clone()).unwrap_or_default()
    }

    pub fn others(&self, model: &ModelDigest, epoch: Epoch, executor: u32) -> u32 {
        let table = self.table(model, epoch.0);
        u32::try_from(table.keys().filter(|number| **number != executor).count()).expect("at most 512")
    }

    /// The model's next table with one node at a stake, and the guardians that it then needs.
    ///
    /// # Errors
    /// It would be too long.
    pub fn planned_table(
        &self,
        cx: &Cx,
        model: &ModelDigest,
        (number, stake): (u32, u128),
    ) -> Result<Table, ContractError> {
        let mut table = self.table(model, cx.next_table());
        put(&mut table, number, stake);
        if table.len() > MAX_NODES_PER_MODEL {
            return Err(ContractError::ModelFull { model: *model, most: MAX_NODES_PER_MODEL });
        }
        self.seat_guardians(cx, model, &mut table, Some(number));
        Ok(table)
    }

    /// `changed` has its place already.
    pub fn seat_guardians(&self, cx: &Cx, model: &ModelDigest, table: &mut Table, changed: Option<u32>) {
        let guardians = &self.models[model].guardians;
        let others = table.keys().filter(|number| !guardians.contains(number)).count();
        let needed = others <= cx.params.jury.min_others_to_slash as usize;
        for guardian in guardians {
            if !needed {
                table.remove(guardian);
            } else if changed != Some(*guardian) {
                put(table, *guardian, self.weight(cx, model, *guardian));
            }
        }
    }

    /// What a guardian may sit by.
    pub fn weight(&self, cx: &Cx, model: &ModelDigest, number: u32) -> u128 {
        let node = &self.nodes[&self.numbers[number as usize]];
        let eligible = node.models.contains(model) && !node.benched;
        if eligible && node.stake >= self.least_stake(cx, model) {
            node.stake
        } else {
            0
        }
    }

    pub fn least_stake(&self, cx: &Cx, model: &ModelDigest) -> u128 {
        self.models[model].reference_fee * u128::from(cx.params.fees.min_stake_fees)
    }

    pub fn store_table(&mut self, cx: &Cx, model: &ModelDigest, table: Table) {
        let epoch = cx.next_table();
        let before = self.tables.range((*model, 0)..(*model, epoch)).last().map(|((_, from), _)| *from);
        let known = self.tables.insert((*model, epoch), table).is_some();
        // The contract says again what the agenda holds; the map is the same for it.
        if let Some(from) = before.filter(|_| !known) {
            let item = Item::Table { model: *model, from: Epoch(from), until: Epoch(epoch) };
            self.schedule(epoch, item);
        }
    }

    /// Has the next tables of a node's models follow its stake, where it is in them: out of them if it is too low or benched.
    pub fn follow_stake(&mut self, cx: &Cx, address: &str) {
        let Node { number, models, stake, benched, .. } = self.nodes[address].clone();
        for model in models {
            if self.table(&model, cx.next_table()).contains_key(&number) {
                let stays = !benched && stake >= self.least_stake(cx, &model);
                let table = self.planned_table(cx, &model, (number, if stays { stake } else { 0 }));
                self.store_table(cx, &model, table.expect("nobody enters"));
            }
        }
    }
}

fn put(table: &mut Table, number: u32, stake: u128) {
    if stake == 0 {
        table.remove(&number);
    } else {
        table.insert(number, stake);
    }
}
