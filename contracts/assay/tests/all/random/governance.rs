//! What governance does, sense and nonsense.

use assay_common::ids::{Epoch, ModelDigest, Window};
use assay_common::msg::ExecuteMsg;
use assay_common::params::ParamsPatch;
use cosmwasm_std::Addr;

use super::chain::{calibration_of, Chain};
use crate::model::LOST;
use crate::suite::*;

/// Changes that a sound set of parameters allows, of what is in flight must not feel.
const PATCHES: [&str; 22] = [
    r#"{"jury": {"quorum": 3}}"#,
    r#"{"jury": {"quorum": 2}}"#,
    r#"{"jury": {"seats": 2, "quorum": 2}}"#,
    r#"{"jury": {"seats": 3}, "fees": {"verdict_ppm": 31313, "reserve_ppm": 0}}"#,
    r#"{"jury": {"seats": 3}, "fees": {"verdict_ppm": 70000, "reserve_ppm": 12347}}"#,
    r#"{"fees": {"slash_ppm": 1000000}}"#,
    r#"{"fees": {"slash_ppm": 133333, "unrevealed_verdicts": 0, "split_ppm": 30000}}"#,
    r#"{"fees": {"unrevealed_verdicts": 3, "min_stake_fees": 11000}}"#,
    r#"{"fees": {"min_stake_fees": 10000}, "evidence": {"false_forfeit_one_in": "100000"}}"#,
    r#"{"evidence": {"false_forfeit_one_in": "1000"}, "limits": {"verdict_page": 2}}"#,
    r#"{"limits": {"verdict_page": 1}}"#,
    r#"{"limits": {"verdict_page": 4}, "reputation": {"base_rate_ppm": 500000}}"#,
    r#"{"limits": {"verdict_page": 3, "kept_epochs": 4}, "reputation": {"base_rate_ppm": 10000}}"#,
    r#"{"limits": {"kept_epochs": 3, "settle_page": 4}, "jury": {"min_others_to_slash": 3}}"#,
    r#"{"limits": {"settle_page": 20}, "jury": {"min_others_to_slash": 5, "second_seats": 5}}"#,
    r#"{"jury": {"second_seats": 21, "min_others_to_commit": 3}, "fraud": {"bounty_ppm": 33333}}"#,
    r#"{"jury": {"min_others_to_commit": 5}, "beacon": {"genesis": 1799000000, "period_seconds": 60}}"#,
    r#"{"limits": {"close_delay_epochs": 2}}"#,
    r#"{"fraud": {"window_seconds": 1000000}}"#,
    r#"{"fraud": {"window_seconds": 691200}}"#,
    r#"{"limits": {"close_delay_epochs": 1, "session_epochs": 4}}"#,
    r#"{"jury": {"min_others_to_commit": 3}, "beacon": {"genesis": 1799999000, "period_seconds": 600}}"#,
];

/// Changes that break a rule, or change nothing.
const BAD_PATCHES: [&str; 7] = [
    r#"{"jury": {"quorum": 9, "seats": 22}}"#,
    r#"{"denom": "other", "clock": {"window_seconds": 5}}"#,
    r#"{"beacon": {"genesis": 9000000000}}"#,
    r#"{"fees": {"slash_ppm": 0, "reserve_ppm": 600000}, "limits": {"unbonding_seconds": 9}}"#,
    r#"{"evidence": {"audits": "0"}}"#,
    r#"{"limits": {"kept_epochs": 2}}"#,
    r#"{"limits": {"max_prompt": 200}}"#,
];

impl Chain {
    fn governance(&self) -> Addr {
        self.suite.governance.clone()
    }

    /// One that nobody has seen yet.
    pub fn make_model(&mut self) -> ModelDigest {
        self.models_made += 1;
        let (spec, number) = (spec(&format!("model {}", self.models_made)), self.models_made);
        let model = spec.digest();
        let fee = if number % 2 == 0 { FEE - 100 } else { FEE };
        let calibration = calibration_of(number);
        let msg = ExecuteMsg::RegisterModel { spec, reference_fee: fee.into(), calibration };
        let governance = self.governance();
        self.send(&governance, msg, 0);
        model
    }

