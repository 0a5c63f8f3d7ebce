//! A job's log, read again at the forge for somebody who looks at it.
//!
//! Raw logs are not stored. One that is looked at goes, redacted, into a file without a name, which is forgotten after
//! some minutes; of several people who look at one log the first makes it be read.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use forge_core::{ErrorKind, ForgeClientExt, LogOptions};
use futures_util::TryStreamExt;
use rca_engine::redact::Redactor;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};

use crate::{
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    monitor::repo_ref,
};

/// How long a log is held after it was read.
const HELD_FOR: Duration = Duration::from_mins(10);
/// How long a failure to read one is remembered, so that a page that asks again does not ask the forge again.
const FAILED_FOR: Duration = Duration::from_secs(30);
/// Logs that are held at once.
const MOST_HELD: usize = 16;
/// Bytes of all of them.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// Logs that are read at once.
const MOST_READ: usize = 4;
/// Every so many lines the file's offset is known.
const STRIDE: u64 = 256;
/// Bytes of a line that are shown.
const LINE_BYTES: u64 = 8 * 1024;

/// How far a log is.
#[derive(Debug, Clone)]
pub enum LogState {
    /// It is being read; so many bytes are there.
    Reading(u64),
    /// It can be looked at.
    Ready(Arc<HeldLog>),
    /// It cannot be had: why, and what the code of that is.
    Failed(FlowError),
}

/// A redacted log in a file of its own.
#[derive(Debug)]
pub struct HeldLog {
    file: Mutex<File>,
    /// The offset of line 1, 1 + [`STRIDE`], ...
    offsets: Vec<u64>,
    /// Lines, split on `\n`.
    pub lines: u64,
    /// Bytes as the forge sent them.
    pub bytes: u64,
    /// SHA-256 of them, in hex.
    pub sha256: String,
    /// It was longer than the limit and ends there.
    pub is_truncated: bool,
}

/// Lines that hold a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHits {
    /// How many lines do.
    pub count: u64,
    /// The first of them, at most so many as were asked for.
    pub lines: Vec<u64>,
}

struct Entry {
    state: watch::Receiver<LogState>,
    since: Instant,
}

/// The logs that are looked at.
pub(crate) struct Logs {
    entries: Mutex<BTreeMap<(String, String), Entry>>,
    reading: Arc<Semaphore>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { entries: Mutex::default(), reading: Arc::new(Semaphore::new(MOST_READ)) }
    }
}

impl Flow {
    /// The log of an analysed job, as far as it is there within `wait`; asking again goes on waiting.
    ///
    /// # Errors
    /// `not_found`; `log_not_kept` for a log that was sent to us.
    pub async fn open_log(&self, caller: &Caller, id: &str, wait: Duration) -> Result<LogState> {
        let analysis = self.store().get_analysis(&caller.workspace, id).await?;
        let analysis = analysis.ok_or_else(|| FlowError::not_found("analysis"))?;
        if analysis.integration.is_none() {
            return Err(conflict("log_not_kept", "logs that were sent in are not kept"));
        }
        let mut state = self.0.logs.begin(self, caller, id);
        // Without an answer in time it is still being read.
        let _ =
            tokio::time::timeout(wait, state.wait_for(|state| !matches!(state, LogState::Reading(_)))).await;
        let now = state.borrow().clone();
        Ok(now)
    }

    async fn fetch_log(&self, workspace: &str, id: &str, told: &watch::Sender<LogState>) -> Result<HeldLog> {
        let _permit = Arc::clone(&self.0.logs.reading).acquire_owned().await.map_err(|_| {
            FlowError::new(FlowErrorKind::Unavailable, "unavailable", "the server is stopping")
        })?;
        let analysis = self.store().get_analysis(workspace, id).await?;
        let analysis = analysis.ok_or_else(|| FlowError::not_found("analysis"))?;
        let integration =
            self.integration(workspace, &analysis.integration.clone().unwrap_or_default()).await?;
        let repository = self.repository(workspace, &analysis.repository_key).await?;
        let client = self.client(&integration).await?;
        let repo = repo_ref(&repository);
        let ci = client.require_ci()?;
        let gone = |error: forge_core::Error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::Gone => {
                conflict("log_gone", "the forge has no log of this job any more")
            }
            _ => error.into(),
        };
        let mut job = ci.get_job(&repo, &analysis.job_id).await.map_err(gone)?;
        if job.is_log_erased {
            return Err(conflict("log_gone", "the log was erased at the forge"));
        }
        if job.run_id.is_empty() {
            job.run_id.clone_from(&analysis.run_id);
        }
        let home = job.repo.clone().unwrap_or(repo);
        let options = LogOptions::new(self.config().log_max_bytes.min(MOST_BYTES / 4));
        let mut log = ci.job_log(&home, &job, options).await.map_err(gone)?;
        let mut keeper = Keeper::new()?;
        while let Some(chunk) = log.bytes.try_next().await.map_err(gone)? {
            // The redactor computes, and the file may block.
            keeper =
                tokio::task::spawn_blocking(move || keeper.push(&chunk)).await.map_err(|_| broken())??;
            told.send_replace(LogState::Reading(keeper.bytes));
        }
        let is_truncated = log.is_truncated();
        tokio::task::spawn_blocking(move || keeper.finish(is_truncated)).await.map_err(|_| broken())?
    }
}

