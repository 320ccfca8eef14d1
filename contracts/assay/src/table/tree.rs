//! How a stake table is stored: a B+ tree of two levels, copied on write.
//!
//! What fits into one leaf is stored whole, under the model and the epoch. Of a larger table there lies only a list of its
//! leaves; each leaf stays under the epoch that it was written for, and the tables of later epochs share it until one of its
//! nodes changes. So a change writes one leaf and the list, and a draw reads each leaf by its key.
//! See `docs/decisions/0013-a-stake-table-is-a-tree.md`.

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::params::MAX_NODES_PER_MODEL;
use cosmwasm_std::{Order, StdError, Storage, Uint128};
use cw_storage_plus::Bound;
use serde::{Deserialize, Serialize};

use crate::error::ContractError;
use crate::state::{NodeNumber, TABLES, TABLE_LEAVES};
use crate::table::{Place, StakeTable};

/// Nodes of one leaf. A draw pays some 1,400 gas for each leaf of the table, and a change 33 gas for each byte of one.
pub const LEAF: usize = 64;
const HALF: usize = LEAF / 2;

/// Nodes and their stakes, none of them 0, in the order of their numbers; stored are the differences of the numbers, one byte
/// each in most tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u128)>", into = "Vec<(u32, u128)>")]
pub struct Leaf(Vec<(NodeNumber, u128)>);

impl From<Vec<(u32, u128)>> for Leaf {
    fn from(steps: Vec<(u32, u128)>) -> Self {
        let nodes = steps.into_iter().scan(0u32, |number, (step, stake)| {
            *number = number.saturating_add(step);
            Some((NodeNumber(*number), stake))
        });
        Self(nodes.collect())
    }
}

impl From<Leaf> for Vec<(u32, u128)> {
    fn from(Leaf(nodes): Leaf) -> Self {
        let steps = nodes.into_iter().scan(0u32, |before, (NodeNumber(number), stake)| {
            let step = number.saturating_sub(*before);
            *before = number;
            Some((step, stake))
        });
        steps.collect()
    }
}

impl Leaf {
    fn place(&self, node: NodeNumber) -> Result<usize, usize> {
        self.0.binary_search_by_key(&node, |(other, _)| *other)
    }
}

/// Where a leaf lies: under (model, `first`, `written`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// No node of the leaf has a lower number, and none of an earlier leaf this or a higher one.
    pub first: NodeNumber,
    pub nodes: u32,
    pub written: Epoch,
}

/// What is stored of a table under (model, epoch).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    Whole(Leaf),
    /// At least two. Two neighbours hold more than one leaf could, so there are fewer than two for each 64 nodes.
    Split(Vec<Branch>),
}

/// One leaf of a table at work.
#[derive(Clone, Debug)]
struct Part {
    branch: Branch,
    /// `None` until it is asked for.
    leaf: Option<Leaf>,
    changed: bool,
}

impl Part {
    fn new(first: NodeNumber, leaf: Leaf) -> Self {
        let nodes = u32::try_from(leaf.0.len()).unwrap_or(u32::MAX);
        Self { branch: Branch { first, nodes, written: Epoch(0) }, leaf: Some(leaf), changed: true }
    }
}

/// A model's table at work: leaves are read when they are needed, and written if they have changed.
#[derive(Clone, Debug)]
pub struct Tree {
    model: ModelDigest,
    /// At least one, the first from number 0 on.
    parts: Vec<Part>,
    /// The epoch from which on the table holds that this is made of, and where its leaves are; `None` if there was none.
    origin: Option<(Epoch, Vec<Branch>)>,
}

impl Tree {
    /// A table with nobody in it.
    pub fn new(model: ModelDigest) -> Self {
        Self { model, parts: vec![Part::new(NodeNumber(0), Leaf::default())], origin: None }
    }

