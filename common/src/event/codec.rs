//! How an event is written and read, out of one declaration of its kinds.

/// The attribute that says by which version of its kind's attributes an event was written.
pub const VERSION_KEY: &str = "event_version";

/// An event of this contract that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("event {event} has no attribute {key}")]
    Missing { event: &'static str, key: &'static str },
    #[error("event {event}: {key} = {value:?} cannot be read: {reason}")]
    Unreadable { event: &'static str, key: &'static str, value: String, reason: String },
    #[error("event {event} is of version {found}, version {known} is known here")]
    OtherVersion { event: &'static str, found: String, known: u32 },
}

/// One kind of event, for those who read events without this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Kind {
    /// Type of the event, without the `wasm-` that the chain puts before it.
    pub kind: &'static str,
    /// Rises with every change of the attributes.
    pub version: u32,
    pub about: &'static str,
    /// In the order in which they stand in the event, after the version.
    pub attributes: &'static [Attribute],
}

/// One attribute of a kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Attribute {
    pub key: &'static str,
    /// Rust's name of the value's type; the value is its text.
    #[serde(rename = "type")]
    pub of: &'static str,
    pub about: &'static str,
}

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident = $kind:literal, $version:literal {
        $($(#[doc = $about:literal])* $field:ident: $type:ident),+ $(,)?
    })+) => {
        /// Everything that the contract tells the world.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[doc = $doc])* $name { $($(#[doc = $about])* $field: $type),+ }),+
        }

        /// Every kind of event, in the order of the declaration.
        pub const KINDS: &[Kind] = &[$(Kind {
            kind: $kind,
            version: $version,
            about: concat!($($doc),*).trim_ascii(),
            attributes: &[$(Attribute {
                key: stringify!($field), of: stringify!($type), about: concat!($($about),*).trim_ascii(),
            }),+],
        }),+];

        impl Event {
            /// Type of the event, without the `wasm-` that the chain puts before it.
            pub fn kind(&self) -> &'static str {
                match self { $(Event::$name { .. } => $kind),+ }
            }

            /// Version of its kind's attributes.
            pub fn version(&self) -> u32 {
                match self { $(Event::$name { .. } => $version),+ }
            }

            /// Keys and values: the version, then the fields in their order.
            pub fn attributes(&self) -> Vec<(&'static str, String)> {
                let fields = match self {
                    $(Event::$name { $($field),+ } => vec![$((stringify!($field), $field.to_string())),+]),+
                };
                [(VERSION_KEY, self.version().to_string())].into_iter().chain(fields).collect()
            }

            /// Reads an event of type `kind` (with or without `wasm-`). `None` where it is not one of these, or was
            /// written before events had versions.
            ///
            /// # Errors
            /// It is of another version, or an attribute is missing or unreadable.
            pub fn decode(kind: &str, attributes: &BTreeMap<String, String>) -> Result<Option<Event>, EventError> {
                let Some(version) = attributes.get(VERSION_KEY) else { return Ok(None) };
                match kind.strip_prefix("wasm-").unwrap_or(kind) {
                    $($kind => {
                        if version != stringify!($version) {
                            let (found, known) = (version.clone(), $version);
                            return Err(EventError::OtherVersion { event: $kind, found, known });
                        }
                        Ok(Some(Event::$name {
                            $($field: {
                                let (event, key) = ($kind, stringify!($field));
                                let value = attributes.get(key).ok_or(EventError::Missing { event, key })?;
                                value.parse::<$type>().map_err(|error| EventError::Unreadable {
                                    event, key, value: value.clone(), reason: error.to_string(),
                                })?
                            }),+
                        }))
                    })+
                    _ => Ok(None),
                }
            }
        }
    };
}

pub(super) use events;
