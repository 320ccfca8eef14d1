//! Writes the published vectors, `common/vectors/*.json`: `cargo run -p assay-common --example vectors`.

#[macro_use]
#[path = "../tests/vectors/mod.rs"]
mod vectors;
#[path = "../tests/vectors/generate/mod.rs"]
mod generate;
#[path = "../tests/vectors/published.rs"]
mod published;

fn main() -> std::io::Result<()> {
    for (name, text) in generate::files() {
        std::fs::write(published::path(name), text)?;
    }
    for (name, cases) in published::published() {
        assert!(
            cases.iter().all(|(case, outcome)| case.outcome() == *outcome),
            "{name} reads back as written"
        );
        println!("{name}: {} cases", cases.len());
    }
    Ok(())
}
