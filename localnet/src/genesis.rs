//! The first block: everybody's money, validators of equal power, and a gov module that decides within seconds.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};

use crate::accounts::Participant;
use crate::preset;
use crate::wasmd::{Home, CHAIN_ID, STAKING_DENOM};

/// The chain's own keyring: unencrypted, for keys that are worth nothing.
const KEYRING: [&str; 2] = ["--keyring-backend", "test"];

/// An account and its money in the first block.
pub struct GenesisBalance {
    pub address: String,
    pub denom: &'static str,
    pub amount: u128,
}

/// What the first block holds besides its validators.
pub struct Opening {
    pub balances: Vec<GenesisBalance>,
    /// Codes and contracts, as the wasm module's genesis has them.
    pub contracts: Option<Value>,
}

/// Writes the same genesis into every home, one for each of the validators in their order.
pub async fn write(homes: &[Home<'_>], validators: &[Participant], opening: &Opening) -> Result<()> {
    ensure!(homes.len() == validators.len(), "{} homes for {} validators", homes.len(), validators.len());
    let (first, others) = homes.split_first().context("a chain needs a validator")?;
    for home in homes {
        home.run(&["init", &home.name, "--chain-id", CHAIN_ID, "--default-denom", STAKING_DENOM]).await?;
    }
    fund(first, &opening.balances).await?;
    edit(&first.genesis(), |genesis| {
        deploy(genesis, opening.contracts.as_ref())?;
        decide_soon(genesis)
    })?;
    spread(first, others)?;
    let signed = first.path.join("config/gentx");
    std::fs::create_dir(&signed).with_context(|| format!("cannot make {}", signed.display()))?;
    for (home, validator) in homes.iter().zip(validators) {
        bond(home, validator, &signed).await?;
    }
    first.run(&["genesis", "collect-gentxs"]).await?;
    spread(first, others)
}

async fn fund(home: &Home<'_>, balances: &[GenesisBalance]) -> Result<()> {
    let account = |balance: &GenesisBalance| {
        let coin = json!({"denom": balance.denom, "amount": balance.amount.to_string()});
        json!({"address": balance.address, "coins": [coin]})
    };
    let accounts: Vec<Value> = balances.iter().map(account).collect();
    let file = home.path.join("accounts.json");
    write_json(&file, &accounts.into())?;
    let file = file.to_str().context("the run's directory has a name that is no UTF-8")?;
    home.run(&["genesis", "bulk-add-genesis-account", file]).await?;
    Ok(())
}

/// Lets the validator sign its stake, into the directory of everybody's.
async fn bond(home: &Home<'_>, validator: &Participant, signed: &Path) -> Result<()> {
    let key = std::fs::read_to_string(&validator.key_file)?;
    home.run(&[["keys", "import-hex", &home.name, key.trim()].as_slice(), &KEYRING].concat()).await?;
    let stake = format!("{}{STAKING_DENOM}", preset::VALIDATOR_STAKE);
    let file = signed.join(format!("{}.json", home.name));
    let file = file.to_str().context("the run's directory has a name that is no UTF-8")?;
    let sign = ["genesis", "gentx", &home.name, &stake, "--chain-id", CHAIN_ID, "--ip", "127.0.0.1"];
    home.run(&[sign.as_slice(), &KEYRING, &["--output-document", file]].concat()).await?;
    Ok(())
}

/// The chain's rules want an expedited proposal to be both dearer and quicker than a plain one.
fn decide_soon(genesis: &mut Value) -> Result<()> {
    let params = genesis.pointer_mut("/app_state/gov/params").context("the genesis has no gov parameters")?;
    let seconds = |period: std::time::Duration| json!(format!("{}s", period.as_secs()));
    let coins = |amount: u64| json!([{"denom": STAKING_DENOM, "amount": amount.to_string()}]);
    params["voting_period"] = seconds(preset::VOTING);
    params["max_deposit_period"] = seconds(preset::VOTING);
    params["expedited_voting_period"] = seconds(preset::VOTING / 2);
    params["min_deposit"] = coins(preset::DEPOSIT);
    params["expedited_min_deposit"] = coins(2 * preset::DEPOSIT);
    Ok(())
}

fn deploy(genesis: &mut Value, contracts: Option<&Value>) -> Result<()> {
    let wasm = genesis.pointer_mut("/app_state/wasm").context("the genesis has no wasm module")?;
    for (field, value) in contracts.and_then(Value::as_object).into_iter().flatten() {
        wasm[field] = value.clone();
    }
    Ok(())
}

fn edit(path: &Path, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    change(&mut value)?;
    write_json(path, &value)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, value.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

fn spread(first: &Home<'_>, others: &[Home<'_>]) -> Result<()> {
    for other in others {
        std::fs::copy(first.genesis(), other.genesis())
            .with_context(|| format!("cannot write {}", other.genesis().display()))?;
    }
    Ok(())
}
