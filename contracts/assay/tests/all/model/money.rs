//! Where every unit is, added up anew from the things that it belongs to.

use assay_common::msg::EpochStatus;
use assay_contract::error::ContractError;
use assay_contract::pools::Pools;

use super::{Account, Answer, Cx, World};

/// `ppm` millionths, rounded down.
pub fn share(amount: u128, ppm: u32) -> u128 {
    amount * u128::from(ppm) / 1_000_000
}

impl World {
    pub fn pools(&self) -> Pools {
        let escrow: u128 = self.sessions.values().map(|session| session.escrow).sum();
        let unsettled = self.accounts.values().filter(|account| !account.status.is_settled());
        let pending: u128 = unsettled.map(|account| self.pending(account)).sum();
        let open =
            self.batches.values().map(|batch| batch.prepaid() * u128::from(batch.planned - batch.closed()));
        let refunds: u128 = self.accounts.values().map(|account| self.refund_left(account).1).sum();
        let stakes: u128 = self.nodes.values().map(|node| node.at_stake()).sum();
        let earned = self.nodes.values().filter_map(|node| node.juror).map(|juror| juror.earned);
        let claimable = self.claimable.values().sum::<u128>() + earned.sum::<u128>();
        Pools {
            escrow: escrow.into(),
            pending: pending.into(),
            checks: open.sum::<u128>().into(),
            refunds: refunds.into(),
            reserve: self.reserve.into(),
            stakes: stakes.into(),
            claimable: claimable.into(),
            burned: self.burned.into(),
        }
    }

    /// What everybody has paid in and not been paid out is what is held, and what was burned.
    pub fn check_conservation(&self) {
        let pools = self.pools();
        let held: u128 =
            [pools.escrow, pools.pending, pools.checks, pools.refunds, pools.reserve, pools.stakes]
                .iter()
                .map(|pool| pool.u128())
                .sum();
        let held = held + pools.claimable.u128() + self.burned;
        let paid: i128 = self.paid.values().sum();
        assert_eq!(i128::try_from(held).expect("a purse"), paid, "{pools:?}");
    }

    /// What the fees of an epoch have left for its executor.
    pub fn pending(&self, account: &Account) -> u128 {
        let batches = account.batches.iter().map(|id| self.batches[id].pending);
        batches.sum::<u128>() - account.taken
    }

    pub fn fees(&self, account: &Account) -> u128 {
        account.batches.iter().map(|id| self.batches[id].fees).sum()
    }

    /// What sessions have not taken yet of a forfeited epoch: their fees, and the money.
    pub fn refund_left(&self, account: &Account) -> (u128, u128) {
        if account.status != EpochStatus::Forfeited {
            return (0, 0);
        }
        let (fees, money) = account.returned;
        (self.fees(account) - fees, account.refunded - money)
    }

    pub fn earn(&mut self, address: &str, amount: u128) {
        if amount > 0 {
            *self.claimable.entry(address.into()).or_default() += amount;
        }
    }

    pub fn earned(&self, address: &str) -> u128 {
        let juror = self.nodes.get(address).and_then(|node| node.juror).unwrap_or_default();
        self.claimable.get(address).copied().unwrap_or(0) + juror.earned
    }

    pub fn claim(&mut self, cx: &Cx) -> Answer {
        let amount = self.earned(&cx.sender);
        if amount == 0 {
            return Err(ContractError::NothingToClaim { address: cx.sender.clone() });
        }
        self.claimable.remove(&cx.sender);
        if let Some(juror) = self.nodes.get_mut(&cx.sender).and_then(|node| node.juror.as_mut()) {
            juror.earned = 0;
        }
        self.pay_out(&cx.sender, amount);
        Ok(())
    }

    pub fn pay_out(&mut self, address: &str, amount: u128) {
        *self.paid.entry(address.into()).or_default() -= i128::try_from(amount).expect("a purse");
    }
}
