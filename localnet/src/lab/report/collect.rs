//! The traces of a directory, by numeric scheme and by what they are used as.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use assay_common::session::NumericScheme;

use super::super::executor::Role;
use super::super::prompts::Split;
use super::super::trace::file::{self, Trace};
use super::super::trace::header::HeaderError;

/// All traces of one model in one scheme.
#[derive(Debug, Default)]
pub struct Traces {
    by_name: BTreeMap<(Split, Role, String), Trace>,
}

impl Traces {
    /// In the order of their names.
    pub fn of(&self, split: Split, role: Role) -> impl Iterator<Item = (&str, &Trace)> {
        let named = self.by_name.iter().map(|((split, role, name), trace)| (*split, *role, name, trace));
        let wanted = named.filter(move |(own, used_as, ..)| (*own, *used_as) == (split, role));
        wanted.map(|(.., name, trace)| (name.as_str(), trace))
    }

    pub fn all(&self) -> impl Iterator<Item = &Trace> {
        self.by_name.values()
    }
}

/// Every `*.jsonl` of the directory.
///
/// # Errors
/// None is there, one is no sound trace, two are of different models or prompts, or have one name.
pub fn read(dir: &Path) -> Result<BTreeMap<String, Traces>> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("the traces in {} cannot be read", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    ensure!(!paths.is_empty(), "there is no trace in {}", dir.display());
    let mut traces = Vec::with_capacity(paths.len());
    for path in paths {
        let trace = file::read(&path)?;
        if trace.cut > 0 {
            eprintln!("{}: the last line was cut off and is left out", path.display());
        }
        traces.push((path.display().to_string(), trace));
    }
    by_scheme(traces)
}

/// Groups traces that come with the names that errors say.
///
/// # Errors
/// As [`read`].
pub fn by_scheme(traces: Vec<(String, Trace)>) -> Result<BTreeMap<String, Traces>> {
    let mut schemes: BTreeMap<String, Traces> = BTreeMap::new();
    let mut weights = None;
    for (path, trace) in traces {
        let header = &trace.header;
        let expected = *weights.get_or_insert(header.spec.weights);
        let found = header.spec.weights;
        ensure!(found == expected, "the trace {path} is of the model file {found}, others are of {expected}");
        let scheme: NumericScheme = header.spec.scheme;
        let own = schemes.entry(scheme.to_string()).or_default();
        if let Some(other) = own.all().next() {
            let (found, expected) = (header.model, other.header.model);
            if found != expected {
                return Err(HeaderError::OtherModel { found, expected })
                    .with_context(|| format!("the trace {path}"));
            }
            ensure!(
                header.prompts == other.header.prompts,
                "the trace {path} answers other prompts than others do"
            );
        }
        let key = (header.split, header.role, header.name.clone());
        ensure!(
            own.by_name.insert(key, trace).is_none(),
            "the trace {path} has the name and part of another in this directory"
        );
    }
    Ok(schemes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use assay_common::ids::Digest;

    use super::super::super::trace::example;
    use super::*;

    fn trace(name: &str) -> Trace {
        let mut header = example::header();
        header.name = name.to_owned();
        Trace { header, records: BTreeMap::from([(0, example::record(0, 4))]), cut: 0 }
    }

    #[test]
    fn traces_are_found_by_part_role_and_name() {
        let mut finer = trace("f32");
        finer.header.role = Role::Finer;
        let traces =
            vec![("a".to_owned(), trace("one")), ("b".to_owned(), finer), ("c".to_owned(), trace("two"))];
        let schemes = by_scheme(traces).unwrap();
        let names: Vec<&str> =
            schemes["bf16_f32"].of(Split::Test, Role::Honest).map(|(name, _)| name).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(schemes["bf16_f32"].of(Split::Development, Role::Honest).count(), 0);
    }

    #[test]
    fn traces_of_another_model_or_prompts_or_the_same_name_are_refused_by_path() {
        let refused = |other: Trace, says: &str| {
            let error =
                by_scheme(vec![("a".to_owned(), trace("one")), ("path/b".to_owned(), other)]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("path/b") && error.contains(says), "{error}");
        };
        refused(trace("one"), "name and part of another");
        let mut other = trace("two");
        other.header.spec.weights = Digest([7; 32]);
        refused(other, "model file 0707");
        let mut other = trace("two");
        other.header.model = assay_common::ids::ModelDigest([7; 32]);
        refused(other, "it is for model 0707");
        let mut other = trace("two");
        other.header.prompts = Digest([7; 32]);
        refused(other, "other prompts");
    }

    #[test]
    fn a_directory_without_traces_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(format!("{:#}", read(dir.path()).unwrap_err()).contains("there is no trace"));
    }
}
