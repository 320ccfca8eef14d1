//! Writes the JSON schema of the contract's messages to `schema/` beside this crate.

use std::path::Path;
use std::{fs, io};

use assay_common::msg::{ExecuteMsg, InstantiateMsg, MigrateMsg, QueryMsg};
use cosmwasm_schema::generate_api;

fn main() -> io::Result<()> {
    let api = generate_api! {
        instantiate: InstantiateMsg, execute: ExecuteMsg, query: QueryMsg, migrate: MigrateMsg,
    }
    .render();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    fs::create_dir_all(&folder)?;
    let json = api.to_string().map_err(io::Error::other)?;
    fs::write(folder.join("assay-contract.json"), json + "\n")
}
