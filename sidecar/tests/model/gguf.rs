//! Damaged and hostile GGUF files are errors, whatever the damage.

use assay_sidecar::model::gemma::Config;
use assay_sidecar::model::gguf::{Gguf, GgufError, Value};
use assay_sidecar::model::quants::{dequantise, Encoding};
use assay_sidecar::model::Tokenizer;
use proptest::prelude::*;

/// Builds small files by hand, in the format's own order.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn header(tensors: u64, values: u64) -> Self {
        Writer::default().raw(b"GGUF").u32(3).u64(tensors).u64(values)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn u32(self, number: u32) -> Self {
        self.raw(&number.to_le_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.raw(&number.to_le_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }

    fn tensor(self, name: &str, dims: &[u64], encoding: u32, offset: u64) -> Self {
        let start = self.text(name).u32(dims.len() as u32);
        dims.iter().fold(start, |writer, dim| writer.u64(*dim)).u32(encoding).u64(offset)
    }

    fn aligned(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(32), 0);
        self
    }
}

/// A file with every kind of value and two tensors; its last byte belongs to the last tensor.
fn sample() -> Vec<u8> {
    let pieces = ["<pad>", "<bos>", "a", "b", "ab"];
    let mut writer = Writer::header(2, 6)
        .text("general.architecture")
        .u32(8)
        .text("gemma3")
        .text("an.i16")
        .u32(3)
        .raw(&(-5i16).to_le_bytes())
        .text("a.flag")
        .u32(7)
        .raw(&[1])
        .text("a.double")
        .u32(12)
        .raw(&0.5f64.to_le_bytes())
        .text("tokenizer.ggml.scores")
        .u32(9)
        .u32(6)
        .u64(2)
        .raw(&1f32.to_le_bytes())
        .raw(&(-1f32).to_le_bytes())
        .text("tokenizer.ggml.tokens")
        .u32(9)
        .u32(8)
        .u64(pieces.len() as u64);
    for piece in pieces {
        writer = writer.text(piece);
    }
    writer
        .tensor("eye", &[2, 2], 0, 0)
        .tensor("quantised", &[32, 3], 8, 32)
        .aligned()
        .raw(&[1f32, 0.0, 0.0, 1.0].map(f32::to_le_bytes).concat())
        .aligned()
        .raw(&[7; 3 * 34])
        .bytes
}

