//! Reader of GGUF version 3 files held in memory.
//!
//! Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Every length, count and offset is
//! checked against the bytes that are there before anything is allocated or sliced, so a damaged or hostile
//! file is an error that names the offset.

use std::collections::BTreeMap;
use std::ops::Range;

use super::quants::Encoding;

const MAGIC: &[u8] = b"GGUF";
const VERSION: u32 = 3;
/// Elements of one metadata array: vocabularies have under a million, and each element costs 24 bytes here.
const MAX_ARRAY: u64 = 1 << 22;
/// Dimensions of a tensor, as in ggml.
const MAX_DIMS: u32 = 4;
/// Alignment of the tensor data where the file does not state another.
const DEFAULT_ALIGNMENT: u64 = 32;

/// Why the bytes are not a usable GGUF file; offsets count from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("not a GGUF file: it starts with {found:02x?}")]
    Magic { found: Vec<u8> },
    #[error("GGUF version {found}, only {VERSION} is read")]
    Version { found: u32 },
    #[error("{what} at offset {offset} needs {needed} bytes, {left} are left")]
    Truncated { what: &'static str, offset: usize, needed: u64, left: usize },
    #[error("{what} at offset {offset} is {found}, at most {limit} is allowed")]
    TooLarge { what: &'static str, offset: usize, found: u64, limit: u64 },
    #[error("{what} at offset {offset} has the unknown code {code}")]
    UnknownCode { what: &'static str, offset: usize, code: u32 },
    #[error("string at offset {offset} is not UTF-8")]
    NotUtf8 { offset: usize },
    #[error("`{name}` at offset {offset} occurs a second time")]
    Duplicate { name: String, offset: usize },
    #[error("alignment {found} is not a power of two")]
    Alignment { found: u64 },
    #[error("metadata key `{key}` is missing")]
    MissingKey { key: String },
    #[error("metadata key `{key}` does not hold {expected}")]
    WrongType { key: String, expected: &'static str },
    #[error("tensor `{name}` is missing")]
    MissingTensor { name: String },
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    Shape { name: String, found: Vec<u64>, expected: Vec<u64> },
    #[error("tensor `{name}` of shape {shape:?} is not a whole number of blocks of {block}")]
    Blocks { name: String, shape: Vec<u64>, block: usize },
}

/// A metadata value; strings borrow from the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Array(Vec<Value<'a>>),
}

/// One tensor of the file: its values stay encoded until [`super::quants::dequantise`].
#[derive(Debug)]
pub struct TensorView<'a> {
    /// Slowest dimension first, as torch counts (the file stores the fastest first).
    pub shape: Vec<u64>,
    pub encoding: Encoding,
    pub bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// The blocks that hold the elements `range` of the flattened values; `None` where an end is not a
    /// block's border or lies outside.
    pub fn blocks(&self, range: Range<usize>) -> Option<&'a [u8]> {
        let (elements, bytes) = (self.encoding.block_elements(), self.encoding.block_bytes());
        if !range.start.is_multiple_of(elements) || !range.end.is_multiple_of(elements) {
            return None;
        }
        self.bytes.get(range.start / elements * bytes..range.end / elements * bytes)
    }
}

/// The parsed header over the bytes of the file.
#[derive(Debug)]
pub struct Gguf<'a> {
    values: BTreeMap<&'a str, Value<'a>>,
    tensors: BTreeMap<&'a str, TensorView<'a>>,
}

impl<'a> Gguf<'a> {
    /// Reads the whole header; the views cover the tensor data, checked to lie inside `file`.
    ///
    /// # Errors
    /// Every violation of the format, with its offset; never panics and never allocates more than a small
    /// multiple of the file's size.
    pub fn parse(file: &'a [u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor { file, at: 0 };
        let magic = cursor.take("magic", 4)?;
        if magic != MAGIC {
            return Err(GgufError::Magic { found: magic.to_vec() });
        }
        let version = cursor.u32("version")?;
        if version != VERSION {
            return Err(GgufError::Version { found: version });
        }
        let tensor_count = cursor.u64("tensor count")?;
        let value_count = cursor.u64("metadata count")?;

        let mut values = BTreeMap::new();
        for _ in 0..value_count {
            let offset = cursor.at;
            let key = cursor.text()?;
            let code = cursor.u32("value type")?;
            let value = cursor.value(code)?;
            if values.insert(key, value).is_some() {
                return Err(GgufError::Duplicate { name: key.to_owned(), offset });
            }
        }
        let mut entries = Vec::new();
        for _ in 0..tensor_count {
            entries.push(Entry::read(&mut cursor)?);
        }

        let data_start = data_start(&values, cursor.at)?;
        let mut tensors = BTreeMap::new();
        for entry in entries {
            let (name, offset) = (entry.name, entry.header_at);
            if tensors.insert(name, entry.view(file, data_start)?).is_some() {
                return Err(GgufError::Duplicate { name: name.to_owned(), offset });
            }
        }
        Ok(Gguf { values, tensors })
    }