    fn some_model(&mut self) -> ModelDigest {
        let (main, all) = (self.main_models.clone(), self.world.models.keys().copied().collect::<Vec<_>>());
        let models = if self.dice.percent(70) { main } else { all };
        self.dice.pick(&models).copied().expect("there are some")
    }

    pub fn deprecate_a_model(&mut self) {
        let mut model = self.some_model();
        let spare = self.world.models.keys().find(|model| !self.main_models.contains(model));
        // The main ones seldom and late: nothing new comes to them any more.
        if self.main_models.contains(&model) && !(self.reach.sent > 1_200 && self.dice.one_in(40)) {
            let open = self.world.models.iter().filter(|(_, known)| !known.deprecated);
            let open = open.map(|(digest, _)| *digest).find(|digest| !self.main_models.contains(digest));
            match open.or(spare.copied()) {
                Some(other) => model = other,
                None => return,
            }
        }
        let governance = self.governance();
        self.send(&governance, ExecuteMsg::DeprecateModel { model }, 0);
    }

    pub fn calibrate(&mut self) {
        let (model, number) = (self.some_model(), 1_000 + self.dice.below(6));
        let msg = ExecuteMsg::UpdateCalibration { model, calibration: calibration_of(number) };
        let governance = self.governance();
        self.send(&governance, msg, 0);
    }

    pub fn set_guardians(&mut self) {
        let model = *self.dice.pick(&self.main_models.clone()).expect("there are two");
        let serving = |(_, node): &(&String, &crate::model::Node)| node.models.contains(&model);
        let mut nodes: Vec<String> =
            self.world.nodes.iter().filter(serving).map(|(address, _)| address.clone()).collect();
        let most = self.dice.below(4);
        while nodes.len() as u64 > most {
            let at = self.dice.below(nodes.len() as u64);
            nodes.remove(usize::try_from(at).expect("a place"));
        }
        let governance = self.governance();
        self.send(&governance, ExecuteMsg::SetGuardians { model, guardians: nodes }, 0);
    }

    pub fn update_params(&mut self) {
        let mut patch: ParamsPatch = match self.dice.pick(&PATCHES) {
            Some(json) if self.dice.percent(85) => serde_json::from_str(json).expect("a patch"),
            _ => ParamsPatch::default(),
        };
        let is_lost = self.is_beacon_lost();
        if is_lost {
            patch = ParamsPatch::default();
        }
        if patch == ParamsPatch::default() {
            // Another key of the beacon, known or no point at all.
            let key = match self.dice.below(10) {
                0 => vec![0; 96].into(),
                1 => vec![0; 5].into(),
                2..=5 => Beacon::new(1).public_key(),
                8 | 9 if !is_lost => Beacon::new(LOST).public_key(),
                _ => Beacon::new(2).public_key(),
            };
            patch.beacon.public_key = Some(key);
        }
        let epoch = Epoch(self.world.epoch().0 + self.dice.between(1, 2));
        self.change(patch, epoch);
    }

    /// Whether nobody can sign for the beacon that is in force or to be so.
    fn is_beacon_lost(&self) -> bool {
        let last = self.world.params.of(Epoch(u64::MAX)).expect("those to come are kept");
        last.value.beacon.public_key == Beacon::new(LOST).public_key()
    }

    /// Sees to it that the beacon is one that can be signed for.
    pub fn mend_the_beacon(&mut self) {
        if self.is_beacon_lost() && self.world.params.pending(self.world.epoch()).is_some() {
            self.cancel_params();
        }
        if self.is_beacon_lost() {
            let mut patch = ParamsPatch::default();
            patch.beacon.public_key = Some(Beacon::new(1).public_key());
            self.change(patch, self.world.epoch().next());
        }
    }

