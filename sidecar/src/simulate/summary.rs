//! A simulated network as a text table.

use std::fmt;

use super::figures::{amount, percent, whole};
use super::interval::{Rate, Spread};
use super::network::Summary;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} runs of {} epochs", self.seed, self.runs, self.epochs)?;
        writeln!(
            f,
            "{} nodes, {} of them hostile on juries with {} of the stake; {} inferences a node and epoch\n",
            self.nodes,
            self.hostile_nodes,
            percent(self.hostile_stake),
            self.conduct.volume
        )?;
        let cheat = &self.cheat;
        let name = format!("cheat ({:?}, {})", self.conduct.attack, percent(self.conduct.share));
        row(f, &name, "gain over its honest twin", &spread(&cheat.gain))?;
        row(f, "", "the twin's profit", &amount(cheat.honest_profit))?;
        row(f, "", "runs ahead of the twin", &rate(&cheat.ahead))?;
        row(f, "", "runs with a forfeit", &rate(&cheat.condemned))?;
        let first = cheat.first_forfeit.as_ref().map_or("none".into(), spread);
        row(f, "", "epochs before the first", &first)?;
        row(
            f,
            "",
            "forfeits, identities a run",
            &pair(cheat.forfeits_per_career, cheat.identities_per_career),
        )?;
        row(f, "", "contested at level 1", &rate(&cheat.contested))?;
        row(f, "honest nodes", "forfeits of node-epochs", &rate(&self.honest.forfeits))?;
        row(f, "", "profit a node and epoch", &amount(self.honest.profit))?;
        row(f, "", "contested at level 1", &rate(&self.honest.contested))?;
        let load = &self.load;
        row(f, "load an epoch", "samples, seats", &pair(load.samples, load.seats))?;
        let seats = pair(load.seats_of_mean_node, load.seats_of_busiest_node);
        row(f, "", "seats: mean, busiest node", &seats)?;
        row(f, "", "recomputing / generating", &percent(load.recompute_ppm as f64 / 1e6))?;
        let fees = &self.fees;
        row(f, "fees an epoch", "claimed, refunded", &pair(fees.claimed, fees.refunded))?;
        row(f, "", "for checks, reserve", &pair(fees.checks, fees.reserve))?;
        row(f, "", "slashed stake", &amount(fees.slashed))
    }
}

fn row(f: &mut fmt::Formatter<'_>, group: &str, what: &str, value: &str) -> fmt::Result {
    writeln!(f, "{group:<22}  {what:<27}  {value}")
}

fn pair(first: f64, second: f64) -> String {
    format!("{}, {}", amount(first), amount(second))
}

fn spread(spread: &Spread) -> String {
    format!("{} (5 to 95 %: {} to {})", whole(spread.median), whole(spread.p5), whole(spread.p95))
}

fn rate(rate: &Rate) -> String {
    let ends = (percent(rate.low), percent(rate.high));
    format!("{} of {}: 99 % interval {} to {}", rate.hits, rate.trials, ends.0, ends.1)
}