    /// The table that is in force in an epoch; an empty one where no node ever served the model.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub fn in_force(storage: &dyn Storage, model: &ModelDigest, epoch: Epoch) -> Result<Self, ContractError> {
        let end = Some(Bound::inclusive(epoch.0));
        let mut tables = TABLES.prefix(&model.0).range(storage, None, end, Order::Descending);
        let Some((from, root)) = tables.next().transpose()? else { return Ok(Self::new(*model)) };
        let (parts, branches) = match root {
            Root::Whole(leaf) => (vec![Part::new(NodeNumber(0), leaf)], Vec::new()),
            Root::Split(branches) => {
                let part = |branch: &Branch| Part { branch: *branch, leaf: None, changed: false };
                (branches.iter().map(part).collect(), branches)
            }
        };
        Ok(Self { model: *model, parts, origin: Some((Epoch(from), branches)) })
    }

    /// From which epoch on the table holds that this one is made of.
    pub fn origin(&self) -> Option<Epoch> {
        self.origin.as_ref().map(|(from, _)| *from)
    }

    /// How many nodes are in it.
    pub fn nodes(&self) -> u32 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.branch.nodes))
    }

    /// Whether a node is in it.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub fn has(&mut self, storage: &dyn Storage, node: NodeNumber) -> Result<bool, ContractError> {
        let at = self.part_of(node);
        Ok(self.leaf(storage, at)?.place(node).is_ok())
    }

    /// Puts a node in at a stake; at zero, takes it out.
    ///
    /// # Errors
    /// The table is full, or storage cannot be read.
    pub fn set(
        &mut self,
        storage: &dyn Storage,
        node: NodeNumber,
        stake: Uint128,
    ) -> Result<(), ContractError> {
        let is_full = usize::try_from(self.nodes()).unwrap_or(usize::MAX) >= MAX_NODES_PER_MODEL;
        let (at, model) = (self.part_of(node), self.model);
        let leaf = self.leaf(storage, at)?;
        match leaf.place(node) {
            Err(_) if stake.is_zero() => return Ok(()),
            Err(_) if is_full => return Err(ContractError::ModelFull { model, most: MAX_NODES_PER_MODEL }),
            Err(place) => leaf.0.insert(place, (node, stake.u128())),
            Ok(place) if stake.is_zero() => {
                leaf.0.remove(place);
            }
            Ok(place) => leaf.0[place].1 = stake.u128(),
        }
        self.changed(storage, at)
    }

    /// All of it, as juries are drawn by.
    ///
    /// # Errors
    /// Storage cannot be read, or the stakes add up to more than u128 holds.
    pub fn table(mut self, storage: &dyn Storage) -> Result<StakeTable, ContractError> {
        let mut places = Vec::with_capacity(usize::try_from(self.nodes()).unwrap_or(0));
        let mut cumulative = Uint128::zero();
        for at in 0..self.parts.len() {
            for (node, stake) in &self.leaf(storage, at)?.0 {
                cumulative = cumulative.checked_add(Uint128::new(*stake))?;
                places.push(Place { node: *node, cumulative: cumulative.u128() });
            }
        }
        Ok(StakeTable(places))
    }

    /// Stores it as the table of an epoch, in place of the one that it has.
    ///
    /// # Errors
    /// Storage cannot be read or written.
    pub fn save(mut self, storage: &mut dyn Storage, epoch: Epoch) -> Result<(), ContractError> {
        let root = if self.parts.len() > 1 {
            self.save_leaves(storage, epoch)?
        } else {
            Root::Whole(std::mem::take(self.leaf(storage, 0)?))
        };
        // Leaves of earlier epochs' tables are theirs; what this very epoch had and has no more is nobody's.
        let replaced = self.origin.filter(|(from, _)| *from == epoch).map(|(_, branches)| branches);
        let replaced = replaced.into_iter().flatten().filter(|branch| branch.written == epoch);
        let kept = root.branches();
        for old in replaced.filter(|old| kept.iter().all(|new| new.first != old.first)) {
            remove_leaf(storage, &self.model, &old);
        }
        Ok(TABLES.save(storage, (&self.model.0, epoch.0), &root)?)
    }

    fn save_leaves(&mut self, storage: &mut dyn Storage, epoch: Epoch) -> Result<Root, ContractError> {
        let mut branches = Vec::with_capacity(self.parts.len());
        for Part { branch, leaf, changed } in &mut self.parts {
            if let Some(leaf) = leaf.as_ref().filter(|_| *changed) {
                branch.written = epoch;
                TABLE_LEAVES.save(storage, (&self.model.0, branch.first.0, epoch.0), leaf)?;
            }
            branches.push(*branch);
        }
        Ok(Root::Split(branches))
    }

    /// Which part a node is in, if it is in any.
    fn part_of(&self, node: NodeNumber) -> usize {
        self.parts.partition_point(|part| part.branch.first <= node).saturating_sub(1)
    }

    fn leaf(&mut self, storage: &dyn Storage, at: usize) -> Result<&mut Leaf, ContractError> {
        let Part { branch: Branch { first, written, .. }, leaf, .. } = &mut self.parts[at];
        if leaf.is_none() {
            *leaf = TABLE_LEAVES.may_load(storage, (&self.model.0, first.0, written.0))?;
        }
        let missing = || StdError::msg(format!("no leaf of {} from node {} on", self.model, first.0));
        Ok(leaf.as_mut().ok_or_else(missing)?)
    }

    /// Notes what has become of a leaf: one that is too large is halved, and one that is so small that it has room in a
    /// neighbour goes there.
    fn changed(&mut self, storage: &dyn Storage, at: usize) -> Result<(), ContractError> {
        self.count(storage, at)?;
        if self.leaf(storage, at)?.0.len() > LEAF {
            self.split(storage, at)?;
            self.merge(storage, at.saturating_add(1))?;
        }
        self.merge(storage, at)
    }

    fn count(&mut self, storage: &dyn Storage, at: usize) -> Result<(), ContractError> {
        let nodes = u32::try_from(self.leaf(storage, at)?.0.len()).unwrap_or(u32::MAX);
        let part = &mut self.parts[at];
        (part.branch.nodes, part.changed) = (nodes, true);
        Ok(())
    }

    /// The last leaf stays full: whoever comes next has the highest number, as a rule.
    fn split(&mut self, storage: &dyn Storage, at: usize) -> Result<(), ContractError> {
        let is_last = at.saturating_add(1) == self.parts.len();
        let right = self.leaf(storage, at)?.0.split_off(if is_last { LEAF } else { HALF });
        self.count(storage, at)?;
        if let Some((first, _)) = right.first() {
            self.parts.insert(at.saturating_add(1), Part::new(*first, Leaf(right)));
        }
        Ok(())
    }

    fn merge(&mut self, storage: &dyn Storage, at: usize) -> Result<(), ContractError> {
        let nodes = |part: &Part| usize::try_from(part.branch.nodes).unwrap_or(usize::MAX);
        let fits = |left: &usize| match self.parts.get(*left..left.saturating_add(2)) {
            Some([left, right]) => nodes(left).saturating_add(nodes(right)) <= LEAF,
            _ => false,
        };
        let Some(left) = at.checked_sub(1).into_iter().chain([at]).find(fits) else { return Ok(()) };
        let right = left.saturating_add(1);
        let moved = std::mem::take(self.leaf(storage, right)?);
        self.parts.remove(right);
        self.leaf(storage, left)?.0.extend(moved.0);
        self.count(storage, left)
    }
}

