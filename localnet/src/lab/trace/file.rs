//! Trace files: JSON lines, the header first, then one answer a line in any order.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use super::header::Header;
use super::record::Record;

/// A whole trace.
#[derive(Clone, Debug)]
pub struct Trace {
    pub header: Header,
    /// By prompt.
    pub records: BTreeMap<u64, Record>,
    /// Bytes of a last line that was cut off in mid-write; it is left out.
    pub cut: usize,
}

/// Reads and checks a trace.
///
/// # Errors
/// It cannot be read, has no header of this format, or holds a line that is no sound answer; the line is named.
pub fn read(path: &Path) -> Result<Trace> {
    let bytes =
        std::fs::read(path).with_context(|| format!("the trace {} cannot be read", path.display()))?;
    parse(&bytes).with_context(|| format!("the trace {}", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Trace> {
    let whole = whole(bytes);
    let mut lines = (1..).zip(whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()));
    let (_, first) = lines.next().context("it has no whole line")?;
    let header: Header = serde_json::from_slice(first).context("line 1 is no header")?;
    header.check()?;
    let mut records = BTreeMap::new();
    for (line, bytes) in lines {
        let record: Record =
            serde_json::from_slice(bytes).with_context(|| format!("line {line} is no answer"))?;
        record.check().with_context(|| format!("line {line}"))?;
        let prompt = record.prompt;
        ensure!(records.insert(prompt, record).is_none(), "line {line}: prompt {prompt} was answered before");
    }
    Ok(Trace { header, records, cut: bytes.len() - whole.len() })
}

/// What was written whole.
fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &bytes[..end]
}

/// A trace that answers are added to.
#[derive(Debug)]
pub struct TraceFile {
    path: PathBuf,
    file: File,
    done: BTreeMap<u64, Record>,
}

impl TraceFile {
    /// Begins a trace, or goes on with the one that is there; a last line that was cut off is dropped with a notice.
    ///
    /// # Errors
    /// It cannot be written, is no sound trace, or has other settings, of which the first is named.
    pub fn open(path: &Path, header: &Header) -> Result<Self> {
        let named = || format!("the trace {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(named)?;
        }
        let there = if path.exists() { std::fs::read(path).with_context(named)? } else { Vec::new() };
        let kept = whole(&there).len();
        if kept < there.len() {
            eprintln!("{}: the last line was cut off, its answer is made again", path.display());
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(named)?;
        file.set_len(kept as u64).with_context(named)?;
        let done = if kept == 0 {
            write_line(&mut file, header).with_context(named)?;
            BTreeMap::new()
        } else {
            let trace = parse(&there).with_context(named)?;
            trace.header.same_as(header).with_context(named)?;
            trace.records
        };
        Ok(Self { path: path.to_owned(), file, done })
    }

    pub fn has(&self, prompt: u64) -> bool {
        self.done.contains_key(&prompt)
    }

    /// The answers that were there already.
    pub fn done(&self) -> impl Iterator<Item = u64> + '_ {
        self.done.keys().copied()
    }

    /// # Errors
    /// It cannot be written, or is not sound: then nothing is written.
    pub fn append(&mut self, record: Record) -> Result<()> {
        record.check()?;
        write_line(&mut self.file, &record)
            .with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.done.insert(record.prompt, record);
        Ok(())
    }
}

fn write_line(file: &mut File, content: &impl serde::Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(content)?;
    line.push(b'\n');
    file.write_all(&line)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use assay_common::judge::statistic::STATISTIC_VERSION;

    use super::super::example;
    use super::*;

    fn written(dir: &Path, answers: u64) -> PathBuf {
        let path = dir.join("trace.jsonl");
        let mut file = TraceFile::open(&path, &example::header()).unwrap();
        (0..answers).for_each(|prompt| file.append(example::record(prompt, 5)).unwrap());
        path
    }

    fn edited(dir: &Path, from: &str, to: &str) -> String {
        let path = written(dir, 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        format!("{:#}", read(&path).unwrap_err())
    }

    #[test]
    fn what_is_written_is_read_and_what_is_there_is_not_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 3);
        let trace = read(&path).unwrap();
        assert_eq!((trace.header, trace.cut), (example::header(), 0));
        assert_eq!(trace.records[&1], example::record(1, 5));
        let file = TraceFile::open(&path, &example::header()).unwrap();
        assert!(file.has(2) && !file.has(3));
    }

    #[test]
    fn an_answer_that_was_cut_off_in_mid_write_is_dropped_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 3);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        let trace = read(&path).unwrap();
        assert!(trace.cut > 0 && trace.records.len() == 2);
        let mut file = TraceFile::open(&path, &example::header()).unwrap();
        assert!(!file.has(2));
        file.append(example::record(2, 5)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_trace_that_was_cut_off_in_its_header_begins_anew_and_an_empty_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 0);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..20]).unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("no whole line"));
        TraceFile::open(&path, &example::header()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn other_settings_are_refused_by_name_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 1);
        let before = std::fs::read(&path).unwrap();
        let honest = example::header();
        let mut other_cell = honest.cell.clone();
        other_cell.setting = "batches of 30".to_owned();
        for (header, field) in [
            (Header { max_new: 9, ..honest.clone() }, "max_new"),
            (Header { name: "fp8".to_owned(), ..honest.clone() }, "name"),
            (Header { cell: other_cell, ..honest.clone() }, "cell"),
            (Header { machine: "abacus".to_owned(), ..honest.clone() }, "machine"),
        ] {
            let error = format!("{:#}", TraceFile::open(&path, &header).unwrap_err());
            assert!(error.contains(&format!("its {field} is")), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn other_formats_statistics_and_digests_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let version = format!("\"statistic_version\":{STATISTIC_VERSION}");
        let error = edited(dir.path(), &version, "\"statistic_version\":99");
        assert!(error.contains("version 99 of the statistic"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let error = edited(dir.path(), "assay-trace", "assay-answers");
        assert!(error.contains("format `assay-answers`"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let error = edited(dir.path(), "\"vocabulary\":", "\"vocabulary\":1");
        assert!(error.contains("its digest of the model"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let error = edited(dir.path(), "\"bf16_f32\"", "\"bf8\"");
        assert!(error.contains("line 1 is no header"), "{error}");
    }

    #[test]
    fn numbers_that_are_none_and_empty_answers_are_refused_by_line() {
        for (from, to, says) in [
            ("\"distance\":[0.5", "\"distance\":[NaN", "line 2 is no answer"),
            ("\"distance\":[0.5", "\"distance\":[1e39", "not a finite number"),
            ("\"distance\":[0.5", "\"distance\":[null", "line 2 is no answer"),
            ("\"distance\":[0.5,", "\"distance\":[", "has 5 tokens and 4 numbers of distance"),
            ("\"mismatches\":[]", "\"mismatches\":[5]", "does not replay at position 5"),
            ("\"prompt\":1", "\"prompt\":0", "line 3: prompt 0 was answered before"),
            ("\"tokens\":5", "\"tokens\":0", "the answer to prompt 0 is empty"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let error = edited(dir.path(), from, to);
            assert!(error.contains(says), "{to}: {error}");
        }
        let mut record = example::record(0, 5);
        record.features[3][4] = f32::NAN;
        let dir = tempfile::tempdir().unwrap();
        let mut file = TraceFile::open(&dir.path().join("new.jsonl"), &example::header()).unwrap();
        assert!(format!("{:#}", file.append(record).unwrap_err()).contains("features NaN at position 4"));
    }
}
