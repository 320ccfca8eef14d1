use assay_common::msg::InstantiateMsg;
use assay_common::params::{ParamError, Params};
use assay_contract::contract::instantiate;
use assay_contract::error::ContractError;
use cosmwasm_std::testing::{message_info, mock_dependencies, mock_env};
use cosmwasm_std::{coins, Coin, HexBinary};

use crate::suite::{local_params, Beacon};

fn refusal(params: Params, funds: &[Coin]) -> ContractError {
    let mut deps = mock_dependencies();
    let sender = deps.api.addr_make("creator");
    let msg = InstantiateMsg { governance: sender.to_string(), params };
    instantiate(deps.as_mut(), mock_env(), message_info(&sender, funds), msg).unwrap_err()
}

#[test]
fn every_broken_parameter_is_named() {
    let mut params = local_params();
    params.clock.window_seconds = 0;
    params.jury.quorum = 4;
    params.fees.slash_ppm = 0;
    let ContractError::BadParams { broken } = refusal(params, &[]) else { panic!("another error") };
    let fields: Vec<&str> = broken.iter().map(|b: &ParamError| b.field.as_str()).collect();
    let expected = [
        "clock.window_seconds",
        "beacon.period_seconds",
        "beacon.delay_seconds",
        "jury.quorum",
        "fees.slash_ppm",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn what_can_be_accused_is_kept() {
    let mut params = local_params();
    // Epochs of 60 s: five are as long as the fraud window, which begins with the end of a batch's window.
    params.fraud.window_seconds = 300;
    params.limits.kept_epochs = 5;
    let ContractError::BadParams { broken } = refusal(params.clone(), &[]) else { panic!("another error") };
    let named = broken.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        named,
        ["limits.kept_epochs is 5: longer than fraud.window_seconds: what can be accused is kept"]
    );
    params.limits.kept_epochs = 6;
    params.check().unwrap();
}

#[test]
fn a_beacon_key_that_is_no_point_of_the_group_is_refused() {
    let mut bent = Beacon::new(1).public_key().to_vec();
    bent[95] ^= 1;
    let mut infinity = vec![0; 96];
    infinity[0] = 0xc0;
    for key in [bent, infinity, vec![0; 96]] {
        let mut params = local_params();
        params.beacon.public_key = HexBinary::from(key.clone());
        let broken = ParamError {
            field: "beacon.public_key".into(),
            value: HexBinary::from(key).to_hex(),
            rule: "a compressed point of G2 other than infinity".into(),
        };
        assert_eq!(refusal(params, &[]), ContractError::BadParams { broken: vec![broken] });
    }
}

#[test]
fn instantiation_takes_no_funds_and_a_real_governance_address() {
    let error = refusal(local_params(), &coins(5, "units"));
    assert_eq!(error, ContractError::FundsNotAccepted { sent: "5units".into() });
    let mut deps = mock_dependencies();
    let sender = deps.api.addr_make("creator");
    let msg = InstantiateMsg { governance: "nobody".into(), params: local_params() };
    let error = instantiate(deps.as_mut(), mock_env(), message_info(&sender, &[]), msg).unwrap_err();
    assert!(matches!(error, ContractError::Std { .. }), "{error:?}");
}

#[test]
fn the_version_is_stored() {
    let mut deps = mock_dependencies();
    let sender = deps.api.addr_make("creator");
    let msg = InstantiateMsg { governance: sender.to_string(), params: local_params() };
    instantiate(deps.as_mut(), mock_env(), message_info(&sender, &[]), msg).unwrap();
    let version = cw2::get_contract_version(&deps.storage).unwrap();
    assert_eq!((version.contract.as_str(), version.version.as_str()), ("assay-contract", "0.2.0"));
}
