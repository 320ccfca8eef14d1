//! Random messages against the contract and against the model of it: equal answers, word for word, and equal states.
//!
//! Invariant 6 and all others that a state can show are checked after each message. A run is repeated by its seed, which is
//! printed: `ASSAY_RANDOM_SEED=7 cargo test -p assay-contract --test all random_messages -- --nocapture` plays chain 7 alone.
//! A million messages: `ASSAY_RANDOM_CHAINS=500 cargo test -p assay-contract --test all random_messages -- --nocapture`.
//!
//! The messages are chosen by looking at the model (whose beacon is missing, which page can be revealed), so that most of them
//! are accepted; sequences that are shrunk piece by piece would not be. That is why there is a seeded driver here and not
//! proptest's state machine.

mod chain;
mod deeds;
mod dice;
mod faults;
mod frauds;
mod governance;
mod moves;
mod reach;
mod verdicts;
mod winding;

use std::sync::atomic::{AtomicU64, Ordering};

use chain::Chain;
use reach::Reach;

/// Messages of one chain, without those that wind it down.
const MESSAGES: u64 = 2_000;
/// Chains that the tests play unless the environment says otherwise: 10⁵ messages.
const CHAINS: u64 = 50;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn play(seed: u64) -> Reach {
    let mut chain = Chain::new(seed);
    while chain.reach.sent < MESSAGES {
        chain.step();
    }
    chain.wind_down();
    chain.reach
}

/// Plays chains of rising seeds until `count` are begun, on as many threads as there are processors.
fn play_all(count: u64) -> Reach {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let player = || {
        let mut reach = Reach::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return reach;
            }
            reach.add(&play(seed));
        }
    };
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(player)).collect();
        let mut all = Reach::default();
        for player in players {
            all.add(&player.join().expect("the chain that failed says so above"));
        }
        all
    })
}

#[test]
fn random_messages_find_contract_and_model_of_one_mind() {
    let started = std::time::Instant::now();
    if let Some(seed) = from_environment("ASSAY_RANDOM_SEED") {
        play(seed).print();
        return;
    }
    let chains = from_environment("ASSAY_RANDOM_CHAINS").unwrap_or(CHAINS);
    let reach = play_all(chains);
    println!("seeds 0 to {}, {} s", chains - 1, started.elapsed().as_secs());
    reach.print();
    let missing = reach.missing();
    assert!(missing.is_empty(), "not reached: {missing:#?}");
}
