//! How an executor behaves: when it cheats, on what share, and with what tricks around it.

use serde::Serialize;

/// When an executor cheats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Never.
    Honest,
    /// In every epoch.
    Steady,
    /// From when its reputation no longer rises.
    Sleeper,
    /// While its evidence on chain is low, honest while it is high.
    Throttle,
    /// A sleeper that leaves before its evidence reaches the bound, and comes back as a new node.
    Quit,
    /// From the start, but commits those batches only when its reputation no longer rises.
    Held,
}

/// What an executor does in each epoch.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Conduct {
    pub attack: Attack,
    /// Share of its requesters' inferences that a cheating executor does not run as promised.
    pub share: f64,
    /// Inferences that requesters ask for in an epoch.
    pub volume: u32,
    /// Inferences of a batch; as few batches as the limits allow where none is given.
    pub batch: Option<u32>,
    /// Own honest one-token inferences beside each of a requester's while cheating; they cost only their checks.
    pub fillers: u32,
    /// Whether it earns reputation with own inferences where requesters ask for too few.
    pub self_dealing: bool,
    /// Whether a held session first claims one honest inference, which lowers the session's mark.
    pub primed: bool,
    /// Share of the bound at which `Throttle` pauses and `Quit` leaves.
    pub wary: f64,
    /// Whether it goes on cheating after a forfeit; otherwise it is honest from then on.
    pub relapses: bool,
}

impl Conduct {
    pub fn honest(volume: u32) -> Self {
        Self {
            attack: Attack::Honest,
            share: 0.0,
            volume,
            batch: None,
            fillers: 0,
            self_dealing: false,
            primed: false,
            wary: 0.8,
            relapses: false,
        }
    }

    /// The same demand, attacked.
    pub fn cheat(attack: Attack, share: f64, volume: u32) -> Self {
        Self { attack, share, ..Self::honest(volume) }
    }

    /// Who a cheat is compared with: honest, with the same demand and the same way to reputation.
    pub fn twin(&self) -> Self {
        Self { self_dealing: self.self_dealing, ..Self::honest(self.volume) }
    }
}
