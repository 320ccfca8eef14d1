//! A change of parameters: only what it names, and what comes of it.

use std::fmt::Display;

use cosmwasm_schema::cw_serde;

use super::{
    BeaconPatch, ClockPatch, EvidencePatch, FeePatch, FraudPatch, JuryPatch, LimitPatch, ParamError, Params,
    ReputationPatch,
};

/// Declares groups of parameters, and for each its patch: the same fields, all optional.
macro_rules! groups {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident, $patch:ident at $path:literal {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)+
        }
    )+) => {$(
        #[cw_serde]
        $(#[$meta])*
        #[derive(Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)+
        }

        /// What is to change in the group of this name.
        #[cw_serde]
        #[schemaifier(mute_warnings)]
        #[derive(Eq, Default)]
        #[serde(deny_unknown_fields)]
        pub struct $patch {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)+
        }

        impl $patch {
            fn apply(&self, to: &mut $name, changes: &mut Vec<patch::Change>) {
                $(patch::set(concat!($path, ".", stringify!($field)), &mut to.$field, &self.$field, changes);)+
            }
        }
    )+};
}

/// A field that a patch changes, with its values as text.
#[cw_serde]
#[derive(Eq)]
pub struct Change {
    pub field: String,
    pub from: String,
    pub to: String,
}

/// A change of parameters; what it does not name stays.
#[cw_serde]
#[schemaifier(mute_warnings)]
#[derive(Eq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ParamsPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denom: Option<String>,
    pub clock: ClockPatch,
    pub beacon: BeaconPatch,
    pub jury: JuryPatch,
    pub evidence: EvidencePatch,
    pub reputation: ReputationPatch,
    pub fees: FeePatch,
    pub fraud: FraudPatch,
    pub limits: LimitPatch,
}

pub(super) fn set<T: Clone + PartialEq + Display>(
    field: &str,
    value: &mut T,
    new: &Option<T>,
    changes: &mut Vec<Change>,
) {
    if let Some(new) = new.as_ref().filter(|new| *new != value) {
        changes.push(Change { field: field.into(), from: value.to_string(), to: new.to_string() });
        *value = new.clone();
    }
}

impl Params {
    /// These parameters with the patch, and the fields that it changes, in the order of the fields.
    pub fn patched(&self, patch: &ParamsPatch) -> (Params, Vec<Change>) {
        let (mut to, mut changes) = (self.clone(), Vec::new());
        set("denom", &mut to.denom, &patch.denom, &mut changes);
        patch.clock.apply(&mut to.clock, &mut changes);
        patch.beacon.apply(&mut to.beacon, &mut changes);
        patch.jury.apply(&mut to.jury, &mut changes);
        patch.evidence.apply(&mut to.evidence, &mut changes);
        patch.reputation.apply(&mut to.reputation, &mut changes);
        patch.fees.apply(&mut to.fees, &mut changes);
        patch.fraud.apply(&mut to.fraud, &mut changes);
        patch.limits.apply(&mut to.limits, &mut changes);
        (to, changes)
    }
}

impl Change {
    /// The rule that the change breaks whatever the new value: money held, and numbers given to what is stored, have
    /// their meaning from these fields.
    pub fn check(&self) -> Option<ParamError> {
        let rule = match self.field.as_str() {
            "denom" => "cannot change: all money held is of the one denomination",
            field if field.starts_with("clock.") => {
                "cannot change: windows and epochs number what is stored, and name what is signed"
            }
            _ => return None,
        };
        Some(ParamError { field: self.field.clone(), value: self.to.clone(), rule: rule.into() })
    }
}