    /// The value under `key`.
    pub fn value(&self, key: &str) -> Result<&Value<'a>, GgufError> {
        self.values.get(key).ok_or_else(|| GgufError::MissingKey { key: key.to_owned() })
    }

    pub fn text(&self, key: &str) -> Result<&'a str, GgufError> {
        match self.value(key)? {
            Value::Text(text) => Ok(text),
            _ => Err(wrong_type(key, "a string")),
        }
    }

    /// A non-negative integer of any width.
    pub fn unsigned(&self, key: &str) -> Result<u64, GgufError> {
        match self.value(key)? {
            Value::Unsigned(number) => Ok(*number),
            Value::Signed(number) => {
                u64::try_from(*number).map_err(|_| wrong_type(key, "a non-negative integer"))
            }
            _ => Err(wrong_type(key, "a non-negative integer")),
        }
    }

    pub fn float(&self, key: &str) -> Result<f64, GgufError> {
        match self.value(key)? {
            Value::Float(number) => Ok(*number),
            _ => Err(wrong_type(key, "a float")),
        }
    }

    pub fn array(&self, key: &str) -> Result<&[Value<'a>], GgufError> {
        match self.value(key)? {
            Value::Array(items) => Ok(items),
            _ => Err(wrong_type(key, "an array")),
        }
    }

    /// The tensor `name`, which must have exactly this shape, slowest dimension first.
    pub fn tensor(&self, name: &str, expected: &[u64]) -> Result<&TensorView<'a>, GgufError> {
        let view =
            self.tensors.get(name).ok_or_else(|| GgufError::MissingTensor { name: name.to_owned() })?;
        if view.shape != expected {
            return Err(GgufError::Shape {
                name: name.to_owned(),
                found: view.shape.clone(),
                expected: expected.to_vec(),
            });
        }
        Ok(view)
    }

    pub fn tensor_names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.tensors.keys().copied()
    }
}

pub(super) fn wrong_type(key: &str, expected: &'static str) -> GgufError {
    GgufError::WrongType { key: key.to_owned(), expected }
}

fn data_start(values: &BTreeMap<&str, Value<'_>>, header_end: usize) -> Result<u64, GgufError> {
    let alignment = match values.get("general.alignment") {
        None => DEFAULT_ALIGNMENT,
        Some(Value::Unsigned(alignment)) => *alignment,
        Some(_) => return Err(wrong_type("general.alignment", "an unsigned integer")),
    };
    if !alignment.is_power_of_two() {
        return Err(GgufError::Alignment { found: alignment });
    }
    (header_end as u64).checked_next_multiple_of(alignment).ok_or(GgufError::Alignment { found: alignment })
}

/// One row of the tensor table.
struct Entry<'a> {
    name: &'a str,
    header_at: usize,
    shape: Vec<u64>,
    encoding: Encoding,
    /// Bytes from the start of the tensor data.
    offset: u64,
}

