use std::path::Path;

use assay_common::msg::{ExecuteMsg, InstantiateMsg, MigrateMsg, QueryMsg};
use cosmwasm_schema::generate_api;

#[test]
fn the_committed_schema_is_that_of_the_messages() {
    let api = generate_api! {
        instantiate: InstantiateMsg, execute: ExecuteMsg, query: QueryMsg, migrate: MigrateMsg,
    }
    .render();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/assay-contract.json");
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(
        committed.trim_end() == api.to_string().unwrap(),
        "run: cargo run -p assay-contract --bin schema"
    );
}