impl Root {
    /// Where its leaves are, if they are elsewhere.
    pub fn branches(&self) -> &[Branch] {
        match self {
            Self::Whole(_) => &[],
            Self::Split(branches) => branches,
        }
    }
}

fn remove_leaf(storage: &mut dyn Storage, model: &ModelDigest, branch: &Branch) {
    TABLE_LEAVES.remove(storage, (&model.0, branch.first.0, branch.written.0));
}

/// Removes the table that is in force from an epoch on, and those of its leaves that neither the table before nor the one after
/// shares: a leaf is shared by tables that follow one another. The one after changes no more, for it is in force.
///
/// # Errors
/// Storage cannot be read.
pub fn remove(storage: &mut dyn Storage, model: &ModelDigest, from: Epoch) -> Result<(), ContractError> {
    let Some(root) = TABLES.may_load(storage, (&model.0, from.0))? else { return Ok(()) };
    if let Root::Split(branches) = root {
        let (tables, at) = (TABLES.prefix(&model.0), Some(Bound::exclusive(from.0)));
        let before = tables.range(storage, None, at.clone(), Order::Descending).next().transpose()?;
        let after = tables.range(storage, at, None, Order::Ascending).next().transpose()?;
        let shared = |branch: &Branch| {
            let mut others = before.iter().chain(&after);
            others.any(|(_, root)| root.branches().contains(branch))
        };
        for branch in branches.iter().filter(|branch| !shared(branch)) {
            remove_leaf(storage, model, branch);
        }
    }
    TABLES.remove(storage, (&model.0, from.0));
    Ok(())
}
