//! Protocol time: windows of fixed length from the start, epochs of whole windows, and the beacon round of each window.

use crate::ids::{Epoch, Round, Window};
use crate::params::{BeaconParams, ClockParams};

impl ClockParams {
    /// The window that holds `now` (seconds since 1970); `None` before the start.
    pub fn window(&self, now: u64) -> Option<Window> {
        let since = now.checked_sub(self.start)?;
        since.checked_div(u64::from(self.window_seconds)).map(Window)
    }

    /// The epoch of a window.
    pub fn epoch(&self, window: Window) -> Epoch {
        Epoch(window.0.checked_div(u64::from(self.windows_per_epoch)).unwrap_or(0))
    }

    pub fn epoch_seconds(&self) -> u64 {
        u64::from(self.window_seconds).saturating_mul(u64::from(self.windows_per_epoch))
    }

    /// The first window of an epoch.
    pub fn first_window(&self, epoch: Epoch) -> Window {
        Window(epoch.0.saturating_mul(u64::from(self.windows_per_epoch)))
    }

    /// The second at which a window ends and the next begins.
    pub fn end(&self, window: Window) -> u64 {
        let windows = window.0.saturating_add(1);
        self.start.saturating_add(windows.saturating_mul(u64::from(self.window_seconds)))
    }
}

impl BeaconParams {
    /// The second at which a round is signed.
    pub fn time(&self, round: Round) -> u64 {
        let periods = round.0.saturating_sub(1);
        self.genesis.saturating_add(periods.saturating_mul(u64::from(self.period_seconds)))
    }

    /// Beacon(x): the first round whose time is at least `delay_seconds` after the end of window x.
    pub fn round(&self, clock: &ClockParams, window: Window) -> Round {
        let due = clock.end(window).saturating_add(u64::from(self.delay_seconds));
        let since = due.saturating_sub(self.genesis);
        Round(since.div_ceil(u64::from(self.period_seconds.max(1))).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLOCK: ClockParams = ClockParams { start: 1_000, window_seconds: 10, windows_per_epoch: 6 };

    #[test]
    fn windows_and_epochs_count_from_the_start() {
        assert_eq!(CLOCK.window(999), None);
        assert_eq!(CLOCK.window(1_000), Some(Window(0)));
        assert_eq!(CLOCK.window(1_069), Some(Window(6)));
        assert_eq!(CLOCK.epoch(Window(5)), Epoch(0));
        assert_eq!(CLOCK.epoch(Window(6)), Epoch(1));
        assert_eq!(CLOCK.end(Window(0)), 1_010);
        assert_eq!(CLOCK.first_window(Epoch(2)), Window(12));
    }

    proptest! {
        #[test]
        fn the_beacon_of_a_window_is_the_first_round_after_its_delay(
            window in 0u64..10_000, period in 1u32..60, delay in 0u32..120, genesis in 0u64..2_000,
        ) {
            let beacon = BeaconParams { public_key: Default::default(), genesis, period_seconds: period, delay_seconds: delay };
            let round = beacon.round(&CLOCK, Window(window));
            let due = CLOCK.end(Window(window)) + u64::from(delay);
            prop_assert!(beacon.time(round) >= due);
            prop_assert!(round.0 == 1 || beacon.time(Round(round.0 - 1)) < due);
        }
    }
}
