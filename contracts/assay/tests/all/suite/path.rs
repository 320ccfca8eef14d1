//! The path of a sample, from the beacon to the settlement, and what can be asked on the way.

use std::collections::BTreeMap;

use assay_common::ids::{BatchId, Epoch, Round, SessionId, Window};
use assay_common::msg::{
    AssignedPage, DueResponse, EpochResponse, ExecuteMsg, Page, PoolsResponse, QueryMsg, SampleKey,
    SampleResponse, SessionResponse,
};
use assay_common::verdict::{Outcome, Verdict, VerdictPage};
use cosmwasm_std::{Addr, StdResult};
use cw_multi_test::AppResponse;
use serde::de::DeserializeOwned;

use super::{revealing, salt, settling, verdict, Suite};

impl Suite {
    pub fn round(&self, window: u64) -> Round {
        self.params.beacon.round(&self.params.clock, Window(window))
    }

    pub fn posting(&self, window: u64) -> ExecuteMsg {
        let round = self.round(window);
        ExecuteMsg::PostBeacon { window: Window(window), signature: self.beacon.sign(round) }
    }

    pub fn post_beacon(&mut self, window: u64) {
        let (msg, sender) = (self.posting(window), self.requester.clone());
        self.accepted(&sender, &msg, 0);
    }

    pub fn draw(&mut self, batch: BatchId, limit: u32) {
        let sender = self.requester.clone();
        self.accepted(&sender, &ExecuteMsg::Draw { batch, limit }, 0);
    }

    pub fn tally(&mut self, batch: BatchId, from: u32, limit: u32) {
        let sender = self.requester.clone();
        self.accepted(&sender, &ExecuteMsg::Tally { batch, from, limit }, 0);
    }

    /// Closes what is left of a batch, as the contract says where.
    pub fn tally_rest(&mut self, batch: BatchId) {
        while let Some(due) = self.due().tallies.into_iter().find(|due| due.batch == batch) {
            self.tally(batch, due.from, 100);
        }
    }

    pub fn settle(&mut self, executor: &Addr, epoch: u64, limit: u32) -> AppResponse {
        let sender = self.requester.clone();
        self.accepted(&sender, &settling(executor, epoch, limit), 0)
    }

    /// The pages that a juror of this mind makes of its assignments.
    pub fn pages(
        &self,
        juror: &Addr,
        window: u64,
        mind: &dyn Fn(&SampleResponse, &Addr) -> Option<Outcome>,
    ) -> Vec<VerdictPage> {
        let window = Window(window);
        let mut pages: BTreeMap<u32, Vec<Verdict>> = BTreeMap::new();
        for AssignedPage { page, samples } in self.seats(juror, window) {
            for key in samples {
                let SampleKey { batch, draw } = key;
                let sample: SampleResponse = self.query(&QueryMsg::Sample { batch, draw });
                if let Some(outcome) = mind(&sample, juror) {
                    let levels = if sample.window == window { 1 } else { 2 };
                    pages.entry(page).or_default().push(verdict(key, outcome, levels));
                }
            }
        }
        let juror = juror.to_string();
        let page = |(page, verdicts)| VerdictPage { juror: juror.clone(), window, page, verdicts };
        pages.into_iter().map(page).collect()
    }

    pub fn committing_page(&self, juror: &Addr, page: &VerdictPage) -> ExecuteMsg {
        let hash = page.commitment(&self.domain(), &salt(juror, page.window, page.page));
        ExecuteMsg::CommitVerdicts { window: page.window, page: page.page, hash }
    }

    /// Every node commits to its verdicts on the draws of `window`; returns what there is to reveal.
    pub fn commit_verdicts(
        &mut self,
        window: u64,
        mind: &dyn Fn(&SampleResponse, &Addr) -> Option<Outcome>,
    ) -> Vec<(Addr, VerdictPage)> {
        let mut pages = Vec::new();
        for juror in self.nodes.clone() {
            for page in self.pages(&juror, window, mind) {
                let msg = self.committing_page(&juror, &page);
                self.accepted(&juror, &msg, 0);
                pages.push((juror.clone(), page));
            }
        }
        pages
    }

    pub fn reveal(&mut self, pages: Vec<(Addr, VerdictPage)>) {
        for (juror, page) in pages {
            self.accepted(&juror, &revealing(&juror, page), 0);
        }
    }

    /// From committed batches of window `window` to closed samples, by the book.
    pub fn judge(
        &mut self,
        window: u64,
        batches: &[BatchId],
        mind: &dyn Fn(&SampleResponse, &Addr) -> Option<Outcome>,
    ) {
        self.draw_and_reveal(window, batches, mind);
        self.at_window(window + 4);
        for batch in batches {
            self.tally(*batch, 0, 100);
        }
    }

    /// The same up to the reveals, in window `window` + 3.
    pub fn draw_and_reveal(
        &mut self,
        window: u64,
        batches: &[BatchId],
        mind: &dyn Fn(&SampleResponse, &Addr) -> Option<Outcome>,
    ) {
        self.at_window(window + 1);
        self.post_beacon(window);
        for batch in batches {
            self.draw(*batch, 100);
        }
        let pages = self.commit_verdicts(window + 1, mind);
        self.at_window(window + 3);
        self.reveal(pages);
    }

    // --- queries ---

    pub fn query<T: DeserializeOwned>(&self, msg: &QueryMsg) -> T {
        self.try_query(msg).unwrap_or_else(|error| panic!("{msg:?} is refused: {error}"))
    }

    pub fn try_query<T: DeserializeOwned>(&self, msg: &QueryMsg) -> StdResult<T> {
        self.app.wrap().query_wasm_smart(&self.contract, msg)
    }

    pub fn pools(&self) -> PoolsResponse {
        self.query(&QueryMsg::Pools {})
    }

    pub fn session(&self, session: SessionId) -> SessionResponse {
        self.query(&QueryMsg::Session { session })
    }

    pub fn epoch(&self, executor: &Addr, epoch: u64) -> EpochResponse {
        self.query(&QueryMsg::Epoch { executor: executor.to_string(), epoch: Epoch(epoch) })
    }

    pub fn due(&self) -> DueResponse {
        self.query(&QueryMsg::Due { limit: Some(30) })
    }

    pub fn samples(&self, batch: BatchId) -> Vec<SampleResponse> {
        self.collect(|start_after| QueryMsg::Samples { batch, start_after, limit: Some(100) })
    }

    pub fn assignments(&self, juror: &Addr, window: Window) -> Vec<SampleKey> {
        self.seats(juror, window).into_iter().flat_map(|page| page.samples).collect()
    }

    fn seats(&self, juror: &Addr, window: Window) -> Vec<AssignedPage> {
        self.collect(|start_after| QueryMsg::Assignments {
            juror: juror.to_string(),
            window,
            start_after,
            limit: Some(100),
        })
    }

    /// All pages of a collection.
    pub fn collect<T: DeserializeOwned, K: DeserializeOwned>(
        &self,
        ask: impl Fn(Option<K>) -> QueryMsg,
    ) -> Vec<T> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let page: Page<T, K> = self.query(&ask(after));
            items.extend(page.items);
            after = page.next_start_after;
            if after.is_none() {
                return items;
            }
        }
    }
}
