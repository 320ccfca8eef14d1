//! The attacks on the economy, each lived through for a year beside an honest twin.

use assay_common::params::PPM;
use assay_common::reputation::Reputation;

use super::bench::Bench;
use super::conduct::{Attack, Conduct};
use super::contest::{contest, Contest, Trials};
use super::figures::{amount, paying, percent, signed_percent, table, whole};
use super::interval::Spread;
use super::standing::Standing;
use super::terms::Terms;

/// Length and number of the careers of each attack.
const EPOCHS: u32 = 365;
const RUNS: u32 = 40;

/// One attack of the table.
struct Case {
    name: &'static str,
    conduct: Conduct,
    twin: Conduct,
    /// Whether it begins with full reputation, earned when it had more to do.
    established: bool,
    /// Whether a third of the stake on its juries protects it.
    protected: bool,
}

fn case(name: &'static str, conduct: Conduct) -> Case {
    Case { name, conduct, twin: conduct.twin(), established: false, protected: false }
}

fn established(name: &'static str, conduct: Conduct) -> Case {
    Case { established: true, ..case(name, conduct) }
}

fn cases() -> Vec<Case> {
    use Attack::{Held, Quit, Sleeper, Steady, Throttle};
    let cheat = Conduct::cheat;
    let plain = Conduct::honest(100);
    let dealing = |attack, share| Conduct { self_dealing: true, ..cheat(attack, share, 100) };
    let primed = |share| Conduct { primed: true, ..dealing(Held, share) };
    let filled = |fillers| Conduct { fillers, ..cheat(Steady, 1.0, 100) };
    let throttled = Conduct { wary: 0.5, ..cheat(Throttle, 0.1, 100) };
    let alone = case("honest, but earns reputation with own inferences", dealing(Attack::Honest, 0.0));
    let protected = established("a third of its jurors protect it, 10 %", cheat(Steady, 0.1, 100));
    vec![
        case("cheats on everything from its first day", cheat(Steady, 1.0, 100)),
        case("10 % from its first day", cheat(Steady, 0.1, 100)),
        case(
            "the same, and again after every forfeit",
            Conduct { relapses: true, ..cheat(Steady, 0.1, 100) },
        ),
        case("3 % from its first day", cheat(Steady, 0.03, 100)),
        case("sleeper: honest until its reputation stops rising, then 10 %", cheat(Sleeper, 0.1, 100)),
        case("sleeper of 10,000 an epoch, 10 %", cheat(Sleeper, 0.1, 10_000)),
        case("sleeper of 10,000 an epoch, 3 %", cheat(Sleeper, 0.03, 10_000)),
        established("full reputation, 10 %", cheat(Steady, 0.1, 100)),
        established("full reputation, 5 %", cheat(Steady, 0.05, 100)),
        established("full reputation, 3 %", cheat(Steady, 0.03, 100)),
        established("full reputation, 10 % while its evidence is low, else none", throttled),
        established("full reputation, 8 inferences an epoch, half of them", cheat(Steady, 0.5, 8)),
        established(
            "full reputation, batches of one inference, 10 %",
            Conduct { batch: Some(1), ..cheat(Steady, 0.1, 100) },
        ),
        established("full reputation, 20 own fillers beside each, everything", filled(20)),
        established("full reputation, 60 own fillers beside each, everything", filled(60)),
        Case { protected: true, ..protected },
        Case { twin: plain, ..alone },
        case("own inferences; held until full reputation, 10 %", dealing(Held, 0.1)),
        case("own inferences; held and primed by one honest claim, 10 %", primed(0.1)),
        case("own inferences; held and primed, 5 %", primed(0.05)),
        case("own inferences; held and primed, everything", primed(1.0)),
        case("own inferences; quits before the bound and returns, everything", dealing(Quit, 1.0)),
        case("own inferences; quits and returns, 10 %", dealing(Quit, 0.1)),
        case("own inferences; quits and returns, 5 %", dealing(Quit, 0.05)),
    ]
}

const WHAT_PAYS: &str = "**What pays**, and what would change it:

- *A few per cent at full reputation*, whether steady or throttled by the evidence. A year is too short to condemn the smallest of them,
  and they stay ahead even when it comes (first table). The lever is a lower p₀.
- *Reputation from own inferences*. It is no fraud, and a small node is better off with it; but it makes a new identity of full
  reputation cost 30 epochs of the least number of checks, some 200,000 units, instead of honest work for others.
- *Quitting before the bound and returning* with such an identity: the slash is never paid, only the way back is. The lever for both is
  to count tokens, or fees of others, towards the checked inferences that reputation needs.

**What does not**: cheating at the rate of a new node, sleeping at one's own volume, small batches (evidence is carried), fillers
(evidence weighs tokens), batches of one (the number of samples is rounded up), holding batches back (a session's mark keeps the old
rate). A session can be primed: its first claim, one honest inference, lowers the mark for everything that was held behind it. That earns
a holder the low rate, and so at most what the same share earns at full reputation; a mark that never falls within a session would take
it away.
";

/// The section of the page.
pub fn section(terms: &Terms, seed: u64) -> String {
    let bench = Bench::new(&(0..terms.jury.most_nodes).map(|node| (1, node % 3 == 1)).collect::<Vec<_>>());
    let rows: Vec<_> = cases().iter().map(|case| row(terms, case, &bench, seed)).collect();
    let head = [
        "attack",
        "gain, median (5 to 95 %)",
        "of honest profit",
        "runs ahead of the honest twin",
        "runs with a forfeit",
        "epochs before it",
        "identities",
    ];
    format!(
        "## Attacks, over a year\n
Each lives {EPOCHS} epochs beside an honest twin with the same demand and start, {RUNS} times; the gain is the difference of their profits
over all of them, in brackets the middle nine tenths. 100 inferences an epoch, new nodes, and honesty after a forfeit unless said
otherwise. Own inferences and fillers are one-token answers in own sessions at a fee of one unit, which comes back: they cost only their
checks. Where a cheat earns reputation with them, so does its twin. Evidence and reputation are on chain, so everybody can time what it
does by them.\n
{}
{}",
        table(&head, &rows),
        WHAT_PAYS,
    )
}

fn row(terms: &Terms, case: &Case, bench: &Bench, seed: u64) -> Vec<String> {
    let start = if case.established { Standing::with(Reputation(PPM)) } else { Standing::default() };
    let trials = Trials { start, epochs: EPOCHS, runs: RUNS, seed };
    let bench = case.protected.then_some(bench);
    let mut seats = vec![0; terms.jury.most_nodes as usize];
    let Contest { gain, honest_profit, ahead, condemned, first_forfeit, identities_per_career, .. } =
        contest(terms, (case.conduct, case.twin), &trials, bench, &mut seats).0;
    let Spread { median, p5, p95, .. } = gain;
    vec![
        case.name.into(),
        format!("{} ({} to {})", paying(median as f64), whole(p5), whole(p95)),
        signed_percent(median as f64 / honest_profit),
        format!("{} of {}", ahead.hits, ahead.trials),
        percent(condemned.share()),
        first_forfeit.map_or("–".into(), |first| whole(first.median)),
        amount(identities_per_career),
    ]
}
