use std::os::unix::fs::PermissionsExt;

use assay_common::digest::Domain;
use assay_common::ids::Window;
use assay_common::salt::Hidden;
use assay_sidecar::chain::account::{verify, KeyError, SignatureError};
use assay_sidecar::chain::Account;

#[test]
fn a_key_is_kept_to_its_owner_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = Account::generate(&path, "wasm").unwrap();
    assert!(made.address().starts_with("wasm1"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Account::load(&path, "wasm").unwrap().address(), made.address());
    assert!(matches!(Account::generate(&path, "wasm"), Err(KeyError::Unwritable { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Account::load(&path, "wasm"), Err(KeyError::TooOpen { mode: 0o640, .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(Account::load(&path, "wasm"), Err(KeyError::NoKey { .. })));
}

#[test]
fn a_signature_names_its_signer_and_only_over_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let account = Account::generate(&dir.path().join("key"), "wasm").unwrap();
    let signed = account.sign(&[7; 32]);
    assert_eq!(signed.signer(&[7; 32], "wasm").as_deref(), Ok(account.address()));
    assert_eq!(signed.signer(&[8; 32], "wasm"), Err(SignatureError::Wrong));
    let short = signed.signature[..63].to_vec().into();
    assert!(matches!(verify(&signed.public_key, &short, &[7; 32]), Err(SignatureError::Form(_))));
    let no_key = vec![9; 33].into();
    assert!(matches!(verify(&no_key, &signed.signature, &[7; 32]), Err(SignatureError::Key(_))));
}

#[test]
fn a_salt_is_the_same_again_and_another_for_another_page_and_account() {
    let dir = tempfile::tempdir().unwrap();
    let account = Account::generate(&dir.path().join("key"), "wasm").unwrap();
    let again = Account::load(&dir.path().join("key"), "wasm").unwrap();
    let other = Account::generate(&dir.path().join("other"), "wasm").unwrap();
    let domain = Domain { chain_id: "assay-1".into(), contract: "wasm1contract".into() };
    let page = |page| Hidden::Verdicts { window: Window(7), page };
    assert_eq!(account.salt(&domain, page(0)), again.salt(&domain, page(0)));
    assert_ne!(account.salt(&domain, page(0)), account.salt(&domain, page(1)));
    assert_ne!(account.salt(&domain, page(0)), other.salt(&domain, page(0)));
}