#[test]
fn a_whole_file_is_read() {
    let file = sample();
    let gguf = Gguf::parse(&file).expect("the sample is valid");
    assert_eq!(gguf.text("general.architecture").expect("a string"), "gemma3");
    assert_eq!(gguf.value("an.i16").expect("there"), &Value::Signed(-5));
    assert_eq!(gguf.value("a.flag").expect("there"), &Value::Bool(true));
    assert_eq!(gguf.float("a.double").expect("a float"), 0.5);
    assert_eq!(gguf.array("tokenizer.ggml.tokens").expect("an array").len(), 5);
    assert_eq!(gguf.tensor_names().collect::<Vec<_>>(), ["eye", "quantised"]);
    let view = gguf.tensor("quantised", &[3, 32]).expect("slowest dimension first");
    assert_eq!((view.encoding, view.bytes), (Encoding::Q8_0, &[7u8; 102][..]));
    assert!(matches!(gguf.tensor("quantised", &[32, 3]), Err(GgufError::Shape { .. })));
    assert!(matches!(gguf.tensor("absent", &[1]), Err(GgufError::MissingTensor { .. })));
    assert!(matches!(gguf.unsigned("an.i16"), Err(GgufError::WrongType { .. })));
    assert!(matches!(gguf.unsigned("absent"), Err(GgufError::MissingKey { .. })));
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let file = sample();
    for length in 0..file.len() {
        let error = Gguf::parse(&file[..length]).expect_err("cut");
        assert!(
            matches!(error, GgufError::Truncated { .. } | GgufError::TooLarge { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn lying_counts_and_offsets_are_errors_that_allocate_nothing() {
    const HUGE: u64 = u64::MAX;
    let key = || Writer::header(0, 1).text("k");
    let hostile = [
        ("tensor count", Writer::header(HUGE, 0)),
        ("metadata count", Writer::header(0, HUGE)),
        ("string length", Writer::header(0, 1).u64(HUGE).raw(b"k")),
        ("array length", key().u32(9).u32(0).u64(HUGE)),
        ("array length within the limit", key().u32(9).u32(8).u64(1 << 20)),
        ("array of arrays", key().u32(9).u32(9).u64(1).u32(9)),
        ("value type", key().u32(13)),
        ("text", Writer::header(0, 1).u64(2).raw(&[0xff, 0xfe])),
        ("duplicate key", Writer::header(0, 2).text("k").u32(7).raw(&[0]).text("k").u32(7).raw(&[0])),
        ("alignment", Writer::header(0, 1).text("general.alignment").u32(4).u32(3)),
        (
            "huge alignment",
            Writer::header(1, 1).text("general.alignment").u32(10).u64(1 << 63).tensor("t", &[1], 0, 0),
        ),
        ("dimensions", Writer::header(1, 0).tensor("t", &[1; 5], 0, 0)),
        ("overflowing shape", Writer::header(1, 0).tensor("t", &[1 << 32, 1 << 32], 0, 0)),
        ("overflowing size", Writer::header(1, 0).tensor("t", &[1 << 62], 0, 0)),
        ("overflowing offset", Writer::header(1, 0).tensor("t", &[1], 0, HUGE)),
        ("offset beyond the file", Writer::header(1, 0).tensor("t", &[1], 0, 1 << 40)),
        ("broken block", Writer::header(1, 0).tensor("t", &[33], 8, 0).aligned().raw(&[0; 68])),
        ("tensor type", Writer::header(1, 0).tensor("t", &[1], 39, 0)),
        ("duplicate tensor", Writer::header(2, 0).tensor("t", &[0], 0, 0).tensor("t", &[0], 0, 0).aligned()),
    ];
    for (what, writer) in hostile {
        assert!(Gguf::parse(&writer.bytes).is_err(), "{what}");
    }
    assert!(matches!(Gguf::parse(b"GGML\x03\0\0\0"), Err(GgufError::Magic { .. })));
    assert!(matches!(Gguf::parse(b"GGUF\x02\0\0\0"), Err(GgufError::Version { found: 2 })));
}

#[test]
fn a_file_without_the_model_keys_is_refused_by_key() {
    let file = sample();
    let gguf = Gguf::parse(&file).expect("the sample is valid");
    let error = Config::from_gguf(&gguf).expect_err("no dimensions");
    assert!(format!("{error:?}").contains("gemma3.embedding_length"), "{error:?}");
    let error = Tokenizer::from_gguf(&gguf).err().expect("no tokenizer model");
    assert!(format!("{error:?}").contains("tokenizer.ggml.model"), "{error:?}");
}

#[test]
fn blocks_decode_to_known_values() {
    let decode = |encoding: Encoding, block: &[u8]| {
        let mut values = vec![0f32; block.len() / encoding.block_bytes() * encoding.block_elements()];
        dequantise(encoding, block, &mut values);
        values
    };
    // binary16: 1, −2, the smallest subnormal, the largest number, −∞.
    let halves = [0x3c00u16, 0xc000, 0x0001, 0x7bff, 0xfc00].map(u16::to_le_bytes).concat();
    assert_eq!(decode(Encoding::F16, &halves), [1.0, -2.0, 2f32.powi(-24), 65504.0, f32::NEG_INFINITY]);
    assert!(decode(Encoding::F16, &0x7e00u16.to_le_bytes())[0].is_nan());

    let half = [0x00, 0x38]; // 0.5
    let q8 = [&half[..], &[0xfe; 32]].concat();
    assert_eq!(decode(Encoding::Q8_0, &q8), [-1.0; 32]);
    // Fifth bit set for value 0 alone: 16 + 3 − 16; the others 3 − 16, and 4 − 16 in the high nibbles.
    let q5 = [&half[..], &[1, 0, 0, 0], &[0x43; 16]].concat();
    let values = decode(Encoding::Q5_0, &q5);
    assert_eq!((values[0], values[1], values[16], values[31]), (1.5, -6.5, -6.0, -6.0));
}

proptest! {
    // The smallest failing case is printed; a file of seeds beside the test would only hide it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let behind_magic = [b"GGUF\x03\0\0\0", bytes.as_slice()].concat();
        prop_assert!(Gguf::parse(&bytes).is_err());
        let _ = Gguf::parse(&behind_magic).map(|gguf| Config::from_gguf(&gguf).is_err());
    }

    #[test]
    fn flipped_bytes_never_panic(at in 0usize..10_000, value in any::<u8>()) {
        let mut file = sample();
        let at = at % file.len();
        file[at] = value;
        if let Ok(gguf) = Gguf::parse(&file) {
            prop_assert!(Config::from_gguf(&gguf).is_err());
            prop_assert!(Tokenizer::from_gguf(&gguf).is_err());
        }
    }
}
