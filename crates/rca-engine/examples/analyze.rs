//! Prints the report for a log as JSON: `analyze LOG [GREEN_LOG]...`

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rca_engine::{Analyzer, Baseline};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(path) = arguments.next() else {
        return Err(io::Error::other("usage: analyze LOG [GREEN_LOG]..."));
    };
    let mut baseline = Baseline::new();
    for green in arguments.filter(|green| green != "/dev/null") {
        let mut learner = baseline.learn();
        read(Path::new(&green), |chunk| learner.push(chunk))?;
        baseline = learner.finish();
    }
    let mut analyzer = Analyzer::new().with_baseline(baseline);
    read(Path::new(&path), |chunk| analyzer.push(chunk))?;
    io::stdout().write_all(analyzer.finish().to_json().as_bytes())
}

fn read(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let file = File::open(path)?;
    #[cfg(feature = "archives")]
    let mut file: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    #[cfg(not(feature = "archives"))]
    let mut file = file;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        each(buffer.get(..count).unwrap_or_default());
    }
}
