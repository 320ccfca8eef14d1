//! `assay-lab report`: traces become results.json, figures and the tables of docs/science.md.

mod collect;
mod counts;
mod figures;
mod peers;
mod power;
mod results;
mod scheme;
mod statistics;
mod tables;
mod thresholds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::executor::Role;
use super::prompts::Split;
use super::trace::file::Trace;
use super::trace::record::Record;
use collect::Traces;
use figures::{Drawn, Figure};
use peers::PeerSample;
use results::{Bootstrap, Bytes, Peer, Results};
use scheme::{evaluate, Evaluated};

#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// A directory of traces.
    #[arg(long)]
    pub traces: PathBuf,
    /// Where results.json and the figures are written; the page of the same name beside it gets the tables, where it has a place for them.
    #[arg(long, default_value = "docs/science")]
    pub out: PathBuf,
    /// A directory of what peers' code says of the same answers, each file named STATISTIC.SCHEME.SPLIT.NAME.json.
    #[arg(long)]
    pub peers: Option<PathBuf>,
}

/// # Errors
/// Bad traces, by name; no scheme with honest traces of all three parts; what cannot be written.
pub fn run(args: &ReportArgs) -> Result<()> {
    let schemes = collect::read(&args.traces)?;
    let peers = args.peers.as_deref().map(peers::read).transpose()?.unwrap_or_default();
    let mut evaluated: BTreeMap<String, Evaluated> = BTreeMap::new();
    for (name, traces) in &schemes {
        if traces.of(Split::Test, Role::Honest).next().is_none() {
            eprintln!("{name}: no honest trace of the test part is there, nothing is said of it");
            continue;
        }
        evaluated.insert(name.clone(), evaluate(name, traces, &peers)?);
    }
    let results = results(&schemes, &evaluated, &peers).context("there is nothing to report")?;
    std::fs::create_dir_all(&args.out)?;
    write(&args.out.join("results.json"), &(serde_json::to_string_pretty(&results)? + "\n"))?;
    let mut figures: BTreeMap<String, Vec<Figure>> = BTreeMap::new();
    for (name, evaluated) in &evaluated {
        let drawn = Drawn { scheme: name, traces: &schemes[name], evaluated, results: &results };
        figures.insert(name.clone(), figures::draw(&drawn, &args.out)?);
    }
    let tables = tables::write(&results, &figures, &args.out);
    print!("{tables}");
    let page = args.out.with_extension("md");
    if page.is_file() {
        let text = std::fs::read_to_string(&page)?;
        let filled = tables::between_markers(&text, &tables)
            .with_context(|| format!("{} has no place for the tables", page.display()))?;
        write(&page, &filled)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// None of no scheme.
fn results(
    schemes: &BTreeMap<String, Traces>,
    evaluated: &BTreeMap<String, Evaluated>,
    peers: &[PeerSample],
) -> Option<Results> {
    let own = || evaluated.keys().map(|name| &schemes[name]);
    let honest = || own().flat_map(|traces| traces.of(Split::Test, Role::Honest));
    let header = &honest().next()?.1.header;
    let records = || honest().flat_map(|(_, trace)| trace.records.values());
    let tokens = records().map(|record| f64::from(record.tokens)).sum::<f64>().max(1.0);
    let per_token =
        |bytes: fn(&Record) -> usize| records().map(|record| bytes(record) as f64).sum::<f64>() / tokens;
    let by_cell = evaluated.keys().flat_map(|scheme| {
        let cells = schemes[scheme].of(Split::Test, Role::Honest);
        cells.filter_map(move |(name, trace)| Some((format!("{scheme} {name}"), cost([trace].into_iter())?)))
    });
    let peer = |peer: &PeerSample| {
        let figures = Peer { version: peer.version.clone(), bytes_per_token: peer.bytes_per_token };
        (peer.statistic.clone(), figures)
    };
    Some(Results {
        machine: header.machine.clone(),
        model: format!("{} {}", header.spec.name, header.spec.weights),
        code: header.code.clone(),
        statistic_version: header.statistic_version,
        prompts: header.prompts.to_string(),
        seed_tag: header.seed_tag.clone(),
        bootstrap: Bootstrap { resamples: thresholds::RESAMPLES, seed: thresholds::SEED },
        schemes: evaluated.iter().map(|(name, own)| (name.clone(), own.figures.clone())).collect(),
        artifact_bytes_per_token: Bytes {
            raw: per_token(|record| record.bytes),
            zstd: per_token(|record| record.zstd),
        },
        verify_over_generate: cost(honest().map(|(_, trace)| trace)).unwrap_or(0.0),
        verify_over_generate_by_cell: by_cell.collect(),
        peers: peers.iter().map(peer).collect(),
    })
}

/// Seconds of verifying over seconds of generating; none where nobody generated here.
fn cost<'a>(traces: impl Iterator<Item = &'a Trace>) -> Option<f64> {
    let records = traces.flat_map(|trace| trace.records.values());
    let both = records.filter_map(|record| Some((record.verify_seconds, record.generate_seconds?)));
    let (verify, generate) = both.fold((0.0, 0.0), |(verify, generate), (own, made)| {
        (verify + f64::from(own), generate + f64::from(made))
    });
    (generate > 0.0).then(|| verify / generate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::trace::example;
    use super::super::trace::file::TraceFile;
    use super::super::trace::header::Header;
    use super::*;

    /// Traces of two honest cells and of an attack whose y stands one higher.
    fn traces(dir: &Path) {
        let honest = Header { max_new: 12, ..example::header() };
        let cells = [("fused-b8", 0), ("explicit-b8", 10_000)];
        for (split, first) in [(Split::Calibration, 0), (Split::Development, 100), (Split::Test, 200)] {
            for (name, salt) in cells {
                let mut header = Header { name: name.to_owned(), split, ..honest.clone() };
                header.cell.setting = name.to_owned();
                write_trace(dir, &header, first, salt, 0.0);
            }
        }
        let attack = Header { name: "int8-g128".to_owned(), role: Role::Attack, ..honest };
        write_trace(dir, &attack, 200, 20_000, 1.0);
    }

    fn write_trace(dir: &Path, header: &Header, first: u64, salt: u64, shift: f64) {
        let path = dir.join(format!("{}.{}.jsonl", header.split.name(), header.name));
        let mut file = TraceFile::open(&path, header).unwrap();
        for prompt in first..first + 40 {
            let mut record = example::shifted(prompt + salt, header.max_new, shift);
            record.prompt = prompt;
            record.deviations = (0..8).collect();
            file.append(record).unwrap();
        }
    }

    #[test]
    fn a_report_has_the_results_figures_and_tables_of_its_traces() {
        let dir = tempfile::tempdir().unwrap();
        let (own, out) = (dir.path().join("traces"), dir.path().join("science"));
        traces(&own);
        let page = dir.path().join("science.md");
        std::fs::write(&page, "# Above\n<!-- results -->\nold\n<!-- /results -->\nbelow\n").unwrap();
        run(&ReportArgs { traces: own, out: out.clone(), peers: None }).unwrap();
        let results: Results =
            serde_json::from_slice(&std::fs::read(out.join("results.json")).unwrap()).unwrap();
        let scheme = &results.schemes["bf16_f32"];
        assert_eq!((scheme.honest_tokens, scheme.cells.len()), (6 * 40 * 12, 2));
        let power = &scheme.attacks["int8-g128"]["s"];
        assert!(power.auc["1"].unwrap() > 0.9, "{:?}", power.auc);
        assert!(power.extrapolated.contains(&"1e-4".to_owned()));
        assert!(power.tokens_to_detect.median.is_some());
        let other = &scheme.attacks["int8-g128"]["articles"];
        assert!((other.auc["1"].unwrap() - 0.5).abs() < 0.1, "{:?}", other.auc);
        assert_eq!(scheme.verdicts["fused-b8"].answers, 40);
        assert_eq!(results.artifact_bytes_per_token.raw, 900.0 / 12.0);
        assert!((results.verify_over_generate - 1.0 / 3.0).abs() < 1e-6);
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.starts_with("# Above\n") && page.ends_with("below\n") && !page.contains("\nold\n"));
        assert!(page.contains("int8-g128") && page.contains("science/bf16_f32-power.svg"), "{page}");
        assert!(out.join("bf16_f32-power.svg").is_file() && out.join("bf16_f32-counts.svg").is_file());
    }

    #[test]
    fn traces_without_an_honest_development_part_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        traces(dir.path());
        for name in ["fused-b8", "explicit-b8"] {
            std::fs::remove_file(dir.path().join(format!("development.{name}.jsonl"))).unwrap();
        }
        let out = dir.path().join("out");
        let error = run(&ReportArgs { traces: dir.path().to_owned(), out, peers: None }).unwrap_err();
        assert!(format!("{error:#}").contains("no honest trace of the development part"), "{error:#}");
    }
}