    /// With no batch left that was committed under them, changes drop the rules of the epoch before; then nobody can tell
    /// which round was to draw for its windows.
    pub fn forget_the_rules(&mut self) {
        if self.world.params.pending(self.world.epoch()).is_some() {
            self.cancel_params();
        }
        for max_prompt in [201, 202, 203] {
            let epoch = self.world.epoch().next();
            let mut patch = ParamsPatch::default();
            patch.limits.max_prompt = Some(max_prompt);
            self.change(patch, epoch);
            while self.world.epoch() < epoch && max_prompt < 203 {
                self.next_window();
            }
        }
        let anyone = self.requesters[0].clone();
        self.post_beacon(&anyone, Window(self.window() - 1));
    }

    fn change(&mut self, patch: ParamsPatch, epoch: Epoch) {
        let governance = self.governance();
        self.send(&governance, ExecuteMsg::UpdateParams { patch, epoch }, 0);
    }

    pub fn cancel_params(&mut self) {
        let governance = self.governance();
        self.send(&governance, ExecuteMsg::CancelParams {}, 0);
    }

    /// Begins a pause when it may, and ends it soon: nothing pays out meanwhile.
    pub fn pause_or_not(&mut self) {
        let governance = self.governance();
        let msg = match self.world.paused_until() {
            Some(_) => ExecuteMsg::Unpause {},
            None => ExecuteMsg::Pause {},
        };
        self.send(&governance, msg, 0);
    }

    pub fn misgovern(&mut self) {
        let governance = self.governance();
        let (model, number) = (self.some_model(), self.dice.below(14));
        let unknown = ModelDigest([1; 32]);
        let mut bad = calibration_of(1);
        bad.bins[0].honest_ppm[0] += 1;
        let register = |name: &str, vocabulary, fee: u128, calibration| {
            let spec = assay_common::session::ModelSpec { vocabulary, ..spec(name) };
            ExecuteMsg::RegisterModel { spec, reference_fee: fee.into(), calibration }
        };
        let msg = match number {
            0 => register("", 5, FEE, calibration_of(1)),
            1 => register("new", 0, FEE, calibration_of(1)),
            2 => register("new", 5, 0, calibration_of(1)),
            3 => register("new", 5, FEE, bad),
            4 => register("model 1", 1_000, FEE, calibration_of(1)),
            5 => ExecuteMsg::UpdateCalibration { model, calibration: bad },
            6 => ExecuteMsg::UpdateCalibration { model: unknown, calibration: calibration_of(1) },
            7 => ExecuteMsg::DeprecateModel { model: unknown },
            8 => self.bad_guardians(model),
            9 => ExecuteMsg::Unpause {},
            10 => ExecuteMsg::Pause {},
            11 => {
                let patch = serde_json::from_str(PATCHES[0]).expect("a patch");
                ExecuteMsg::UpdateParams { patch, epoch: self.world.epoch() }
            }
            12 => {
                let json = self.dice.pick(&BAD_PATCHES).expect("there are some");
                let patch = serde_json::from_str(json).expect("a patch");
                ExecuteMsg::UpdateParams { patch, epoch: Epoch(self.world.epoch().0 + 1) }
            }
            _ => ExecuteMsg::CancelParams {},
        };
        self.send(&governance, msg, 0);
    }

    fn bad_guardians(&mut self, model: ModelDigest) -> ExecuteMsg {
        let node = self.some_account().0.to_string();
        let (model, guardians) = match self.dice.below(6) {
            0 => (model, vec![node; 17]),
            1 => (model, vec![node.clone(), node]),
            2 => (model, vec!["nobody".into()]),
            3 => (ModelDigest([1; 32]), vec![node]),
            4 => (model, vec![self.requesters[0].to_string()]),
            _ => (model, vec![node]),
        };
        ExecuteMsg::SetGuardians { model, guardians }
    }
}
