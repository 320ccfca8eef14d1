//! A stake against a plain model of it, unit by unit.

use std::collections::BTreeSet;

use assay_common::evidence::Cusum;
use assay_common::reputation::Reputation;
use assay_contract::stake::MAX_UNBONDINGS;
use assay_contract::state::{Node, NodeNumber};
use cosmwasm_std::Uint128;
use proptest::prelude::*;

/// What an owner, a court and time do to a stake.
#[derive(Clone, Copy, Debug)]
enum Step {
    Bond(u128),
    Unbond(u128),
    Slash(u128),
    Wait(u64),
    Withdraw,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u128..50).prop_map(Step::Bond),
        (0u128..30).prop_map(Step::Unbond),
        (0u128..40).prop_map(Step::Slash),
        (0u64..80).prop_map(Step::Wait),
        Just(Step::Withdraw),
    ]
}

/// The plain model: one unit after the other, each with the time at which it leaves, if it is on its way out.
#[derive(Default)]
struct Units {
    /// In the order in which a slash spares them: asked for first, asked for last, bonded.
    held: Vec<Option<u64>>,
}

impl Units {
    fn bonded(&self) -> u128 {
        self.held.iter().filter(|unit| unit.is_none()).count() as u128
    }

    fn releases(&self) -> Vec<u64> {
        self.held.iter().flatten().copied().collect()
    }
}

proptest! {
    #[test]
    fn bonds_unbondings_slashes_and_withdrawals_conserve_every_unit(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut node = Node {
            number: NodeNumber(0),
            models: Vec::new(),
            endpoint: String::new(),
            stake: 0u128.into(),
            unbonding: Vec::new(),
            reputation: Reputation::default(),
            benched: false,
            cusum: Cusum::default(),
            last_epoch: None,
        };
        let (mut units, mut now) = (Units::default(), 0u64);
        let (mut paid_in, mut paid_out, mut slashed) = (0u128, 0u128, 0u128);
        for step in steps {
            match step {
                Step::Bond(amount) => {
                    node.stake += Uint128::new(amount);
                    units.held.extend(vec![None; amount as usize]);
                    paid_in += amount;
                }
                Step::Unbond(amount) => {
                    // Each part leaves at a time of its own, so that the model can tell them apart.
                    let release = now + 100;
                    now += 1;
                    let parts: BTreeSet<u64> = units.releases().into_iter().collect();
                    let fits = amount > 0 && amount <= units.bonded() && parts.len() < MAX_UNBONDINGS;
                    prop_assert_eq!(node.unbond(amount.into(), release).is_ok(), fits);
                    if fits {
                        let bonded = units.held.iter_mut().filter(|unit| unit.is_none());
                        bonded.take(amount as usize).for_each(|unit| *unit = Some(release));
                    }
                }
                Step::Slash(amount) => {
                    let taken = node.take(amount.into()).u128();
                    prop_assert_eq!(taken, amount.min(units.held.len() as u128));
                    units.held.truncate(units.held.len() - taken as usize);
                    slashed += taken;
                }
                Step::Wait(seconds) => now += seconds,
                Step::Withdraw => {
                    let before = units.held.len();
                    units.held.retain(|unit| unit.is_none_or(|release| release > now));
                    let released = node.release(now).unwrap().u128();
                    prop_assert_eq!(released, (before - units.held.len()) as u128);
                    paid_out += released;
                }
            }
            prop_assert_eq!(node.stake.u128(), units.bonded());
            let parts: Vec<u64> =
                node.unbonding.iter().flat_map(|part| vec![part.release; part.amount.u128() as usize]).collect();
            prop_assert_eq!(parts, units.releases());
            prop_assert_eq!(paid_in, node.at_stake().unwrap().u128() + paid_out + slashed);
            prop_assert_eq!(node.has_left(), units.held.is_empty());
        }
    }
}
