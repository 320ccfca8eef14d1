//! One change of parameters that governance makes while the network works: reputation grows faster from the next epoch on.

use anyhow::{Context, Result};
use assay_common::ids::Epoch;
use assay_common::msg::ExecuteMsg;
use assay_common::params::{ParamsPatch, ReputationPatch};

use crate::governance::Governance;

const STEP_PPM: u32 = 250_000;

/// Has governance decide it in time for `epoch`.
///
/// # Errors
/// The proposal could not be made, or was refused.
pub async fn make(governance: Governance, epoch: Epoch) -> Result<()> {
    let msg = ExecuteMsg::UpdateParams { patch: patch(), epoch };
    let decision = governance.propose("Let reputation grow faster", &[msg]).await?;
    decision.executed().context("the parameters stay")
}

fn patch() -> ParamsPatch {
    let reputation = ReputationPatch { step_ppm: Some(STEP_PPM), ..ReputationPatch::default() };
    ParamsPatch { reputation, ..ParamsPatch::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;
    use assay_common::params::BeaconParams;

    #[test]
    fn the_change_is_one_and_keeps_every_rule() {
        let beacon =
            BeaconParams { public_key: vec![0; 96].into(), genesis: 0, period_seconds: 1, delay_seconds: 2 };
        let (params, changes) = preset::params(1_000, &beacon).patched(&patch());
        assert_eq!(params.check(), Ok(()));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].check(), None);
    }
}