impl<'a> Entry<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, GgufError> {
        let header_at = cursor.at;
        let name = cursor.text()?;
        let dims_at = cursor.at;
        let dims = cursor.u32("dimension count")?;
        if dims > MAX_DIMS {
            return Err(GgufError::TooLarge {
                what: "dimension count",
                offset: dims_at,
                found: dims.into(),
                limit: MAX_DIMS.into(),
            });
        }
        let mut shape = (0..dims).map(|_| cursor.u64("dimension")).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        let code_at = cursor.at;
        let code = cursor.u32("tensor type")?;
        let encoding = Encoding::from_code(code).ok_or(GgufError::UnknownCode {
            what: "tensor type",
            offset: code_at,
            code,
        })?;
        Ok(Entry { name, header_at, shape, encoding, offset: cursor.u64("tensor offset")? })
    }

    fn view(self, file: &'a [u8], data_start: u64) -> Result<TensorView<'a>, GgufError> {
        let too_large = || GgufError::TooLarge {
            what: "tensor size",
            offset: self.header_at,
            found: u64::MAX,
            limit: file.len() as u64,
        };
        let elements = self
            .shape
            .iter()
            .try_fold(1u64, |product, dim| product.checked_mul(*dim))
            .ok_or_else(too_large)?;
        // ggml quantises along the fastest dimension, so a block never spans two rows.
        let row = self.shape.last().copied().unwrap_or(1);
        let block = self.encoding.block_elements();
        if !row.is_multiple_of(block as u64) {
            return Err(GgufError::Blocks { name: self.name.to_owned(), shape: self.shape, block });
        }
        let size = (elements / block as u64)
            .checked_mul(self.encoding.block_bytes() as u64)
            .ok_or_else(too_large)?;
        let start = data_start.checked_add(self.offset).ok_or_else(too_large)?;
        let bytes = slice(file, start, size).ok_or(GgufError::Truncated {
            what: "tensor data",
            offset: usize::try_from(start).unwrap_or(usize::MAX),
            needed: size,
            left: file.len().saturating_sub(usize::try_from(start).unwrap_or(usize::MAX)),
        })?;
        Ok(TensorView { shape: self.shape, encoding: self.encoding, bytes })
    }
}

fn slice(file: &[u8], start: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    file.get(start..end)
}

struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, what: &'static str, needed: u64) -> Result<&'a [u8], GgufError> {
        let bytes = slice(self.file, self.at as u64, needed).ok_or(GgufError::Truncated {
            what,
            offset: self.at,
            needed,
            left: self.file.len() - self.at,
        })?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let bytes = self.take(what, N as u64)?;
        Ok(bytes.try_into().expect("take returns exactly the bytes asked for"))
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, GgufError> {
        let length = self.u64("string length")?;
        let offset = self.at;
        let bytes = self.take("string", length)?;
        std::str::from_utf8(bytes).map_err(|_| GgufError::NotUtf8 { offset })
    }

    fn value(&mut self, code: u32) -> Result<Value<'a>, GgufError> {
        if code == 9 {
            return self.value_array();
        }
        self.scalar(code)
    }

    fn scalar(&mut self, code: u32) -> Result<Value<'a>, GgufError> {
        const WHAT: &str = "metadata value";
        Ok(match code {
            0 => Value::Unsigned(u8::from_le_bytes(self.array(WHAT)?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array(WHAT)?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array(WHAT)?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array(WHAT)?).into()),
            4 => Value::Unsigned(u32::from_le_bytes(self.array(WHAT)?).into()),
            5 => Value::Signed(i32::from_le_bytes(self.array(WHAT)?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array(WHAT)?).into()),
            7 => Value::Bool(u8::from_le_bytes(self.array(WHAT)?) != 0),
            8 => Value::Text(self.text()?),
            10 => Value::Unsigned(u64::from_le_bytes(self.array(WHAT)?)),
            11 => Value::Signed(i64::from_le_bytes(self.array(WHAT)?)),
            12 => Value::Float(f64::from_le_bytes(self.array(WHAT)?)),
            _ => return Err(GgufError::UnknownCode { what: "value type", offset: self.at, code }),
        })
    }

    /// An array of scalars; arrays of arrays are in no file we read and are refused as an unknown code.
    fn value_array(&mut self) -> Result<Value<'a>, GgufError> {
        let code = self.u32("element type")?;
        let offset = self.at;
        let count = self.u64("array length")?;
        // Every scalar takes at least one byte, so a count beyond what is left is a lie.
        let limit = MAX_ARRAY.min((self.file.len() - self.at) as u64);
        if count > limit {
            return Err(GgufError::TooLarge { what: "array length", offset, found: count, limit });
        }
        (0..count).map(|_| self.scalar(code)).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }
}
