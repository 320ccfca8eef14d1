//! The economics that `assayd simulate` prints: against the design's figures, exact chances, and the committed page.

#[path = "simulate/fixture.rs"]
mod fixture;
#[path = "simulate/measured.rs"]
mod measured;

use std::path::Path;

use assay_common::params::PPM;
use assay_common::reputation::Reputation;
use assay_sidecar::simulate::capture::{count, exact, Pool};
use assay_sidecar::simulate::conduct::{Attack, Conduct};
use assay_sidecar::simulate::contest::{contest, Contest, Trials};
use assay_sidecar::simulate::gain::{loss, Gain};
use assay_sidecar::simulate::honest::Honest;
use assay_sidecar::simulate::network::Network;
use assay_sidecar::simulate::standing::Standing;
use assay_sidecar::simulate::terms::Terms;
use assay_sidecar::simulate::{load, page};

const SEED: u64 = 1;

/// Hostile share → a fraud passes, an honest answer fails, a fraud is confirmed: the design's figures.
const DESIGN: [(f64, [f64; 3]); 5] = [
    (0.1, [1.0e-3, 5.7e-10, 1.00]),
    (0.2, [8.0e-3, 4.4e-6, 0.95]),
    (0.25, [1.6e-2, 6.6e-5, 0.86]),
    (1.0 / 3.0, [3.8e-2, 1.8e-3, 0.59]),
    (0.4, [7.3e-2, 1.2e-2, 0.34]),
];

fn tried(conduct: Conduct, reputation: u32, epochs: u32) -> Contest {
    let start = Standing::with(Reputation(reputation));
    let trials = Trials { start, epochs, runs: 20, seed: SEED };
    contest(&Terms::default(), (conduct, conduct.twin()), &trials, None, &mut []).0
}

#[test]
fn the_committed_page_is_what_the_command_prints() {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let committed = std::fs::read_to_string(docs.join("economics.md")).expect("docs/economics.md is there");
    let present = |name: &str| Some(docs.join(name)).filter(|path| path.exists());
    let calibration = present("science/calibration.json");
    let scores = present("science/scores.json");
    let basis = calibration.map(|path| load(&path, scores.as_deref()).expect("what was measured"));
    assert!(
        committed == page(SEED, basis.as_ref()),
        "docs/economics.md is old: the command that it begins with writes it"
    );
}

#[test]
fn exact_chances_of_capture_are_the_designs_to_its_digits() {
    for (hostile, [passes, framed, confirmed]) in DESIGN {
        let exact = exact(&Pool::Split { hostile }, &Terms::default().jury);
        for (ours, design) in [(exact.passes, passes), (exact.framed, framed), (exact.confirmed, confirmed)] {
            assert!((ours - design).abs() <= 0.025 * design, "{hostile}: {ours} for {design}");
        }
    }
}

#[test]
fn juries_drawn_by_the_contract_are_captured_as_often_as_the_binomial_says() {
    let terms = Terms::default().jury;
    for (hostile, _) in DESIGN {
        let pool = Pool::Split { hostile };
        let counted = count(&pool, &pool.bench(20_000), &terms, 20_000, SEED);
        let exact = exact(&pool, &terms);
        assert!(counted.agrees(&exact), "{hostile}: {counted:?} for {exact:?}");
    }
}

#[test]
fn where_nodes_are_few_a_juror_is_seated_once() {
    let terms = Terms::default().jury;
    let pool = Pool::Nodes { hostile: 30, hostile_stake: 10, honest: 10, honest_stake: 60 };
    let exact_here = exact(&pool, &terms);
    let counted = count(&pool, &pool.bench(40), &terms, 20_000, SEED);
    assert!(counted.agrees(&exact_here), "{counted:?} for {exact_here:?}");
    // A third of the stake, and ten honest nodes can never be fourteen of twenty-one seats.
    assert_eq!(exact_here.confirmed, 0.0);
    assert!(exact_here.framed > 5.0 * exact(&Pool::Split { hostile: 1.0 / 3.0 }, &terms).framed);
}

/// Share → median audits of 100,000 cheats in another program of the same evidence, and the design's figure.
#[test]
fn the_median_audits_to_a_forfeit_are_another_programs_and_near_the_designs() {
    for (share, other, design) in
        [(1.0, 9, 9.0), (0.1, 204, 213.0), (0.05, 845, 872.0), (0.03, 2_232, 2_249.0)]
    {
        let audits = Gain::of(&Terms::default(), share, 8_001, SEED).audits;
        assert!((audits.low..=audits.high).contains(&other), "{share}: {audits:?} for {other}");
        let apart = (audits.value as f64 - design).abs() / design;
        assert!(apart < 0.05, "{share}: {audits:?} for the design's {design}");
    }
}

#[test]
fn a_cheat_of_ten_per_cent_loses_and_one_of_three_gains() {
    let terms = Terms::default();
    let net = |share: f64, volume: u32| Gain::of(&terms, share, 501, SEED).gain - loss(&terms, volume);
    assert!(net(0.1, 100) < -500_000.0);
    assert!(net(0.03, 100) > 500_000.0);
    assert!(net(0.03, 10_000) < -30_000_000.0);
    let lower = terms.with_measured_failures();
    assert!(Gain::of(&lower, 0.03, 501, SEED).gain < loss(&lower, 100));
}

#[test]
fn evidence_is_carried_so_small_batches_are_condemned_too() {
    let small = tried(Conduct::cheat(Attack::Steady, 0.5, 8), PPM, 365);
    assert_eq!(small.condemned.hits, 20, "{small:?}");
    assert!(small.gain.p95 < 0);
}

#[test]
fn a_sleeper_pays_for_what_it_gains_when_it_wakes() {
    let sleeper = tried(Conduct::cheat(Attack::Sleeper, 0.1, 10_000), 0, 120);
    assert_eq!(sleeper.condemned.hits, 20, "{sleeper:?}");
    assert!(sleeper.gain.p95 < 0);
    let first = sleeper.first_forfeit.expect("all are condemned");
    assert!(first.p5 >= 30, "it slept until its reputation was full: {first:?}");
}

#[test]
fn an_honest_executor_has_no_gain_and_no_forfeit() {
    let honest = tried(Conduct::honest(100), 0, 200);
    assert_eq!((honest.gain.p5, honest.gain.p95, honest.condemned.hits), (0, 0, 0));
    let at_the_limit = Honest::count(&Terms::default(), 0.01, (20, 200), SEED);
    assert_eq!(at_the_limit.forfeits.hits, 0);
    let beyond_it = Honest::count(&Terms::default(), 0.05, (20, 200), SEED);
    assert!(beyond_it.forfeits.hits >= 20);
}

#[test]
fn a_seed_gives_one_network_and_another_seed_another() {
    let network = Network { stakes: vec![10_000_000; 8], hostile: 0.26 };
    let run = |seed| {
        let trials = Trials { start: Standing::default(), epochs: 10, runs: 2, seed };
        let conduct = Conduct::cheat(Attack::Steady, 0.3, 50);
        network.run(&Terms::default(), conduct, &trials)
    };
    assert_eq!(run(1).to_string(), run(1).to_string());
    assert_ne!(run(1).to_string(), run(2).to_string());
    let summary = run(1);
    assert_eq!((summary.hostile_nodes, summary.honest.nodes), (2, 5));
    // Every sample has three seats, and those that are contested all seven of the others.
    assert!(
        summary.load.seats >= 3.0 * summary.load.samples && summary.load.seats <= 7.0 * summary.load.samples
    );
}