impl Logs {
    fn begin(&self, flow: &Flow, caller: &Caller, id: &str) -> watch::Receiver<LogState> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| {
            let age = entry.since.elapsed();
            match &*entry.state.borrow() {
                LogState::Reading(_) => true,
                LogState::Ready(_) => age < HELD_FOR,
                LogState::Failed(_) => age < FAILED_FOR,
            }
        });
        let key = (caller.workspace.clone(), id.to_owned());
        if let Some(entry) = entries.get(&key) {
            return entry.state.clone();
        }
        make_room(&mut entries);
        let (told, state) = watch::channel(LogState::Reading(0));
        entries.insert(key, Entry { state: state.clone(), since: Instant::now() });
        let (flow, workspace, id) = (flow.clone(), caller.workspace.clone(), id.to_owned());
        tokio::spawn(async move {
            let ended = match flow.fetch_log(&workspace, &id, &told).await {
                Ok(log) => LogState::Ready(Arc::new(log)),
                Err(error) => LogState::Failed(error),
            };
            told.send_replace(ended);
        });
        state
    }
}

/// Forgets the oldest until one more fits. Who is looking at one of them keeps its file until the answer is sent.
fn make_room(entries: &mut BTreeMap<(String, String), Entry>) {
    let size = |entry: &Entry| match &*entry.state.borrow() {
        LogState::Ready(log) => log.bytes,
        LogState::Reading(bytes) => *bytes,
        LogState::Failed(_) => 0,
    };
    while entries.len() >= MOST_HELD || entries.values().map(size).sum::<u64>() > MOST_BYTES * 3 / 4 {
        let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| key.clone())
        else {
            return;
        };
        entries.remove(&oldest);
    }
}

/// Writes a log into its file, redacted, and notes where its lines begin.
struct Keeper {
    redactor: Redactor,
    hash: Sha256,
    file: File,
    clean: Vec<u8>,
    offsets: Vec<u64>,
    written: u64,
    line: u64,
    bytes: u64,
}

impl Keeper {
    fn new() -> Result<Self> {
        Ok(Self {
            redactor: Redactor::new(),
            hash: Sha256::new(),
            file: tempfile::tempfile().map_err(|error| on_disk(&error))?,
            clean: Vec::new(),
            offsets: vec![0],
            written: 0,
            line: 1,
            bytes: 0,
        })
    }

    fn push(mut self, chunk: &[u8]) -> Result<Self> {
        self.hash.update(chunk);
        self.bytes += chunk.len() as u64;
        let mut clean = std::mem::take(&mut self.clean);
        self.redactor.push(chunk, &mut clean);
        self.write(&clean)?;
        clean.clear();
        self.clean = clean;
        Ok(self)
    }

    fn write(&mut self, clean: &[u8]) -> Result<()> {
        for (index, byte) in clean.iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                if self.line % STRIDE == 1 {
                    self.offsets.push(self.written + index as u64 + 1);
                }
            }
        }
        self.file.write_all(clean).map_err(|error| on_disk(&error))?;
        self.written += clean.len() as u64;
        Ok(())
    }

    fn finish(mut self, is_truncated: bool) -> Result<HeldLog> {
        let mut clean = Vec::new();
        self.redactor.finish(&mut clean);
        let ends_with_line = match clean.last() {
            Some(last) => *last == b'\n',
            None => self.ends_with_line()?,
        };
        self.write(&clean)?;
        // What follows the last line end is a line only where there is something.
        let lines = if ends_with_line || self.written == 0 { self.line - 1 } else { self.line };
        Ok(HeldLog {
            file: Mutex::new(self.file),
            offsets: self.offsets,
            lines,
            bytes: self.bytes,
            sha256: hex::encode(self.hash.finalize()),
            is_truncated,
        })
    }

    fn ends_with_line(&mut self) -> Result<bool> {
        if self.written == 0 {
            return Ok(true);
        }
        let mut last = [0_u8];
        self.file.seek(SeekFrom::End(-1)).map_err(|error| on_disk(&error))?;
        self.file.read_exact(&mut last).map_err(|error| on_disk(&error))?;
        Ok(last == *b"\n")
    }
}

