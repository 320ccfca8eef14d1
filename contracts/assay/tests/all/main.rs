//! The contract on a simulated chain, with real signatures of session keys and of the beacon.
#![allow(clippy::unwrap_used)]

mod model;
mod random;
mod suite;

mod test_accusations;
mod test_attacks;
mod test_auth;
mod test_batch;
mod test_beacon;
mod test_close;
mod test_contest;
mod test_cost;
mod test_draw;
mod test_epoch;
mod test_equivocation;
mod test_events;
mod test_fixture;
mod test_frauds;
mod test_guardian;
mod test_migrate;
mod test_model;
mod test_node;
mod test_params;
mod test_pause;
mod test_proofs;
mod test_query;
mod test_schema;
mod test_session;
mod test_settle;
mod test_setup;
mod test_stake;
mod test_sweep;
mod test_table;
mod test_tally;
mod test_verdicts;
