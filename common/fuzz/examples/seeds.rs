//! Writes what each target's corpus begins with into DIR/TARGET: `cargo run --example seeds DIR`.

use std::path::Path;

// The coverage that everything here is compiled with calls into its runtime.
use libfuzzer_sys as _;

fn main() -> std::io::Result<()> {
    let dir = std::env::args_os().nth(1).expect("usage: seeds DIR");
    let targets = [
        ("row", assay_fuzz::row::seeds()),
        ("artifact", assay_fuzz::artifact::seeds()),
        ("signed", assay_fuzz::signed::seeds()),
        ("message", assay_fuzz::message::seeds()),
        ("fraud", assay_fuzz::fraud::seeds()),
        ("equivocation", assay_fuzz::equivocation::seeds()),
    ];
    for (target, seeds) in targets {
        let dir = Path::new(&dir).join(target);
        std::fs::create_dir_all(&dir)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(dir.join(format!("real-{number:02}")), seed)?;
        }
    }
    Ok(())
}