impl HeldLog {
    /// Lines `from` to `to`, both from 1 and included, without control sequences; long ones are cut.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read(self: &Arc<Self>, from: u64, to: u64) -> Result<Vec<String>> {
        let log = Arc::clone(self);
        tokio::task::spawn_blocking(move || log.read_now(from.max(1), to)).await.map_err(|_| broken())?
    }

    /// The lines that hold `text`, in small letters or capitals; the first `most` of them by their numbers.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn find(self: &Arc<Self>, text: &str, most: usize) -> Result<LogHits> {
        let (log, text) = (Arc::clone(self), text.to_lowercase());
        tokio::task::spawn_blocking(move || log.find_now(&text, most)).await.map_err(|_| broken())?
    }

    fn read_now(&self, from: u64, to: u64) -> Result<Vec<String>> {
        let index = (from - 1) / STRIDE;
        let Some(offset) = usize::try_from(index).ok().and_then(|index| self.offsets.get(index)) else {
            return Ok(Vec::new());
        };
        let mut lines = Vec::new();
        let first = index * STRIDE + 1;
        self.each(*offset, first, |number, line| {
            if number >= from && number <= to {
                lines.push(plain(line));
            }
            number < to
        })?;
        Ok(lines)
    }

    fn find_now(&self, text: &str, most: usize) -> Result<LogHits> {
        let mut hits = LogHits::default();
        self.each(0, 1, |number, line| {
            if plain(line).to_lowercase().contains(text) {
                hits.count += 1;
                if hits.lines.len() < most {
                    hits.lines.push(number);
                }
            }
            true
        })?;
        Ok(hits)
    }

    /// Calls `look` with each line from `offset` on, which is where line `number` begins, as long as it says true.
    fn each(&self, offset: u64, mut number: u64, mut look: impl FnMut(u64, &[u8]) -> bool) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset)).map_err(|error| on_disk(&error))?;
        let mut reader = BufReader::with_capacity(64 * 1024, &mut *file);
        let mut line = Vec::new();
        while number <= self.lines {
            line.clear();
            let read = reader
                .by_ref()
                .take(LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(|error| on_disk(&error))?;
            if read == 0 {
                break;
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else {
                reader.skip_until(b'\n').map_err(|error| on_disk(&error))?;
            }
            if !look(number, &line) {
                break;
            }
            number += 1;
        }
        Ok(())
    }
}

/// A line as a terminal would leave it: without control sequences, and of what overwrites itself the last.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    // GitHub begins each log with a byte order mark, which says nothing to people.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut characters = text.trim_end_matches('\r').chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => while characters.next().is_some_and(|next| !('@'..='~').contains(&next)) {},
                Some(']') => {
                    while characters.next().is_some_and(|next| !matches!(next, '\u{7}' | '\u{1b}')) {}
                }
                _ => {}
            },
            '\r' => shown.clear(),
            '\t' => shown.push('\t'),
            _ => shown.push(character),
        }
    }
    forge_core::text::visible(&shown)
}

fn conflict(code: &'static str, message: &str) -> FlowError {
    FlowError::new(FlowErrorKind::Conflict, code, message)
}

fn broken() -> FlowError {
    FlowError::new(FlowErrorKind::Unavailable, "unavailable", "reading the log was interrupted; try again")
}

fn on_disk(error: &std::io::Error) -> FlowError {
    tracing::warn!(%error, "the temporary file of a log cannot be used");
    FlowError::new(
        FlowErrorKind::Unavailable,
        "unavailable",
        "the log cannot be kept in the folder for temporary files; the server's log says why",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(log: &[u8]) -> HeldLog {
        let mut keeper = Keeper::new().unwrap();
        for chunk in log.chunks(7) {
            keeper = keeper.push(chunk).unwrap();
        }
        keeper.finish(false).unwrap()
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text: String = (1..=1000).map(|number| format!("line {number}\n")).collect();
        let log = held(text.as_bytes());
        assert_eq!(log.lines, 1000);
        assert_eq!(log.read_now(256, 258).unwrap(), ["line 256", "line 257", "line 258"]);
        assert_eq!(log.read_now(999, 2000).unwrap(), ["line 999", "line 1000"]);
        assert!(log.read_now(5000, 5001).unwrap().is_empty());
        let hits = log.find_now("line 99", 3).unwrap();
        assert_eq!((hits.count, hits.lines), (11, vec![99, 990, 991]));
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(held(b"a\nb").lines, 2);
        assert_eq!(held(b"a\nb\n").lines, 2);
        assert_eq!(held(b"").lines, 0);
        assert_eq!(held(b"a\n\n").read_now(1, 9).unwrap(), ["a", ""]);
    }

    #[test]
    fn secrets_and_control_sequences_are_not_kept() {
        let log = held("\u{feff}\x1b[31mred\x1b[0m\npassword=abc123\n10%\r20%\r30%\nnul\x00\n".as_bytes());
        let lines = log.read_now(1, 4).unwrap();
        assert_eq!(lines, ["red", "password=[REDACTED:password]", "30%", "nul<U+0000>"]);
    }

    #[test]
    fn a_line_of_megabytes_is_cut_and_the_next_is_found() {
        let mut text = vec![b'x'; 3_000_000];
        text.extend_from_slice(b"\nnext\n");
        let log = held(&text);
        let lines = log.read_now(1, 2).unwrap();
        assert_eq!((lines[0].len(), lines[1].as_str()), (8192, "next"));
    }
}
